"""Losses that a study of the tests names as its own: on labels, and in the second half of the training, trouble."""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import final

import torch.nn.functional as F
from torch import Tensor

from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Need


@final
class Troubled(DistillationLoss):
    """Cross entropy; with the second of two epochs begins what `trouble` does."""

    def __init__(self, trouble: Callable[[], None]) -> None:
        super().__init__()
        self._trouble = trouble

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset()

    def forward(self, step: DistillationStep) -> Tensor:
        if step.progress >= 0.5:
            self._trouble()
        return F.cross_entropy(step.student.logits_NC, step.labels_N)


def hangs(_: LossContext) -> DistillationLoss:
    return Troubled(_hang)


def hangs_once(_: LossContext) -> DistillationLoss:
    return Troubled(_hang_once)


def dies(_: LossContext) -> DistillationLoss:
    return Troubled(lambda: os._exit(9))


def raises(_: LossContext) -> DistillationLoss:
    return Troubled(_raise)


def _hang() -> None:
    """In C, with the interpreter's lock."""
    ctypes.PyDLL(None).sleep(10_000)


def _hang_once() -> None:
    flag = Path(__file__).with_name("has-hung")
    if not flag.exists():
        flag.touch()
        _hang()


def _raise() -> None:
    raise RuntimeError("poison in the second epoch")
