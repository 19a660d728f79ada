"""When trials trained, noted inside their processes, and how long a slot stood still between two of them."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a trial's training code, by `time.time()` in its own process."""

    trial: int
    pid: int
    began: float
    ended: float


def note(file: Path, *, trial: int, pid: int, began: float) -> None:
    """Add a step that ends now."""
    step = Step(trial=trial, pid=pid, began=began, ended=time.time())
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(step)) + "\n")


def read(file: Path) -> list[Step]:
    """All steps noted so far."""
    return [Step(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def gaps_s(steps: Iterable[Step]) -> list[float]:
    """From the end of each trial's last step to the beginning of the next trial's first one, on a single slot.

    Raises:
        ValueError: two steps overlap: there was more than one slot.
    """
    gaps = []
    for before, after in pairwise(sorted(steps, key=lambda step: step.began)):
        if after.began < before.ended:
            raise ValueError(f"trials {before.trial} and {after.trial} ran at the same time: there must be one slot")
        if after.trial != before.trial:
            gaps.append(after.began - before.ended)
    return gaps
