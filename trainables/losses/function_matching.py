"""Function matching (Beyer et al., CVPR 2022, "a good teacher is patient and consistent").

The student copies the teacher's function: the same views for both, mixed images among them, no labels, many epochs.
"""

from typing import final

from pydantic import ConfigDict, validate_call
from torch import Tensor

from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Need, teacher_logits
from trainables.losses.hinton_kd import soft_target_kl
from trainables.losses.with_labels import Temperature


@final
class FunctionMatching(DistillationLoss):
    """The divergence of softened outputs on views that both networks see alike."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self._temperature = temperature

    @property
    def needs(self) -> frozenset[Need]:
        """The teacher's logits on augmented views."""
        return frozenset({Need.TEACHER_LOGITS, Need.VIEWS})

    def forward(self, step: DistillationStep) -> Tensor:
        """Mean over the batch, in nats."""
        return soft_target_kl(step.student.logits_NC, teacher_logits(step), temperature=self._temperature)


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def function_matching(
    context: LossContext,  # noqa: ARG001 - every builder takes it
    *,
    temperature: Temperature = 1.0,
) -> DistillationLoss:
    """Build the loss.

    Args:
        context: unused.
        temperature: softmax temperature; the paper finds 1 to be good.
    """
    return FunctionMatching(temperature)
