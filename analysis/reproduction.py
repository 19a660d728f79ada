"""The table of a reproduction: what the paper says, beside the mean over seeds with its 95 % interval."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

from pydantic import Field

from analysis.statistics import mean_interval
from trainables.config import Frozen
from trainables.hinton2015 import (
    LABELS,
    NO_THREES,
    ONLY_SEVENS_AND_EIGHTS,
    TEACHER,
    THREE,
    soft_key,
    twin_of,
)
from trainables.hinton2015_results import ErrorCount, ExperimentResult, Hinton2015Record, ShiftedErrors

Value = Callable[[ExperimentResult], float | None]

# Of 300 or more units the paper says that all temperatures above 8 are alike.
HIGH_TEMPERATURE = 8.0


class TableRow(Frozen):
    """One number of the paper and what came of it here; the interval is None with a single seed."""

    what: str
    unit: str = Field(description='"errors" of the test images, "%", "" for a shift of biases or a temperature')
    paper: str = Field(description="as printed; empty where the paper has no number")
    values: tuple[float, ...] = Field(description="one a seed, ascending by seed")
    mean: float
    low: float | None
    high: float | None


def hinton2015_table(record: Hinton2015Record) -> list[TableRow]:
    """The rows for which a seed is finished."""
    soft = soft_key(record.recipe.student_hidden[0], record.recipe.temperature)
    temperature = f"{record.recipe.temperature:g}"
    rows = [
        _row(record, TEACHER, "teacher 1200-1200, dropout, bounded weights, jitter", "errors", "67", _wrong),
        _row(record, LABELS, "student 800-800, labels alone", "errors", "146", _wrong),
        _row(record, soft, f"student 800-800, soft targets at T {temperature}", "errors", "74", _wrong),
        _difference(record, LABELS, soft, f"labels alone, less soft targets at T {temperature}", "72"),
        *_no_threes(record),
        *_only_sevens_and_eights(record),
        *(row for width in record.recipe.widths for row in _width(record, width.units, width.temperatures)),
    ]
    return [row for row in rows if row is not None]


def markdown(rows: Sequence[TableRow]) -> str:
    """The table for people."""
    lines = ["| | paper | mean | 95 % interval | by seed |", "|---|---|---|---|---|"]
    for row in rows:
        interval = "" if row.low is None or row.high is None else f"{_number(row, row.low)} to {_number(row, row.high)}"
        values = ", ".join(_number(row, value, each=True) for value in row.values)
        lines.append(f"| {row.what} | {row.paper} | {_number(row, row.mean)} | {interval} | {values} |")
    return "\n".join(lines)


def _no_threes(record: Hinton2015Record) -> Iterator[TableRow | None]:
    def row(what: str, unit: str, paper: str, value: Value) -> TableRow | None:
        return _row(record, NO_THREES, f"no 3 in the transfer set{what}", unit, paper, value)

    yield row("", "errors", "206", _wrong)
    yield row(": the threes", "errors", "133", lambda each: _of_class(each.on_test, THREE))
    yield _row(
        record, twin_of(NO_THREES), "no 3: its bias raised by, as the twin's validation images say", "", "", _chosen
    )
    yield row(", bias by validation", "errors", "", lambda each: _of_all(_shifted(each)))
    yield row(", bias by validation: the threes", "errors", "", lambda each: _of_class(_shifted(each), THREE))
    yield row(", bias by validation: threes that are right", "%", "", _threes_right)
    yield row(
        ", bias by the test images as in the paper: raised by",
        "",
        "3.5",
        lambda each: _shift(each.on_test_shifted_by_itself),
    )
    yield row(", bias by the test images", "errors", "109", lambda each: _of_all(_on_test(each)))
    yield row(", bias by the test images: the threes", "errors", "14", lambda each: _of_class(_on_test(each), THREE))


def _only_sevens_and_eights(record: Hinton2015Record) -> Iterator[TableRow | None]:
    key = ONLY_SEVENS_AND_EIGHTS

    def row(what: str, unit: str, paper: str, value: Value) -> TableRow | None:
        return _row(record, key, f"only 7s and 8s in the transfer set{what}", unit, paper, value)

    yield row("", "%", "47.3", lambda each: _percent(each.on_test))
    yield _row(
        record,
        twin_of(key),
        "only 7s and 8s: their biases moved by, as the twin's validation images say",
        "",
        "",
        _chosen,
    )
    yield row(", biases by validation", "%", "", lambda each: _percent(_shifted(each)))
    yield row(
        ", biases by the test images as in the paper: moved by",
        "",
        "-7.6",
        lambda each: _shift(each.on_test_shifted_by_itself),
    )
    yield row(", biases by the test images", "%", "13.2", lambda each: _percent(_on_test(each)))


def _width(record: Hinton2015Record, units: int, temperatures: Sequence[float]) -> Iterator[TableRow | None]:
    rows = {
        each: _row(record, soft_key(units, each), f"{units}-{units}, T {each:g}", "errors", "", _wrong)
        for each in temperatures
    }
    yield from rows.values()
    finished = {each: row for each, row in rows.items() if row is not None}
    if len(finished) < len(temperatures):
        return
    best = min(finished, key=lambda each: finished[each].mean)
    claim = "2.5 to 4" if units == 30 else ""
    yield TableRow(
        what=f"{units}-{units}, the T with the fewest errors on average", unit="", paper=claim,
        values=(best,), mean=best, low=None, high=None,
    )  # fmt: skip
    yield _largest_difference(record, units, [each for each in temperatures if each >= HIGH_TEMPERATURE])


def _largest_difference(record: Hinton2015Record, units: int, temperatures: Sequence[float]) -> TableRow | None:
    """Of the high temperatures those two that lie farthest apart: its interval is not corrected for having chosen."""
    claim = "similar" if units >= 300 else ""
    rows = [
        _difference(record, soft_key(units, a), soft_key(units, b), f"{units}-{units}, T {a:g} less T {b:g}: the "
                    f"farthest apart of T {min(temperatures):g} to {max(temperatures):g}", claim)
        for a, b in combinations(temperatures, 2)
    ]  # fmt: skip
    return max((row for row in rows if row is not None), key=lambda row: abs(row.mean), default=None)


def _row(record: Hinton2015Record, key: str, what: str, unit: str, paper: str, value: Value) -> TableRow | None:
    values = {seed: value(result) for seed, result in record.by_seed(key).items()}
    return _of_values(what, unit, paper, {seed: each for seed, each in values.items() if each is not None})


def _difference(record: Hinton2015Record, first: str, second: str, what: str, paper: str) -> TableRow | None:
    """Paired by seed."""
    a, b = record.by_seed(first), record.by_seed(second)
    differences = {seed: float((_wrong(a[seed]) or 0.0) - (_wrong(b[seed]) or 0.0)) for seed in a.keys() & b.keys()}
    return _of_values(what, "errors", paper, differences)


# What is counted comes in steps: one error, or one image of the thousand of a class. Equal counts are no certainty.
_LEAST_DEVIATIONS = {"errors": 1.0, "%": 0.1}


def _of_values(what: str, unit: str, paper: str, by_seed: Mapping[int, float]) -> TableRow | None:
    if not by_seed:
        return None
    values = tuple(by_seed[seed] for seed in sorted(by_seed))
    estimate = mean_interval(values, least_deviation=_LEAST_DEVIATIONS.get(unit, 0.0))
    low, high = estimate.low, estimate.high
    if unit == "%" and low is not None and high is not None:
        low, high = max(low, 0.0), min(high, 100.0)
    return TableRow(what=what, unit=unit, paper=paper, values=values, mean=estimate.mean, low=low, high=high)


def _number(row: TableRow, value: float, *, each: bool = False) -> str:
    if row.unit == "errors":
        return f"{value:.0f}" if each else f"{value:.1f}"
    return f"{value:.1f} %" if row.unit == "%" else f"{value:.3g}"


def _wrong(result: ExperimentResult) -> float | None:
    return _of_all(result.on_test)


def _of_all(errors: ErrorCount | None) -> float | None:
    return None if errors is None else float(errors.num_wrong)


def _of_class(errors: ErrorCount | None, label: int) -> float | None:
    return None if errors is None else float(errors.num_wrong_by_class[label])


def _percent(errors: ErrorCount | None) -> float | None:
    return None if errors is None else 100.0 * errors.fraction


def _shifted(result: ExperimentResult) -> ErrorCount | None:
    return None if result.on_test_shifted is None else result.on_test_shifted.errors


def _on_test(result: ExperimentResult) -> ErrorCount | None:
    return None if result.on_test_shifted_by_itself is None else result.on_test_shifted_by_itself.errors


def _shift(moved: ShiftedErrors | None) -> float | None:
    return None if moved is None else moved.shift


def _chosen(result: ExperimentResult) -> float | None:
    return _shift(result.on_validation_shifted)


def _threes_right(result: ExperimentResult) -> float | None:
    errors = _shifted(result)
    if errors is None:
        return None
    return 100.0 * (1.0 - errors.num_wrong_by_class[THREE] / errors.num_images_by_class[THREE])
