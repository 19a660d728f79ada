"""The processes on a board, from what it says of them: how many there are, and for how long the kernels of each ran."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trainables.hardware.telemetry import mean_of_known


@dataclass(frozen=True, slots=True)
class UtilizationSample:
    """What NVML says of one process over one of its sampling periods."""

    pid: int
    at_us: int  # since 1970
    percent: int


def new_samples(samples: Iterable[UtilizationSample], *, after_us: int) -> list[UtilizationSample]:
    """Those that are new and possible: NVML keeps a ring of samples and hands out old and absurd ones with the rest.

    Args:
        samples: as NVML told them.
        after_us: only samples later than this count, in microseconds since 1970.
    """
    return [each for each in samples if each.at_us > after_us and each.percent <= 100]


def utilization_fraction(samples: Iterable[UtilizationSample], *, pid: int | None) -> float | None:
    """Mean share of time that a process's kernels ran; None where it is not known, or no sample is of it."""
    return mean_of_known([each.percent / 100.0 for each in samples if each.pid == pid])


def busy_by_pid(samples: Iterable[UtilizationSample]) -> dict[int, float]:
    """For how many sampling periods each process's kernels ran, by `new_samples`: fractions of them, added up."""
    busy = defaultdict[int, float](float)
    for each in samples:
        busy[each.pid] += each.percent / 100.0
    return dict(busy)


def num_others(pids: Sequence[int] | None, *, pid: int | None) -> int | None:
    """How many processes share a board with this one.

    Inside a container this process is one of those listed, whichever, and the number is of those that the driver
    shows there.

    Args:
        pids: of the processes on the board; None: unknown.
        pid: this process among them; None inside a container.

    Returns:
        None where the list cannot be right: it does not hold this process.
    """
    if not pids or (pid is not None and pid not in pids):
        return None
    return len(pids) - 1
