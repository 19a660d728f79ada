"""Pictures of the students: labels against teacher by size, temperature against alpha, and how they learned."""

from collections.abc import Sequence

import plotly.graph_objects as go

from analysis.axes import Scale, log_axis, metric_scale
from analysis.findings import ACCURACY, accuracy, binomial_standard_error, compare_by_size, finished
from analysis.results import StudyResults
from analysis.students import (
    LABELS_METHOD,
    Sizes,
    hover_text,
    loss_option,
    method,
    method_title,
    methods,
    model_key,
    sizes,
)
from analysis.theme import (
    DIVERGING,
    INK,
    MUTED,
    SEQUENTIAL,
    figure,
    method_colors,
    method_symbols,
    note_figure,
)
from analysis.wording import value_text
from trainables.records import TrialRecord

SIZE_QUESTION = "Does the teacher help, and at which size of student?"
TEMPERATURE_QUESTION = "Which temperature and which weight of the teacher (alpha) work?"
_DODGE, _MAX_DODGE = 0.11, 0.42  # of the way from one size to the next: of a method, of all together


def size_figure(results: StudyResults) -> go.Figure:
    """Validation accuracy by architecture: every finished student, and the best of each method with its error."""
    trials = finished(results)
    if not trials:
        return note_figure(SIZE_QUESTION, "No trial has run its full budget yet.")
    drawn = figure(SIZE_QUESTION)
    named = sizes(results)
    teacher = None if results.teacher is None else results.teacher.validation_accuracy
    scale = metric_scale(ACCURACY, [*map(accuracy, trials), teacher])
    names = methods(trials)
    for index, name in enumerate(names):
        offset = min(_DODGE, _MAX_DODGE / len(names)) * (2 * index - (len(names) - 1))
        _add_method_by_size(drawn, results, name, offset, scale)
    ends = [-0.5, len(named.labels) - 0.5]
    if teacher is not None:
        line = {"color": INK, "width": 1, "dash": "dot"}
        level = [scale.place(teacher)] * 2
        name = f"teacher, {value_text(ACCURACY, teacher)}"
        drawn.add_trace(go.Scatter(x=ends, y=level, mode="lines", line=line, name=name, hoverinfo="skip"))
    drawn.update_xaxes(
        title_text=named.axis_title,
        tickvals=list(range(len(named.labels))),
        ticktext=list(named.labels.values()),
        range=ends,
        showgrid=False,
    )
    drawn.update_yaxes(**scale.settings)
    return drawn


def _add_method_by_size(drawn: go.Figure, results: StudyResults, name: str, offset: float, scale: Scale) -> None:
    all_names = methods(results.trials)
    color, symbol = method_colors(all_names)[name], method_symbols(all_names)[name]
    named = sizes(results)
    trials = [trial for trial in finished(results) if method(trial) == name]
    drawn.add_trace(
        go.Scatter(
            x=[named.position(model_key(trial) or "") + offset for trial in trials],
            y=scale.places([accuracy(trial) for trial in trials]),
            mode="markers",
            marker={"color": color, "symbol": symbol, "size": 8},
            opacity=0.3,
            hovertext=[hover_text(trial, results.objectives) for trial in trials],
            hoverinfo="text",
            legendgroup=name,
            showlegend=False,
        )
    )
    best = [(each.model_key, each.best[name]) for each in compare_by_size(results) if name in each.best]
    num_images = results.num_validation_images
    errors = None
    if num_images is not None:
        errors = {
            "type": "data",
            "thickness": 1.5,
            "width": 4,
            "color": color,
            "array": [binomial_standard_error(accuracy(trial), num_images) for _, trial in best],
        }
    drawn.add_trace(
        go.Scatter(
            x=[named.position(key) + offset for key, _ in best],
            y=scale.places([accuracy(trial) for _, trial in best]),
            mode="lines+markers",
            line={"color": color, "width": 2},
            marker={"color": color, "symbol": symbol, "size": 11, "line": {"color": "white", "width": 1}},
            error_y=errors,
            hovertext=[hover_text(trial, results.objectives) for _, trial in best],
            hoverinfo="text",
            name=f"best of {method_title(name)} ({len(trials)} trained)",
            legendgroup=name,
        )
    )


