"""How test accuracy changes along one parameter, method by method: the best of each kind over fresh seeds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.comparisons import SIGNIFICANT, holm
from analysis.findings import accuracy
from analysis.kinds import METHOD, Value, best_of_kind, common_names, further_names, is_number, kind_names, values_of
from analysis.ranking import KD_METHOD
from analysis.results import StudyResults
from analysis.statistics import Estimate, mean_interval
from analysis.students import LABELS_METHOD
from analysis.verified import Verified, image_step
from analysis.wording import parameter_text
from trainables.config import EVERY_CLASS
from trainables.records import TrialRecord

OMITTED = "omitted_class"
TEMPERATURE = "temperature"
ALL_IMAGES = "all test images"
_ENOUGH_FOR_A_CURVE = 3


@dataclass(frozen=True, slots=True)
class Point:
    """A kind of student at one value of the parameter: accuracies of its fresh seeds, by training seed.

    `step` is one image as a share of those that were counted; `num_rivals`, of how many verified kinds it is the one
    with the best validation accuracy in the search, where kinds were told apart by more than the curve shows.
    """

    x: Value
    trial: TrialRecord
    by_seed: Mapping[int, float]
    step: float
    num_rivals: int = 1

    @property
    def accuracy(self) -> Estimate:
        """The mean over the seeds."""
        return mean_interval(list(self.by_seed.values()), least_deviation=self.step)

    def less(self, other: "Point") -> Estimate | None:
        """The mean difference over the seeds that both have; None where they share none."""
        gains = [value - other.by_seed[seed] for seed, value in self.by_seed.items() if seed in other.by_seed]
        return mean_interval(gains, least_deviation=max(self.step, other.step)) if gains else None


@dataclass(frozen=True, slots=True)
class Line:
    """The points of one kind, ascending; `rest` are the values of what makes it one beside the method."""

    name: str
    method: str
    rest: tuple[Value | None, ...]
    points: tuple[Point, ...]

    def at(self, x: Value) -> Point | None:
        """The point there."""
        return next((point for point in self.points if point.x == x), None)


@dataclass(frozen=True, slots=True)
class Difference:
    """A line less another one at one value of the parameter; p is corrected by Holm for all of the curves'."""

    x: Value
    line: str
    reference: str
    gain: Estimate
    p_value: float | None = None

    @property
    def is_decided(self) -> bool:
        """Whether the seeds tell the two apart."""
        return self.p_value is not None and self.p_value < SIGNIFICANT


@dataclass(frozen=True, slots=True)
class Curves:
    """Lines over the values of one parameter, ascending, and their differences."""

    parameter: str
    values: tuple[Value, ...]
    lines: tuple[Line, ...]
    differences: tuple[Difference, ...]
    counted: str = ALL_IMAGES


def curves(results: StudyResults) -> Curves | None:
    """Test accuracy along the parameter that has the most values, numbers before text, the last named of equals.

    One line for each method and each combination of the others that every kind has. What not every kind has, such as a
    temperature, is tuned over: of those kinds the one with the best validation accuracy in the search.

    Returns:
        None where there are no such kinds: nothing but method and network tells them apart, and there are fewer than
        three values, so that a ranking says it all.
    """
    parameter = curve_parameter(results)
    if parameter is None:
        return None
    best = best_of_kind(results)
    made = with_differences(parameter, lines_of(best, line_names(results, parameter), _parameter_of(parameter)))
    is_ranked = METHOD in kind_names(results) and not further_names(results)
    return None if is_ranked and len(made.values) < _ENOUGH_FOR_A_CURVE else made


def omitted_curves(results: StudyResults) -> Curves | None:
    """The same on the images of the very class that a student was never shown; None where no class was left out."""
    whole = curves(results)
    if whole is None or whole.parameter != OMITTED:
        return None
    verified = {each.trial.number: each for each in best_of_kind(results)}
    lines = [
        replace(
            line, points=tuple(on for each in line.points if (on := _on_omitted(each, verified[each.trial.number])))
        )
        for line in whole.lines
    ]
    return replace(with_differences(OMITTED, lines), counted="the class never shown")


def curve_parameter(results: StudyResults) -> str | None:
    """What stands along the axis; a temperature does only where there is nothing else."""
    best = best_of_kind(results)
    values = {name: set(values_of(name, best)) for name in common_names(results)}
    varying = [name for name in values if len(values[name]) > 1]
    several = [name for name in varying if name != TEMPERATURE] or varying

    def rank(name: str) -> tuple[bool, int, int]:
        return all(map(is_number, values[name])), len(values[name]), several.index(name)

    return max(several, key=rank, default=None)


