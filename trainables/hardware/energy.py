"""Who used a board's energy: what processes drew from one GPU, shared out by a stated model, and what is left over."""

from collections.abc import Mapping
from dataclasses import dataclass

MIN_ENERGY_WINDOW_S = 2.0  # the board's counter moves in coarse steps


@dataclass(frozen=True, slots=True)
class EnergySplit:
    """A board's energy in a window. `joules_by_pid` and `residual_joules` add up to it."""

    joules_by_pid: Mapping[int, float]
    residual_joules: float


def drawn_joules(begin: float | None, end: float | None, *, seconds: float) -> float | None:
    """Energy that a board counted in a window.

    Args:
        begin: its counter at the start, in joules.
        end: its counter at the end.
        seconds: length of the window.

    Returns:
        Joules; None where the board does not count, the window is shorter than 2 s, or the counter began anew in it.
    """
    if begin is None or end is None or seconds < MIN_ENERGY_WINDOW_S or end < begin:
        return None
    return end - begin


def split_energy(
    board_joules: float | None, *, idle_watts: float | None, seconds: float, busy_by_pid: Mapping[int, float] | None
) -> EnergySplit | None:
    """Share a board's energy out to the processes that were seen running on it.

    With E the energy that the board counted in a window of length T, P its power when nothing runs, and b_i the time
    for which kernels of process i ran in it::

        D   = max(0, E - P T)        drawn because something ran
        e_i = D b_i / sum_j b_j      process i's
        r   = E - sum_i e_i          nobody's: idle power, and all of E where no process was seen

    A model, not a measurement: a second of kernels costs the same, whoever's they are, and a process that was not seen
    costs nothing, what it drew falling to the others.

    Args:
        board_joules: E, from `drawn_joules`.
        idle_watts: P, measured alone on the board.
        seconds: T.
        busy_by_pid: b_i, in any one unit, each at least 0; empty: no process was seen.

    Returns:
        None where anything is unknown.
    """
    if board_joules is None or idle_watts is None or busy_by_pid is None:
        return None
    busy = sum(busy_by_pid.values())
    above_idle = max(0.0, board_joules - idle_watts * seconds) if busy > 0.0 else 0.0
    by_pid = {pid: above_idle * (each / busy) for pid, each in busy_by_pid.items() if busy > 0.0}
    return EnergySplit(by_pid, board_joules - above_idle)
