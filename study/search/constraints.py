"""Bounds that students must keep: read from text such as "<= 2.0", never evaluated; and which a student breaks."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trainables.config import StudentConfig
from trainables.metrics import Metric, Source, metric

IsolatedMetrics = Callable[[StudentConfig], Mapping[str, float | None]]  # what is known of a student beforehand

_BOUND = re.compile(r"(<=|>=)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A bound on one metric, in its units, which the bound itself keeps."""

    metric: Metric
    is_upper: bool
    bound: float

    @property
    def text(self) -> str:
        """As it would be written, for example ``latency_p99_ms_batch1 <= 2``."""
        return f"{self.metric.name} {'<=' if self.is_upper else '>='} {self.bound:.12g}"

    def violation(self, value: float) -> float:
        """By how much a value breaks the bound, in the metric's units; at most 0 where it keeps it."""
        return value - self.bound if self.is_upper else self.bound - value


def parse_constraints(given: Mapping[str, str], own: tuple[Metric, ...] = ()) -> tuple[Constraint, ...]:
    """Constraints from a bound for each metric's name, such as ``{"validation_accuracy": ">= 0.97"}``.

    A strict bound is refused: numbers that are measured do not come to exactly a bound, so that it would say the same.

    Args:
        given: by metric.
        own: metrics that the study has beside the declared ones.

    Raises:
        ValueError: a metric is unknown or shown only, or a bound is none; the message names it and what is allowed.
    """
    return tuple(_parse(name, text, own) for name, text in given.items())


def _parse(name: str, text: str, own: tuple[Metric, ...]) -> Constraint:
    try:
        bounded = metric(name, own)
    except ValueError as error:
        raise ValueError(f"constraints: {error}") from error
    if bounded.source is Source.SHARED:
        raise ValueError(
            f'constraints.{name} = "{text}": {name} is sampled while others run: shown, never a constraint; '
            "allowed is every metric that may be an objective"
        )
    match = _BOUND.fullmatch(text.strip())
    bound = math.nan if match is None else float(match.group(2))
    if match is None or not math.isfinite(bound):
        raise ValueError(f'constraints.{name} = "{text}": it must be "<= number" or ">= number", for example "<= 2.0"')
    return Constraint(bounded, match.group(1) == "<=", bound)


def first_broken(constraints: tuple[Constraint, ...], metrics: Mapping[str, float | None]) -> str | None:
    """The text of the first constraint that these metrics break; what is unknown breaks none. None: they keep all."""
    for each in constraints:
        value = metrics.get(each.metric.name)
        if value is not None and each.violation(value) > 0.0:
            return each.text
    return None


def broken_by(constraints: tuple[Constraint, ...], isolated: Mapping[str, float | None]) -> Constraint | None:
    """The first constraint on an isolated metric that these metrics, known before training, break.

    None: they break none.

    Raises:
        ValueError: such a metric is not known on this device; the message names it.
    """
    for each in constraints:
        if each.metric.source is not Source.ISOLATED:
            continue
        value = isolated.get(each.metric.name)
        if value is None or not math.isfinite(value):
            raise ValueError(
                f'constraint "{each.text}": {each.metric.name} is {value} on this device: '
                "a constraint needs a metric that is measured here"
            )
        if each.violation(value) > 0.0:
            return each
    return None


def check_kept(constraints: tuple[Constraint, ...], students: Mapping[str, Mapping[str, float | None]]) -> None:
    """See that a student keeps every constraint on what is known before training.

    Args:
        constraints: of the study.
        students: by a name for the message, the isolated metrics of every kind of student that there is.

    Raises:
        ValueError: none keeps them all, or a metric is not known on this device; the message tells what there is.
    """
    if not students or any(broken_by(constraints, isolated) is None for isolated in students.values()):
        return
    told = []
    for each in constraints:
        if each.metric.source is Source.ISOLATED:
            values = {name: isolated[each.metric.name] or 0.0 for name, isolated in students.items()}
            nearest = min(values, key=lambda name: (each.violation(values[name]), name))
            told.append(f"{each.text} ({values[nearest]:.4g} for {nearest} comes nearest)")
    raise ValueError(f"search.constraints: no student of the space keeps {' and '.join(told)}")
