"""Learning from labels alone: cross-entropy, with smoothed labels on request (Szegedy et al., CVPR 2016, section 7)."""

from typing import Annotated, final

import torch.nn.functional as F
from pydantic import ConfigDict, Field, validate_call
from torch import Tensor

from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Need


@final
class LabelsLoss(DistillationLoss):
    """Cross-entropy to the labels; the control that every method is compared with."""

    def __init__(self, label_smoothing: float) -> None:
        super().__init__()
        self._label_smoothing = label_smoothing

    @property
    def needs(self) -> frozenset[Need]:
        """Labels."""
        return frozenset({Need.LABELS})

    def forward(self, step: DistillationStep) -> Tensor:
        """Mean cross-entropy, in nats, computed in float32."""
        return F.cross_entropy(step.student.logits_NC.float(), step.labels_N, label_smoothing=self._label_smoothing)


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def labels(
    context: LossContext,  # noqa: ARG001 - every builder takes it
    *,
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0,
) -> DistillationLoss:
    """Build the labels-only loss.

    Args:
        context: unused.
        label_smoothing: share of the label's probability that is spread over all classes, in [0, 1).
    """
    return LabelsLoss(label_smoothing)