def line_names(results: StudyResults, parameter: str) -> tuple[str, ...]:
    """The parameters that make a line beside its method; those that some kinds lack, and temperatures, are tuned."""
    best = best_of_kind(results)
    varying = [name for name in common_names(results) if len(set(values_of(name, best))) > 1]
    return tuple(name for name in varying if name not in {parameter, TEMPERATURE})


def lines_of(
    best: Sequence[Verified], names: Sequence[str], x_of: Callable[[Verified], Value | None]
) -> tuple[Line, ...]:
    """The kinds as lines, labels only first.

    Args:
        best: of their kinds.
        names: of the parameters that make a line beside the method.
        x_of: where each stands; None: nowhere.
    """
    grouped: dict[tuple[str, tuple[Value | None, ...]], dict[Value, list[Verified]]] = {}
    for each in best:
        x, key = x_of(each), (each.method, tuple(each.trial.parameter(name) for name in names))
        if x is not None and each.by_seed("accuracy"):
            grouped.setdefault(key, {}).setdefault(x, []).append(each)
    order = sorted(grouped, key=lambda key: (key[0] != LABELS_METHOD, key[0], list(map(_place, key[1]))))
    return tuple(
        Line(
            line_name(key[0], dict(zip(names, key[1], strict=True))),
            key[0],
            key[1],
            tuple(point_of(x, grouped[key][x]) for x in ordered(grouped[key])),
        )
        for key in order
    )


def with_differences(parameter: str, lines: Sequence[Line]) -> Curves:
    """The lines with the comparisons of all methods that share their place and the rest, corrected together.

    They are compared with labels alone; with kd, or the first of them, where there are none.
    """
    raw = []
    for line in lines:
        alike = {each.method: each for each in lines if each.rest == line.rest}
        reference = alike.get(LABELS_METHOD) or alike.get(KD_METHOD) or next(iter(alike.values()))
        raw += differences(line, reference) if line is not reference else []
    values = ordered(point.x for line in lines for point in line.points)
    return Curves(parameter, values, tuple(lines), corrected(raw))


def differences(line: Line, reference: Line) -> list[Difference]:
    """A line less another one wherever both have a point, not corrected yet."""
    compared = [(point, other) for point in line.points if (other := reference.at(point.x)) is not None]
    return [
        Difference(point.x, line.name, reference.name, gain)
        for point, other in compared
        if (gain := point.less(other)) is not None
    ]


def corrected(raw: Sequence[Difference]) -> tuple[Difference, ...]:
    """The differences as one family, their p values corrected by Holm."""
    p_values = holm([each.gain.p_value for each in raw])
    return tuple(replace(each, p_value=p_value) for each, p_value in zip(raw, p_values, strict=True))


def line_name(method: str, rest: Mapping[str, Value | None]) -> str:
    """A line in a legend or a sentence: "kd, width 8"."""
    taught = "labels only" if method == LABELS_METHOD else method
    return ", ".join([taught, *(f"{name.replace('_', ' ')} {_text(name, value)}" for name, value in rest.items())])


def _text(name: str, value: Value | None) -> str:
    is_share = name.endswith("_share") and isinstance(value, int | float)
    return f"{100 * float(value):.4g} %" if is_share and value is not None else parameter_text(value)


def point_of(x: Value, rivals: Sequence[Verified]) -> Point:
    """Of several kinds at one place the one that the search found best on validation images."""
    chosen = max(rivals, key=lambda each: (accuracy(each.trial), -each.trial.number))
    return Point(x, chosen.trial, by_training_seed(chosen), image_step(chosen.runs), len(rivals))


def by_training_seed(verified: Verified) -> dict[int, float]:
    """Test accuracy of each run that did not fail, by the seed that it was trained with."""
    return {run.student.training.seed: run.on_test.accuracy for run in verified.runs if run.on_test is not None}


def ordered(values: Iterable[Value]) -> tuple[Value, ...]:
    """Each once: numbers ascending, then text, that of every class first."""
    return tuple(sorted(set(values), key=_place))


def _place(value: Value | None) -> tuple[float, bool, str]:
    is_numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value or 0.0) if is_numeric else float("inf"), value != EVERY_CLASS, "" if is_numeric else str(value)


def _parameter_of(name: str) -> Callable[[Verified], Value | None]:
    return lambda each: each.trial.parameter(name)


def _on_omitted(point: Point, verified: Verified) -> Point | None:
    """The point's accuracies on the images of the class that it stands for; None where there are none of it."""
    if point.x == EVERY_CLASS:
        return None
    place = int(point.x)
    by_class = {run.student.training.seed: run.on_test.accuracy_by_class for run in verified.runs if run.on_test}
    by_seed = {seed: value for seed, each in by_class.items() for value in each[place : place + 1] if value is not None}
    num_classes = max((len(each) for each in by_class.values()), default=0)  # as if they were equally large
    return replace(point, by_seed=by_seed, step=num_classes * point.step) if by_seed else None
