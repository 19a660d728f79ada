"""Logit standardisation, worn by any loss of logits (Sun et al., CVPR 2024, "Logit Standardization in KD")."""

# Shapes: N batch, C classes.

from dataclasses import replace
from typing import final

from pydantic import ConfigDict, validate_call
from torch import Tensor

from trainables.config import OptionValue
from trainables.losses.distillation_loss import (
    DistillationLoss,
    DistillationStep,
    LossContext,
    Need,
    Outputs,
    Taps,
    teacher_outputs,
)
from trainables.losses.terms import terms_of
from trainables.losses.with_labels import NonNegative, Share, TermWeight, WithLabels

_EPSILON = 1e-7


def standardized_logits(logits_NC: Tensor) -> Tensor:
    """Each row with mean 0 and standard deviation 1 (Z-score, algorithm 1): the same for ``a z + b``, a > 0.

    Args:
        logits_NC: any float dtype; computed in float32.

    Returns:
        (N, C), float32. A row of equal logits becomes 0.
    """
    logits_NC = logits_NC.float()
    centered_NC = logits_NC - logits_NC.mean(dim=1, keepdim=True)
    return centered_NC / (logits_NC.std(dim=1, keepdim=True) + _EPSILON)


@final
class Standardized(DistillationLoss):
    """A term that sees the standardised logits of both networks."""

    def __init__(self, term: DistillationLoss) -> None:
        super().__init__()
        self._term = term

    @property
    def needs(self) -> frozenset[Need]:
        """What the term needs, and the teacher's logits."""
        return self._term.needs | {Need.TEACHER_LOGITS}

    @property
    def taps(self) -> Taps:
        """Those of the term."""
        return self._term.taps

    def forward(self, step: DistillationStep) -> Tensor:
        """The term's value."""
        student = Outputs(standardized_logits(step.student.logits_NC), step.student.features)
        teacher = Outputs(standardized_logits(teacher_outputs(step).logits_NC), teacher_outputs(step).features)
        value: Tensor = self._term(replace(step, student=student, teacher=teacher))
        return value


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def standardized(
    context: LossContext,
    *,
    loss: str = "kd",
    weight: NonNegative = 9.0,
    labels_weight: NonNegative = 0.1,
    warm_up: Share = 0.0,
    decay_until: Share = 0.0,
    **options: OptionValue,
) -> DistillationLoss:
    """Build a loss of logits that sees them standardised; the labels see them as they are.

    Args:
        context: passed on.
        loss: the method that wears it, any whose term compares logits: "kd", "dkd", "dist", "logit_mse".
        weight: of its term.
        labels_weight: of the cross-entropy.
        warm_up: see `Mixing`.
        decay_until: see `Mixing`.
        options: those of the method, as "kd.temperature"; of "kd" the temperature is 2 by default, as in the paper.

    Raises:
        ValueError: an option is of no method named here, or the method has no term that compares logits.
    """
    if loss == "kd":
        options = {"kd.temperature": 2.0} | options
    (term,) = terms_of("standardized", (loss,), options, context)
    if Need.TEACHER_LOGITS not in term.needs or term.needs & {Need.FEATURES, Need.TEACHER_NETWORK}:
        raise ValueError(
            f'loss "standardized": "{loss}" is no loss of the logits of both networks, as kd, dkd, dist are'
        )
    return WithLabels(Standardized(term), TermWeight(weight, warm_up, decay_until), labels_weight=labels_weight)
