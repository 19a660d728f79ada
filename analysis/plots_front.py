"""The front as a picture: the cost of a student against its quality, and where the teacher stands."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from analysis.axes import Scale, metric_scale
from analysis.findings import ACCURACY, binomial_standard_error, latency_of, median_interval
from analysis.pareto import candidates, cost_metric
from analysis.results import StudyResults
from analysis.students import hover_text, method, method_title, methods, model_key, sizes
from analysis.theme import FAINT, INK, MUTED, figure, method_colors, method_symbols, note_figure
from analysis.wording import value_text
from trainables.metrics import Direction, Metric, latency_batch_size, latency_name
from trainables.records import TrialRecord, TrialState

FADED = 0.3


def front_axes(objectives: Sequence[Metric]) -> tuple[Metric, Metric]:
    """Which two of the objectives make the picture: the cost along x, the first other one along y."""
    x = cost_metric(objectives)
    return x, next((each for each in objectives if each is not x), x)


def front_question(x: Metric, y: Metric) -> str:
    """What a picture of two metrics asks."""
    return f"Which students give the best {y.label} for their {x.label}?"


def front_figure(results: StudyResults) -> go.Figure:
    """Every finished student by cost and quality, with the front, the teacher, and bars of uncertainty on the front."""
    x, y = front_axes(results.objectives)
    question = front_question(x, y)
    finished = candidates(results.trials, results.objectives)
    if x is y:
        return note_figure(question, "The study has one objective, so that there is no front to draw.")
    if not finished:
        return note_figure(question, "No trial has run its full budget yet.")
    drawn = figure(question)
    across, up = (plane_side(each, finished, results.teacher_metrics.get(each.name)) for each in (x, y))
    if len(results.objectives) == 2:
        drawn.add_trace(step_line(results.front, across, up, color=MUTED, name="front"))
    for name in methods(finished):
        _add_method(drawn, results, [trial for trial in finished if method(trial) == name], across, up)
    _add_stopped(drawn, results, across, up)
    _add_teacher(drawn, results, across, up)
    drawn.update_xaxes(**across.scale.settings)
    drawn.update_yaxes(**up.scale.settings)
    return drawn


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two metrics of a picture, on its scale."""

    metric: Metric
    scale: Scale

    def places(self, trials: Sequence[TrialRecord]) -> list[float | None]:
        """Where the trials stand along this side."""
        return self.scale.places([trial.metrics.get(self.metric.name) for trial in trials])


def plane_side(metric: Metric, trials: Sequence[TrialRecord], *others: float | None) -> Side:
    """A side that is long enough for the trials and for the `others`."""
    return Side(metric, metric_scale(metric, [*(trial.metrics.get(metric.name) for trial in trials), *others]))


def step_line(trials: Sequence[TrialRecord], x: Side, y: Side, *, color: str, name: str) -> go.Scatter:
    """What the front attains: at each x the best y that some student on it reaches."""
    ordered = sorted(
        trials, key=lambda trial: (trial.metrics[x.metric.name] or 0.0, trial.metrics[y.metric.name] or 0.0)
    )
    return go.Scatter(
        x=x.places(ordered),
        y=y.places(ordered),
        mode="lines",
        line={"color": color, "width": 1.5, "shape": "hv" if x.metric.direction is Direction.MINIMIZE else "vh"},
        name=name,
        hoverinfo="skip",
    )


