"""Maps of what was transferred: layers against layers, classes, and what goes with accuracy."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.plots_transfer import taught_methods
from analysis.ranking import KD_METHOD
from analysis.results import StudyResults
from analysis.students import LABELS_METHOD, method_title, sizes
from analysis.theme import DIVERGING, figure, note_figure, template
from analysis.transfer_findings import MEASURES, Configuration, Correlation, configurations, correlations
from analysis.transfer_records import ClassTransfer, LayerMatrix, TransferRecord
from analysis.wording import count

LAYERS_QUESTION = "Which layers of the student do the work of which layers of the teacher (CKA)?"
ACCURACY_QUESTION = "Which of it goes with accuracy among students of one size?"
CLASSES_QUESTION = "On which classes does a student part from the teacher, and how far are they from the boundary?"

MAX_SIZES = 4
MAX_METHODS = 4
MAX_ROWS = 24
_Item = TypeVar("_Item")
# The upper half of it: from a light grey to blue, on which numbers can be read.
_FROM_ZERO = tuple((2.0 * place - 1.0, color) for place, color in DIVERGING if place >= 0.5)


def layers_figure(results: StudyResults, record: TransferRecord) -> go.Figure:
    """Linear CKA of each pair of layers: a column for each size, a row for each method, means over seeds."""
    if not any(student.cka.teacher_layers for student in record.students):
        return note_figure(LAYERS_QUESTION, "The teacher is several networks, which have no layers in common.")
    named = sizes(results)
    found = sorted(configurations(record), key=lambda each: named.position(each.model_key))
    keys = _spread(list(dict.fromkeys(each.model_key for each in found)), MAX_SIZES)
    names = _foremost(found)
    drawn = make_subplots(
        rows=len(names), cols=len(keys), column_titles=[named.name(key) for key in keys],
        row_titles=[method_title(name) for name in names], shared_xaxes=True, shared_yaxes=True,
        horizontal_spacing=0.03, vertical_spacing=min(0.16, 0.5 / len(names)),
    )  # fmt: skip
    drawn.update_layout(
        template=template(), title_text=LAYERS_QUESTION, height=200 + 230 * len(names),
        coloraxis={"colorscale": _FROM_ZERO, "cmin": 0.0, "cmax": 1.0, "showscale": False},
        margin={"l": 100, "r": 40, "t": 90, "b": 90},
    )  # fmt: skip
    drawn.update_annotations(font_size=12)
    for row, name in enumerate(names, start=1):
        for column, key in enumerate(keys, start=1):
            matrices = [s.cka for each in found if (each.model_key, each.method) == (key, name) for s in each.runs]
            if matrices:
                drawn.add_trace(_heat_map(matrices), row=row, col=column)
    drawn.update_xaxes(showgrid=False, tickangle=-45)
    drawn.update_xaxes(title_text="teacher's layer", row=len(names), col=(len(keys) + 1) // 2)
    drawn.update_yaxes(title_text="student's layer", col=1)
    drawn.update_yaxes(showgrid=False, autorange="reversed")
    return drawn


def classes_figure(results: StudyResults, record: TransferRecord) -> go.Figure:
    """By class and configuration, means over seeds. Left: share of images with another answer. Right: distance."""
    named, names = sizes(results), taught_methods(configurations(record))
    ordered = sorted(
        configurations(record), key=lambda each: (named.position(each.model_key), names.index(each.method))
    )
    found = _spread(ordered, MAX_ROWS)
    labels = [each.label for each in record.teacher.classes]
    # The trial tells apart two configurations of one network and one method.
    rows = [f"{named.name(each.model_key)}, {method_title(each.method)} ({each.trial})" for each in found]
    apart = [[_of_class(each, label, _disagreement) for label in labels] for each in found]
    distances = [[_of_class(each, label, _distance) for label in labels] for each in found]
    theirs = [each.boundary_distance for each in record.teacher.classes]
    drawn = make_subplots(
        rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.04,
        subplot_titles=["says otherwise (%)", "distance"],
    )  # fmt: skip
    drawn.add_trace(_class_map([[None] * len(labels), *apart], ["teacher", *rows], labels, 100.0, "coloraxis"), 1, 1)
    drawn.add_trace(_class_map([theirs, *distances], ["teacher", *rows], labels, 1.0, "coloraxis2"), 1, 2)
    scales = {"colorscale": _FROM_ZERO, "cmin": 0.0, "showscale": False}
    drawn.update_layout(
        template=template(), title_text=CLASSES_QUESTION, height=180 + 30 * (len(rows) + 1),
        coloraxis=scales, coloraxis2=scales, margin={"t": 100},
    )  # fmt: skip
    drawn.update_xaxes(title_text="class", type="category", showgrid=False)
    drawn.update_yaxes(autorange="reversed", showgrid=False)
    return drawn


def accuracy_figure(results: StudyResults, record: TransferRecord) -> go.Figure:
    """Spearman's correlation of each measure with accuracy, a column for each size; a star where it is told from 0."""
    named, found = sizes(results), correlations(record)
    keys = sorted({each.model_key for each in found}, key=named.position)
    counts = {key: sum(student.student.model.key == key for student in record.students) for key in keys}
    by_place = {(each.measure, each.model_key): each for each in found}
    rows = [[by_place[name, key] for key in keys] for name in MEASURES]
    drawn = figure(ACCURACY_QUESTION)
    drawn.add_trace(
        go.Heatmap(
            z=[[each.coefficient for each in row] for row in rows],
            x=[f"{named.labels.get(key, key)}<br>{count(counts[key], 'student')}" for key in keys],
            y=[measure.label for measure in MEASURES.values()],
            text=[[_cell(each) for each in row] for row in rows],
            texttemplate="%{text}", colorscale=DIVERGING, zmin=-1.0, zmax=1.0, xgap=2, ygap=2, hoverongaps=False,
            hovertemplate="%{y}<br>%{x}<br>%{z:+.2f}<extra></extra>", showscale=False,
        )
    )  # fmt: skip
    drawn.update_layout(height=200 + 30 * len(MEASURES), margin={"t": 60})
    axis_title = f"{named.axis_title} (*: its own 95 % interval leaves out 0)"
    drawn.update_xaxes(title_text=axis_title, type="category", showgrid=False)
    drawn.update_yaxes(autorange="reversed", showgrid=False)
    return drawn


