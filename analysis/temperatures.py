"""Which temperature is best where, and which cannot be told from it: kinds that differ in temperature alone."""

from dataclasses import dataclass, replace

from analysis.capacity import TEMPERATURE, Point, curve_parameter, line_name, line_names, ordered, point_of
from analysis.comparisons import SIGNIFICANT, holm
from analysis.kinds import Value, best_of_kind, kind_names
from analysis.results import StudyResults
from analysis.statistics import Estimate
from analysis.verified import Verified


@dataclass(frozen=True, slots=True)
class TemperatureLevel:
    """A temperature at one place. `behind`: the best temperature there less this one, seed by seed; None of the best.

    p is corrected by Holm for all comparisons with the best ones of all places.
    """

    temperature: float
    point: Point
    behind: Estimate | None
    is_best: bool
    p_value: float | None = None

    @property
    def is_within_noise(self) -> bool:
        """Whether the seeds cannot tell it from the best."""
        return self.p_value is None or self.p_value >= SIGNIFICANT


@dataclass(frozen=True, slots=True)
class Temperatures:
    """The temperatures of one kind at one value of the curves' parameter, ascending; None: there is no such value."""

    line: str
    parameter: str
    x: Value | None
    levels: tuple[TemperatureLevel, ...]

    @property
    def best(self) -> TemperatureLevel:
        """The one with the highest mean, the lowest of equals."""
        return next(level for level in self.levels if level.is_best)


def temperatures(results: StudyResults) -> tuple[Temperatures, ...]:
    """The temperatures of each kind that has them, by line and place; empty where kinds are not told apart by them."""
    if TEMPERATURE not in kind_names(results):
        return ()
    parameter = curve_parameter(results)
    along = None if parameter in {None, TEMPERATURE} else parameter
    names = line_names(results, parameter or "")
    grouped: dict[tuple[str, Value | None], list[Verified]] = {}
    for each in best_of_kind(results):
        if each.trial.parameter(TEMPERATURE) is not None and each.by_seed("accuracy"):
            line = line_name(each.method, {name: each.trial.parameter(name) for name in names})
            x = None if along is None else each.trial.parameter(along)
            grouped.setdefault((line, x), []).append(each)
    lines = list(dict.fromkeys(line for line, _ in grouped))
    places = ordered(x for _, x in grouped if x is not None)
    order = sorted(
        (key for key, row in grouped.items() if len(row) > 1),
        key=lambda key: (lines.index(key[0]), 0 if key[1] is None else places.index(key[1])),
    )
    return _corrected([_temperatures(key, along or "", grouped[key]) for key in order])


def _temperatures(key: tuple[str, Value | None], parameter: str, row: list[Verified]) -> Temperatures:
    points = {
        float(each.trial.parameter(TEMPERATURE) or 0.0): point_of(each.trial.parameter(TEMPERATURE) or 0.0, [each])
        for each in row
    }
    best = max(sorted(points), key=lambda temperature: points[temperature].accuracy.mean)
    levels = [
        TemperatureLevel(each, points[each], None if each == best else points[best].less(points[each]), each == best)
        for each in sorted(points)
    ]
    return Temperatures(key[0], parameter, key[1], tuple(levels))


def _corrected(found: list[Temperatures]) -> tuple[Temperatures, ...]:
    behind = [level.behind for each in found for level in each.levels]
    p_values = iter(holm([None if gain is None else gain.p_value for gain in behind]))
    return tuple(
        replace(each, levels=tuple(replace(level, p_value=next(p_values)) for level in each.levels)) for each in found
    )
