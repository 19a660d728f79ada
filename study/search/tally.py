"""How many trials were asked for at each choice that is shared out: carried along, not counted anew at every ask."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, final

Choice = tuple[Any, ...]  # the method, and the value of each balanced parameter


@final
class Tally:
    """Trials by number; one that repeats another, or is known to break a constraint, was asked for in vain.

    May be told from several threads.
    """

    def __init__(self, balanced: Sequence[str]) -> None:
        self._balanced = tuple(balanced)
        self._kept = dict[int, tuple[Choice, bool]]()
        self._last = -1
        self._by_counting = {True: Counter[Choice](), False: Counter[Choice]()}
        self._lock = threading.Lock()

    def keep(self, number: int, parameters: Mapping[str, Any], *, counts: bool) -> None:
        """The trial was asked for, or is known by now to have been asked for in vain."""
        with self._lock:
            before = self._kept.get(number)
            if before is not None and before[1] == counts:
                return
            choice = (str(parameters.get("method")), *(parameters.get(name) for name in self._balanced))
            if before is not None:
                self._by_counting[before[1]][before[0]] -= 1
            self._by_counting[counts][choice] += 1
            self._kept[number] = choice, counts
            self._last = max(self._last, number)

    @property
    def counted(self) -> Mapping[Choice, int]:
        """How many at each choice count."""
        return self._copy(counts=True)

    @property
    def in_vain(self) -> Mapping[Choice, int]:
        """How many at each choice do not."""
        return self._copy(counts=False)

    @property
    def num_last_in_vain(self) -> int:
        """How many of the latest, in one row."""
        num = 0
        for number in range(self._last, -1, -1):
            _, counts = self._kept.get(number, (None, None))
            if counts:
                break
            num += counts is False  # others wait, and nobody has asked for them
        return num

    def _copy(self, *, counts: bool) -> Mapping[Choice, int]:
        with self._lock:
            return self._by_counting[counts].copy()
