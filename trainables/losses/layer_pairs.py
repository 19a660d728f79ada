"""A loss of features, layer by layer: each tapped layer of the student beside one of the teacher."""

import abc

import torch
from torch import Tensor

from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, Need, Taps, teacher_outputs


class LayerPairs(DistillationLoss, abc.ABC):
    """The sum over pairs of layers of what their features differ by."""

    def __init__(self, taps: Taps) -> None:
        super().__init__()
        self._taps = taps

    @property
    def needs(self) -> frozenset[Need]:
        """Features."""
        return frozenset({Need.FEATURES})

    @property
    def taps(self) -> Taps:
        """The pairs: as many layers of the one network as of the other, in one order."""
        return self._taps

    @abc.abstractmethod
    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Of one pair of layers, features (N, ...) each: a scalar, mean over the batch."""

    def forward(self, step: DistillationStep) -> Tensor:
        """Sum over the pairs."""
        student, teacher = step.student.features, teacher_outputs(step).features
        pairs = zip(self._taps.student, self._taps.teacher, strict=True)
        return torch.stack([self.compare(student[own], teacher[other]) for own, other in pairs]).sum()
