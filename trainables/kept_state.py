"""A trial's training state in the study directory, as a process sees it that trains the trial and may not be alone."""

import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast, final

import torch
from torch import Tensor

from trainables.checkpoints import load_state, save_state, save_weights

_REPORTS, _WRITER = "reports", "writer"

logger = logging.getLogger(__name__)


class OvertakenError(RuntimeError):
    """Another process trains the same trial, and has come as far: this one was given up, or follows one that was."""


@final
class KeptState:
    """The state after each epoch, with all reports so far; never put back by a process that comes late.

    A node that is cut off is given up, and its trials go on elsewhere, while their processes there may still train, and
    write once more when the store answers again. On another device an epoch is not the same to the last bit: weights
    must be of the process whose numbers are told.

    Args:
        path: of the state.
        weights: where those of the finished student go.
    """

    def __init__(self, path: Path, weights: Path) -> None:
        self._path = path
        self._weights = weights
        self._token = secrets.token_hex(8)  # in what this process writes
        self._left: tuple[int, int] | None = None  # which file this process has read or written last
        self._weights_left: tuple[int, int] | None = None

    def load(self, device: torch.device) -> dict[str, object] | None:
        """The state that stands there; None where there is none, or none that can be read."""
        self._left, self._weights_left = _which(self._path), _which(self._weights)
        return None if self._left is None else self._read(device)

    def check(self, num_reports: int) -> None:
        """See that nobody has come as far, before anything is left.

        Args:
            num_reports: of this process's next state.

        Raises:
            OvertakenError: somebody has, or the trial has ended elsewhere, and its state is gone.
        """
        there = _which(self._path)
        is_gone = there is None and self._left is not None
        has_ended = is_gone or _which(self._weights) != self._weights_left
        if there == self._left and not has_ended:
            return
        state = None if there is None else self._read(torch.device("cpu"))
        if state is not None and state.get(_WRITER) == self._token:  # the store took it, and then did not answer
            return
        if has_ended or (state is not None and len(cast("Sequence[object]", state[_REPORTS])) >= num_reports):
            what = "has ended" if has_ended else f"has come to report {num_reports}"
            raise OvertakenError(f"the trial {what} in another process: this one leaves nothing")

    def save_weights(self, weights: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
        """Write the finished student's weights, before the state that says so."""
        save_weights(self._weights, weights, metadata=metadata)
        self._weights_left = _which(self._weights)

    def save(self, run: Mapping[str, object], reports: Sequence[object]) -> None:
        """Write the state of the training, and what was reported of it."""
        save_state(self._path, {"run": run, _REPORTS: reports, _WRITER: self._token})
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
