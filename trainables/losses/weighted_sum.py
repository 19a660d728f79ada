"""Several supervisions at once: labels, a loss of logits, a loss of features, each with its weight."""

from collections.abc import Sequence
from typing import Annotated, final

from pydantic import ConfigDict, Field, validate_call
from torch import Tensor, nn

from trainables.config import OptionValue
from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Need, Taps
from trainables.losses.terms import terms_of
from trainables.losses.with_labels import NonNegative


@final
class WeightedSum(DistillationLoss):
    """``sum of weight x term``."""

    def __init__(self, terms: Sequence[DistillationLoss], weights: Sequence[float]) -> None:
        super().__init__()
        self._terms = nn.ModuleList(terms)
        self._weights = tuple(weights)

    @property
    def needs(self) -> frozenset[Need]:
        """What any of the terms needs."""
        return frozenset[Need]().union(*(term.needs for term in self._each()))

    @property
    def taps(self) -> Taps:
        """Those of all terms; a layer that two of them read is tapped once."""
        taps = [term.taps for term in self._each()]
        return Taps(
            student=tuple(dict.fromkeys(name for each in taps for name in each.student)),
            teacher=tuple(dict.fromkeys(name for each in taps for name in each.teacher)),
        )

    def forward(self, step: DistillationStep) -> Tensor:
        """The sum; terms whose weight is 0 are not computed."""
        pairs = zip(self._each(), self._weights, strict=True)
        values: list[Tensor] = [weight * term(step) for term, weight in pairs if weight]
        return sum(values[1:], start=values[0])

    def _each(self) -> list[DistillationLoss]:
        return [term for term in self._terms if isinstance(term, DistillationLoss)]


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def weighted_sum(
    context: LossContext,
    *,
    terms: Annotated[tuple[str, ...], Field(min_length=1)] = ("labels", "kd", "attention"),
    weights: tuple[NonNegative, ...] = (0.1, 0.9, 1000.0),
    **options: OptionValue,
) -> DistillationLoss:
    """Build a sum of terms.

    Args:
        context: passed on.
        terms: methods, each without the labels and the weight that it has by itself; "labels" are a term too.
        weights: one for each.
        options: those of a method, as "kd.temperature".

    Raises:
        ValueError: not one weight for each term, none above 0, or what `terms_of` refuses.
    """
    if len(weights) != len(terms) or not any(weights):
        raise ValueError(f"weights = {list(weights)}: one is needed for each of terms = {list(terms)}, and one above 0")
    return WeightedSum(terms_of("sum", terms, options, context), weights)
