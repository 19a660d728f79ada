"""Curves over studies that differ in their teacher: its size, its training, its accuracy, and assistants below it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from analysis.capacity import Curves, Difference, Line, Point, corrected, differences, line_names, lines_of, ordered
from analysis.capacity_axes import place_name
from analysis.kinds import Value, best_of_kind, is_number, kind_names
from analysis.results import StudyResults
from analysis.students import LABELS_METHOD
from trainables.later_fields import without_later_fields
from trainables.records import TeacherRecord
from trainables.teacher_config import ENSEMBLE

# What may stand along the axis.
TEACHER_AXES: Mapping[str, Callable[[TeacherRecord], object]] = {
    "width": lambda record: None if record.model.name == ENSEMBLE else record.model.options.get("width"),
    "parameters": lambda record: record.num_parameters,
    "epochs": lambda record: record.epochs or None,  # None: trained elsewhere
    "accuracy": lambda record: record.validation_accuracy,
}
_ALIKE = ("dataset", "space", "seed", "search")  # fields of the configuration


def studies_curves(studies: Mapping[str, StudyResults], axis: str | None = None) -> Curves:
    """Test accuracy of the students along their teachers, each study a place; their seeds are those of one another.

    A method is compared with labels alone, with itself under the same teacher without assistants, and with itself under
    the first teacher; all as one family.

    Args:
        studies: by name; alike in all but teacher and assistants.
        axis: a name of `TEACHER_AXES`; None: the size or the epochs, whichever differs, the accuracy if both do.

    Raises:
        ValueError: a study has no verified kinds, two are not alike or have the same teacher, or there is no such axis;
            the message names them.
    """
    _check_alike(studies)
    name = _axis(studies, axis)
    merged: dict[tuple[str, tuple[Value | None, ...]], dict[Value, Point]] = {}
    names: dict[tuple[str, tuple[Value | None, ...]], str] = {}
    for study, results in studies.items():
        x = _value(study, results, name)
        for line in lines_of(best_of_kind(results), line_names(results, ""), lambda _, x=x: x):  # type: ignore[misc]
            assisted = "" if line.method == LABELS_METHOD else _assistants(results)
            key = (line.method, (*line.rest, assisted))
            if x in merged.get(key, {}) and line.method != LABELS_METHOD:
                raise ValueError(f"{study}: another study has the same teacher, {place_name(f'teacher_{name}', x)}")
            merged.setdefault(key, {}).setdefault(x, line.points[0])
            names[key] = f"{line.name}, {assisted}" if assisted else line.name
    lines = [
        Line(names[key], key[0], key[1], tuple(points[x] for x in ordered(points))) for key, points in merged.items()
    ]
    lines.sort(key=lambda line: (line.method != LABELS_METHOD, line.name))
    values = ordered(x for points in merged.values() for x in points)
    raw = [each for line in lines for each in _compared(line, lines, name)]
    return Curves(f"teacher_{name}", values, tuple(lines), corrected(raw))


def teachers_table(studies: Mapping[str, StudyResults]) -> pd.DataFrame:
    """A row a study: its teacher, and the assistants that stand between it and the students."""
    rows = [
        {
            "study": study,
            "teacher": results.teacher.model.key,
            **{name: value(results.teacher) for name, value in TEACHER_AXES.items() if name != "width"},
            "assistants": _assistants(results) or "none",
        }
        for study, results in studies.items()
        if results.teacher is not None
    ]
    return pd.DataFrame(rows)


def curves_table(curves: Curves) -> pd.DataFrame:
    """A row a point of each line, with each of its differences in a row of its own."""
    rows: list[dict[str, object]] = []
    for line in curves.lines:
        for point in line.points:
            found = [each for each in curves.differences if (each.line, each.x) == (line.name, point.x)]
            rows += [_row(curves, line, point, each) for each in [*found, *([] if found else [None])]]
    return pd.DataFrame(rows)


def _row(curves: Curves, line: Line, point: Point, difference: Difference | None) -> dict[str, object]:
    accuracy, gain = point.accuracy, None if difference is None else difference.gain
    return {
        curves.parameter: point.x,
        "students": line.name,
        "test_accuracy": accuracy.mean,
        "test_accuracy_low": accuracy.low,
        "test_accuracy_high": accuracy.high,
        "num_seeds": accuracy.num_values,
        "compared_with": None if difference is None else difference.reference,
        "difference": None if gain is None else gain.mean,
        "difference_low": None if gain is None else gain.low,
        "difference_high": None if gain is None else gain.high,
        "p_holm": None if difference is None else difference.p_value,
    }


def _compared(line: Line, lines: Sequence[Line], name: str) -> list[Difference]:
    """A distilled line's comparisons, not corrected yet."""
    if line.method == LABELS_METHOD:
        return []
    *rest, assisted = line.rest
    labels = next((each for each in lines if each.method == LABELS_METHOD and list(each.rest[:-1]) == rest), None)
    alone = next((each for each in lines if each.method == line.method and each.rest == (*rest, "")), None)
    found = [] if labels is None else differences(line, labels)
    found += differences(line, alone) if assisted and alone is not None else []
    first = line.points[0]
    itself = Line(f"itself at {place_name(f'teacher_{name}', first.x)}", line.method, line.rest, ())
    moved = replace(itself, points=tuple(replace(first, x=point.x) for point in line.points[1:]))
    return [*found, *differences(line, moved)]


def _check_alike(studies: Mapping[str, StudyResults]) -> None:
    first = next(iter(studies))
    for study, results in studies.items():
        if results.teacher is None or not best_of_kind(results):
            raise ValueError(f'{study}: no best student of a kind was verified (verify.best_of = ["method"], say)')
        for field in _ALIKE:
            asked = [without_later_fields(each.record.config.get(field)) for each in (results, studies[first])]
            if asked[0] != asked[1]:
                raise ValueError(f"{study} and {first} differ in {field}: only their teachers and assistants may")
        if kind_names(results) != kind_names(studies[first]):
            raise ValueError(f"{study} and {first} differ in verify.best_of: only their teachers and assistants may")


def _axis(studies: Mapping[str, StudyResults], axis: str | None) -> str:
    if axis is not None:
        if axis not in TEACHER_AXES:
            raise ValueError(f'there is no "{axis}" of a teacher: allowed are {", ".join(TEACHER_AXES)}')
        return axis
    teachers = [results.teacher for results in studies.values() if results.teacher is not None]

    def differs(name: str) -> bool:
        return len({TEACHER_AXES[name](each) for each in teachers}) > 1

    size = "width" if all(is_number(TEACHER_AXES["width"](each)) for each in teachers) else "parameters"  # type: ignore[arg-type]
    if differs(size) and differs("epochs"):
        return "accuracy"
    changed = [name for name in (size, "epochs", "parameters", "accuracy") if differs(name)]
    if not changed and len({_assistants(results) for results in studies.values()}) == 1:
        raise ValueError(f"{' and '.join(studies)}: the teachers are all alike, there is nothing to compare")
    return changed[0] if changed else size


def _value(study: str, results: StudyResults, name: str) -> Value:
    value = None if results.teacher is None else TEACHER_AXES[name](results.teacher)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{study}: its teacher has no {name} that is a number")
    return value


def _assistants(results: StudyResults) -> str:
    """The networks between teacher and students in words; empty without any."""
    between = " and ".join(each.model.key for each in results.assistants)
    return f"through {between}" if between else ""