def _add_method(drawn: go.Figure, results: StudyResults, trials: Sequence[TrialRecord], x: Side, y: Side) -> None:
    """Two traces: the dominated students, faded, and those on the front with their bars; one legend entry."""
    names = methods(results.trials)
    name = method(trials[0])
    color, symbol = method_colors(names)[name], method_symbols(names)[name]
    labels = sizes(results).labels
    on_front = {trial.number for trial in results.front}
    for is_front in (False, True):
        chosen = [trial for trial in trials if (trial.number in on_front) is is_front]
        drawn.add_trace(
            go.Scatter(
                x=x.places(chosen),
                y=y.places(chosen),
                mode="markers+text" if is_front else "markers",
                text=[labels.get(model_key(trial) or "", "") for trial in chosen] if is_front else None,
                textposition="top left",
                textfont={"color": INK, "size": 12},
                marker={"color": color, "symbol": symbol, "size": 11, "line": {"color": "white", "width": 1}},
                opacity=1.0 if is_front else FADED,
                error_x=_x_bars(results, chosen, x.metric) if is_front else None,
                error_y=_y_bars(results, chosen, y.metric) if is_front else None,
                hovertext=[hover_text(trial, results.objectives) for trial in chosen],
                hoverinfo="text",
                showlegend=False,
                legendgroup=name,
            )
        )
    marker = {"color": color, "symbol": symbol, "size": 11}
    drawn.add_trace(
        go.Scatter(x=[None], y=[None], mode="markers", marker=marker, name=method_title(name), legendgroup=name)
    )


def _x_bars(results: StudyResults, trials: Sequence[TrialRecord], x: Metric) -> dict[str, object] | None:
    """Where a median latency lies: its 95 % interval, wider where it did not settle."""
    batch_size = latency_batch_size(x.name)
    if batch_size is None or x.name != latency_name(50, batch_size):
        return None
    arms = []
    for trial in trials:
        measured = latency_of(results, trial, batch_size)
        low, high = (0.0, 0.0) if measured is None else median_interval(measured)
        arms.append((0.0, 0.0) if measured is None else (measured.p50_ms - low, high - measured.p50_ms))
    return {
        "type": "data", "symmetric": False, "thickness": 1, "width": 3, "color": MUTED,
        "array": [above for _, above in arms],
        "arrayminus": [below for below, _ in arms],
    }  # fmt: skip


def _y_bars(results: StudyResults, trials: Sequence[TrialRecord], y: Metric) -> dict[str, object] | None:
    """One binomial standard error of an accuracy."""
    num_images = results.num_validation_images
    if y.name != ACCURACY.name or num_images is None:
        return None
    errors = [binomial_standard_error(trial.metrics[y.name] or 0.0, num_images) for trial in trials]
    return {"type": "data", "array": errors, "thickness": 1, "width": 3, "color": MUTED}


def _add_stopped(drawn: go.Figure, results: StudyResults, x: Side, y: Side) -> None:
    stopped = [
        trial
        for trial in results.trials
        if trial.state is TrialState.PRUNED and None not in {trial.metrics.get(each.metric.name) for each in (x, y)}
    ]
    if stopped:
        drawn.add_trace(
            go.Scatter(
                x=x.places(stopped),
                y=y.places(stopped),
                mode="markers",
                marker={"color": FAINT, "symbol": "x-thin", "size": 8, "line": {"color": MUTED, "width": 1.5}},
                hovertext=[hover_text(trial, results.objectives) for trial in stopped],
                hoverinfo="text",
                name="stopped early (click to show)",
                visible="legendonly",
            )
        )


def _add_teacher(drawn: go.Figure, results: StudyResults, x: Side, y: Side) -> None:
    across, up = (results.teacher_metrics.get(each.metric.name) for each in (x, y))
    if up is not None:
        drawn.add_hline(y=y.scale.place(up), line={"color": INK, "width": 1, "dash": "dot"}, opacity=0.6)
    if across is not None and up is not None:
        texts = [f"{each.metric.label}: {value_text(each.metric, value)}" for each, value in ((y, up), (x, across))]
        drawn.add_trace(
            go.Scatter(
                x=[x.scale.place(across)],
                y=[y.scale.place(up)],
                mode="markers",
                name="teacher",
                hovertext=[f"<b>teacher</b><br>{'<br>'.join(texts)}"],
                hoverinfo="text",
                marker={"color": INK, "symbol": "star", "size": 16},
            )
        )
