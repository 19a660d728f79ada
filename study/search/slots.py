"""Which trials run at this moment, on which of the concurrent slots, beside how many; and how many there could be."""

import math
from typing import final


@final
class Slots:
    """Kept by the driver from Tune's events."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}
        self._places: dict[int, str] = {}

    def start(self, number: int) -> int:
        """The trial runs; returns its slot, the lowest free one, from 0."""
        taken = {slot for other, slot in self._slots.items() if other != number}
        self._slots[number] = min(set(range(len(taken) + 1)) - taken)
        return self._slots[number]

    def stop(self, number: int) -> None:
        """The trial no longer runs."""
        self._slots.pop(number, None)
        self._places.pop(number, None)

    def num_co_tenants(self, number: int, place: str) -> int:
        """How many other trials run at `place` (a node), which is the trial's own.

        One that has not said yet where it runs is counted: on a single node that is exact, on several it is an upper
        bound for the first epoch of a process.
        """
        self._places[number] = place
        others = (other for other in self._slots if other != number)
        return sum(self._places.get(other, place) == place for other in others)


def num_fitting(num_cpus: float, num_gpus: float, *, cpus: float, gpus: float) -> int:
    """How many trials a node holds; a trial's share of a GPU is of one GPU, never of two."""
    by_cpu = math.floor(num_cpus / cpus)
    return by_cpu if gpus == 0.0 else min(by_cpu, math.floor(num_gpus) * math.floor(1.0 / gpus))
