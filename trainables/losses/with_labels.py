"""A teacher's term beside the labels: how the two are weighed, and how the term's weight goes up and down."""

from dataclasses import dataclass
from typing import Annotated, final

from pydantic import Field
from torch import Tensor
from typing_extensions import TypedDict  # pydantic reads the standard library's from Python 3.12 on

from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, Need, Taps
from trainables.losses.labels import label_cross_entropy

NonNegative = Annotated[float, Field(ge=0.0, le=1e6)]
Temperature = Annotated[float, Field(gt=0.0, le=1000.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Mixing(TypedDict, total=False):
    """Options of every method that has labels beside the teacher's term; each builder says its own defaults.

    `labels_weight`: of the cross-entropy. `warm_up`: share of the training in which the term's weight rises from 0.
    `decay_until`: share of the training at whose end the weight, falling from the beginning, is 0; 0: it stays.
    """

    labels_weight: NonNegative
    warm_up: Share
    decay_until: Share


@dataclass(frozen=True, slots=True)
class TermWeight:
    """The weight of a term by how much of the training is done: up to its full value in the warm-up, then down."""

    value: float
    warm_up: float = 0.0
    decay_until: float = 0.0

    def at(self, progress: float) -> float:
        """The weight when that share of the training, in [0, 1], is done."""
        risen = min(1.0, progress / self.warm_up) if self.warm_up else 1.0
        left = max(0.0, 1.0 - progress / self.decay_until) if self.decay_until else 1.0
        return self.value * risen * left


@final
class WithLabels(DistillationLoss):
    """``labels_weight CE(student, labels) + weight(progress) term``."""

    def __init__(self, term: DistillationLoss, weight: TermWeight, *, labels_weight: float) -> None:
        super().__init__()
        if not labels_weight and 0.0 < weight.decay_until < 1.0:
            raise ValueError(
                f"decay_until = {weight.decay_until:g} with labels of weight 0 leaves nothing to learn from after it: "
                "it must be 0 or 1"
            )
        self.term = term
        self._weight = weight
        self._labels_weight = labels_weight

    @property
    def needs(self) -> frozenset[Need]:
        """What the term needs, and labels unless their weight is 0."""
        return self.term.needs | {Need.LABELS} if self._labels_weight else self.term.needs

    @property
    def taps(self) -> Taps:
        """Those of the term."""
        return self.term.taps

    def forward(self, step: DistillationStep) -> Tensor:
        """Both parts; one whose weight is 0 is not computed."""
        weight = self._weight.at(step.progress)
        if not self._labels_weight:
            soft: Tensor = weight * self.term(step)
            return soft
        hard = self._labels_weight * label_cross_entropy(step.student.logits_NC, step.labels_N)
        return hard if not weight else hard + weight * self.term(step)


def with_labels(
    term: DistillationLoss,
    weight: float,
    mixing: Mixing,
    *,
    labels_weight: float = 1.0,
    warm_up: float = 0.0,
    decay_until: float = 0.0,
) -> WithLabels:
    """The term, itself without a weight, beside the labels; the last three are what holds where `mixing` has it not."""
    return WithLabels(
        term,
        TermWeight(weight, mixing.get("warm_up", warm_up), mixing.get("decay_until", decay_until)),
        labels_weight=mixing.get("labels_weight", labels_weight),
    )
