"""A trial's training state in the study directory, as a process sees it that trains the trial and may not be alone."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast, final

import torch

from trainables.checkpoints import load_state, save_state

_REPORTS = "reports"

logger = logging.getLogger(__name__)


class OvertakenError(RuntimeError):
    """Another process trains the same trial, and has come as far: this one was given up, or follows one that was."""


@final
class KeptState:
    """The state after each epoch, with all reports so far; never put back by a process that comes late.

    A node that is cut off is given up, and its trials go on elsewhere, while their processes there may still train, and
    write once more when the store answers again. On another device an epoch is not the same to the last bit: weights
    must be of the process whose numbers are told.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left: tuple[int, int] | None = None  # which file this process has read or written last

    def load(self, device: torch.device) -> dict[str, object] | None:
        """The state that stands there; None where there is none, or none that can be read."""
        self._left = _which(self._path)
        return None if self._left is None else self._read(device)

    def check(self, num_reports: int) -> None:
        """See that nobody has come as far, before anything is left.

        Args:
            num_reports: of this process's next state.

        Raises:
            OvertakenError: somebody has, or the trial has ended elsewhere, and its state is gone.
        """
        there = _which(self._path)
        if there == self._left:
            return
        state = None if there is None else self._read(torch.device("cpu"))
        if there is None or (state is not None and len(cast("Sequence[object]", state[_REPORTS])) >= num_reports):
            what = "has ended" if there is None else f"has come to report {num_reports}"
            raise OvertakenError(f"the trial {what} in another process: this one leaves nothing")

    def save(self, run: Mapping[str, object], reports: Sequence[object]) -> None:
        """Write the state of the training, and what was reported of it."""
        save_state(self._path, {"run": run, _REPORTS: reports})
        self._left = _which(self._path)

    def _read(self, device: torch.device) -> dict[str, object] | None:
        try:
            return load_state(self._path, device)
        except ValueError as error:  # a disk's fault: the trial is better trained again than lost
            logger.warning("%s; the trial begins anew", error)
            return None


def _which(path: Path) -> tuple[int, int] | None:
    """What tells one file of that name from the next; opened, for only then a network folder asks its server."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
