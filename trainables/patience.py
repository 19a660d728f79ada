"""A store that cannot be written to for a while (full, read-only, not there): tried again, for a stated time."""

import errno
import logging
import os
import time
from collections.abc import Callable
from typing import TypeVar, final

# What passes by itself or is mended by people: no space, a quota, read-only after a fault, a server that is away. All
# else (a missing folder, no permission) is told at once. EIO is what a full disk below a network folder often says.
PASSING = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ECONNREFUSED,
        errno.ENOTCONN,
    }
)
LONGEST_WAIT_S = 10.0
LONGEST_ATTEMPT_S = 60.0  # that is counted as waiting, where what is tried again works for long before it writes

logger = logging.getLogger(__name__)
_Done = TypeVar("_Done")


class StoreUnwritableError(OSError):
    """The store stayed unwritable for as long as was waited; nothing that it held before is lost."""


def is_passing(error: BaseException) -> bool:
    """Whether the error is of a kind that passes, and the store's rather than the caller's."""
    return isinstance(error, OSError) and error.errno in PASSING


@final
class Patience:
    """Does what a store may refuse, again and again for `seconds`; once that was in vain, refusals are final at once.

    For 0 seconds: once, and an error is told as it is.

    What it runs must leave nothing behind where it fails. `tell` is called once when the waiting begins and once when
    it ends well, from whichever thread it is that waits.
    """

    def __init__(
        self,
        store: str,
        seconds: float,
        *,
        tell: Callable[[str], None] = logger.warning,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tell = tell
        self.given_up: StoreUnwritableError | None = None
        self._store = store
        self._seconds = seconds
        self._sleep = sleep
        self._clock = clock

    def run(self, act: Callable[[], _Done]) -> _Done:
        """What `act` returns, once it does.

        Raises:
            StoreUnwritableError: it was refused for all the time.
            OSError: it was refused for a reason that does not pass.
        """
        left_s: float | None = None  # None: it has not been refused
        wait_s, waited_s, refused_at = 0.5, 0.0, 0.0
        while True:
            try:
                done = act()
            except OSError as error:
                if not is_passing(error) or self._seconds == 0.0:
                    raise
                now = self._clock()
                if left_s is None:
                    left_s = 0.0 if self.given_up is not None else self._seconds
                    if left_s > 0.0:
                        self.tell(f"{self._refused(error)}: trying again for {self._minutes}")
                else:
                    left_s -= min(now - refused_at, waited_s + LONGEST_ATTEMPT_S)
                if left_s <= 0.0:
                    text = f"{self._refused(error)}, for {self._minutes}"
                    self.given_up = StoreUnwritableError(error.errno, text)
                    raise self.given_up from error
                refused_at, waited_s = now, min(wait_s, left_s)
                self._sleep(waited_s)
                wait_s = min(2.0 * wait_s, LONGEST_WAIT_S)
            else:
                if left_s is not None:
                    self.tell(f"{self._store} can be written to again")
                return done

    @property
    def _minutes(self) -> str:
        return f"{self._seconds / 60.0:g} min"

    def _refused(self, error: OSError) -> str:
        return f"{self._store} cannot be written to ({error.strerror or os.strerror(error.errno or 0)})"
