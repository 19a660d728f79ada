"""The end of a process that hangs, from within: by a thread in C, which needs neither the interpreter nor its lock."""

import contextlib
import faulthandler
from collections.abc import Iterator

_STANDARD_ERROR = 2  # its number: Ray's worker puts the process's log there


@contextlib.contextmanager
def ended_when_hanging(seconds: float | None) -> Iterator[None]:
    """Within, the process may take so many seconds; after them it ends, and its log holds where every thread stood.

    Tune has no public way of ending one trial's process from outside, and a process that is stuck in C code (a kernel
    that never comes back, a lock of a library) answers no call and runs no handler of a signal; one that holds the
    interpreter's lock runs no Python thread either. Its end is all that is sure to work, and Tune sees it at once: an
    actor that died. None: no limit. There is one such clock in a process.
    """
    if seconds is None:
        yield
        return
    faulthandler.dump_traceback_later(seconds, exit=True, file=_STANDARD_ERROR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
