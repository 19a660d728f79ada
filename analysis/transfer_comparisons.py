"""Distilled students less their controls, measure by measure, with p values corrected for how many these are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from analysis.comparisons import SIGNIFICANT, holm
from analysis.ranking import KD_METHOD
from analysis.statistics import Estimate
from analysis.transfer_findings import MEASURES, Configuration, compared
from analysis.transfer_records import TransferRecord


@final
@dataclass(frozen=True, slots=True)
class Excess:
    """A measure of a configuration less that of its control; `p_value` is corrected, None with a single seed."""

    configuration: Configuration
    measure: str
    difference: Estimate
    p_value: float | None

    @property
    def is_decided(self) -> bool:
        """Whether the seeds tell the difference from none, among so many comparisons."""
        return self.p_value is not None and self.p_value < SIGNIFICANT


@final
@dataclass(frozen=True, slots=True)
class Excesses:
    """Every excess of a record, of the measures that say how near a student is to the teacher: one family of tests."""

    all: tuple[Excess, ...]

    @property
    def num_tests(self) -> int:
        """How many comparisons the p values are corrected for: those of more than one seed."""
        return sum(each.p_value is not None for each in self.all)

    def of(self, configuration: Configuration, measure: str) -> Excess | None:
        """The one of a configuration and a measure; None where it could not be compared."""
        wanted = (configuration.key, measure)
        return next((each for each in self.all if (each.configuration.key, each.measure) == wanted), None)


def excesses(record: TransferRecord) -> Excesses:
    """Each distilled configuration in each measure less its control, corrected by Holm's method over all of them."""
    raw = [
        (each, measure.name, difference)
        for each in compared(record)
        for measure in MEASURES.values()
        if measure.closer and (difference := _difference(each, measure.name)) is not None
    ]
    corrected = holm([difference.p_value for *_, difference in raw])
    return Excesses(tuple(Excess(*each, p_value) for each, p_value in zip(raw, corrected, strict=True)))


def largest_first(found: Sequence[Configuration], excess: Excesses) -> list[Configuration]:
    """Classic distillation first, then the others, each from the largest difference in agreement on."""

    def place(each: Configuration) -> tuple[bool, float]:
        agreement = excess.of(each, "agreement")
        return each.method != KD_METHOD, 0.0 if agreement is None else -abs(agreement.difference.mean)

    return sorted(found, key=place)


def _difference(each: Configuration, name: str) -> Estimate | None:
    """A share of images cannot be known better than to one image."""
    if name not in {"agreement", "agreement_on_mistakes"}:
        return each.excess(name)
    total = each.share(of_controls=False, on_mistakes=name == "agreement_on_mistakes").total
    return each.excess(name, least_deviation=1.0 / total) if total else None