def _cell(found: Correlation) -> str:
    return "" if found.coefficient is None else f"{found.coefficient:+.2f}{' *' if found.is_told_from_0 else ''}"


def _foremost(found: Sequence[Configuration]) -> list[str]:
    """The methods that are drawn: labels-only, classic distillation, then those of the most accurate students."""
    reached = {
        name: _mean([run.accuracy for each in found if each.method == name for run in each.runs]) or 0.0
        for name in taught_methods(found)
    }
    first = (LABELS_METHOD, KD_METHOD)
    ordered = sorted(reached, key=lambda name: (first.index(name) if name in first else len(first), -reached[name]))
    return ordered[:MAX_METHODS]


def _class_map(
    rows: Sequence[Sequence[float | None]], names: Sequence[str], labels: Sequence[int], factor: float, color_axis: str
) -> go.Heatmap:
    values = [[None if value is None else factor * value for value in row] for row in rows]
    return go.Heatmap(
        z=values, x=[str(label) for label in labels], y=list(names), coloraxis=color_axis, xgap=2, ygap=2,
        text=[["" if value is None else f"{value:.1f}" for value in row] for row in values], texttemplate="%{text}",
        hovertemplate="%{y}<br>class %{x}<br>%{z:.3g}<extra></extra>", hoverongaps=False,
    )  # fmt: skip


def _of_class(each: Configuration, label: int, value: Callable[[ClassTransfer], float | None]) -> float | None:
    """Mean over the seeds of something about one class."""
    return _mean([value(found) for run in each.runs for found in run.classes if found.label == label])


def _disagreement(found: ClassTransfer) -> float | None:
    return None if found.agreement is None else 1.0 - found.agreement


def _distance(found: ClassTransfer) -> float | None:
    return found.boundary_distance


def _heat_map(matrices: Sequence[LayerMatrix]) -> go.Heatmap:
    """The mean of the seeds' matrices; the networks are the same, and so are their layers."""
    first = matrices[0]
    rows: list[list[float | None]] = []
    for mine in first.student_layers:
        of_seeds = [[each.of(mine, its) for each in matrices] for its in first.teacher_layers]
        rows.append([_mean(values) for values in of_seeds])
    return go.Heatmap(
        z=rows, x=first.teacher_layers, y=first.student_layers, coloraxis="coloraxis", xgap=2, ygap=2,
        text=[["" if value is None else f"{value:.2f}" for value in row] for row in rows], texttemplate="%{text}",
        hovertemplate="student's %{y}<br>teacher's %{x}<br>CKA %{z:.3f}<extra></extra>", hoverongaps=False,
    )  # fmt: skip


def _spread(items: list[_Item], most: int) -> list[_Item]:
    """At most so many of the items, evenly, first and last among them."""
    if len(items) <= most:
        return items
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