def temperature_figure(results: StudyResults) -> go.Figure:
    """Distilled students by temperature and alpha; coloured by their gain over labels-only at the same size.

    Where some size has no labels-only student to compare with, the colour is the accuracy itself.
    """
    trials = [
        trial
        for trial in finished(results)
        if loss_option(trial, "temperature") is not None and loss_option(trial, "alpha") is not None
    ]
    if not trials:
        return note_figure(TEMPERATURE_QUESTION, "No finished student has a temperature and an alpha.")
    drawn = figure(TEMPERATURE_QUESTION)
    named = sizes(results)
    gains = _gains_in_points(results, trials)
    colors = [accuracy(trial) for trial in trials] if gains is None else gains
    for position, (key, label) in enumerate(named.labels.items()):
        chosen = [index for index, trial in enumerate(trials) if model_key(trial) == key]
        if chosen:
            _add_size(
                drawn,
                results,
                [trials[i] for i in chosen],
                [colors[i] for i in chosen],
                position=position,
                num_sizes=len(named.labels),
            )
            drawn.add_trace(_size_legend(named, label, position))
    drawn.update_layout(coloraxis=_color_axis(gains), legend={"itemsizing": "trace", "tracegroupgap": 0})
    temperatures = [value for trial in trials if (value := loss_option(trial, "temperature")) is not None]
    drawn.update_xaxes(**log_axis("temperature (log scale)", temperatures))
    drawn.update_yaxes(title_text="alpha (weight of the teacher)", range=[-0.07, 1.07])
    return drawn


def _gains_in_points(results: StudyResults, trials: Sequence[TrialRecord]) -> list[float] | None:
    baselines = {
        each.model_key: accuracy(each.best[LABELS_METHOD])
        for each in compare_by_size(results)
        if LABELS_METHOD in each.best
    }
    keys = [model_key(trial) or "" for trial in trials]
    if any(key not in baselines for key in keys):
        return None
    return [100.0 * (accuracy(trial) - baselines[key]) for trial, key in zip(trials, keys, strict=True)]


def _color_axis(gains: Sequence[float] | None) -> dict[str, object]:
    bar = {"thickness": 14, "len": 0.9, "outlinewidth": 0}
    if gains is None:
        title = "validation<br>accuracy (%)"
        return {"colorscale": SEQUENTIAL, "colorbar": bar | {"title": {"text": title}, "tickformat": ".1%"}}
    widest = max(abs(gain) for gain in gains) or 1.0
    title = "gain over<br>labels only<br>(points)"
    return {
        "colorscale": DIVERGING,
        "cmin": -widest,
        "cmax": widest,
        "colorbar": bar | {"title": {"text": title}, "tickformat": ".2~f"},
    }


def _diameter(position: int, num_sizes: int) -> float:
    return 7.0 + 9.0 * position / max(1, num_sizes - 1)


def _add_size(
    drawn: go.Figure,
    results: StudyResults,
    trials: Sequence[TrialRecord],
    colors: Sequence[float],
    *,
    position: int,
    num_sizes: int,
) -> None:
    drawn.add_trace(
        go.Scatter(
            x=[loss_option(trial, "temperature") for trial in trials],
            y=[loss_option(trial, "alpha") for trial in trials],
            mode="markers",
            marker={
                "color": colors,
                "coloraxis": "coloraxis",
                "size": _diameter(position, num_sizes),
                "opacity": 0.9,
                "line": {"color": MUTED, "width": 1},
            },
            hovertext=[hover_text(trial, results.objectives) for trial in trials],
            hoverinfo="text",
            legendgroup=str(position),
            showlegend=False,
        )
    )


def _size_legend(named: Sizes, label: str, position: int) -> go.Scatter:
    marker = {"color": "#e9ebed", "size": _diameter(position, len(named.labels)), "line": {"color": MUTED, "width": 1}}
    name = f"{named.noun} {label}".strip()
    return go.Scatter(x=[None], y=[None], mode="markers", marker=marker, name=name, legendgroup=str(position))
