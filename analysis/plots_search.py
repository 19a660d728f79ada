"""Pictures of the search: how the front grew, how its students learned, and which trial ran where and when."""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.axes import Scale, metric_scale
from analysis.findings import ACCURACY
from analysis.hypervolume import hypervolume_steps
from analysis.results import StudyResults
from analysis.students import hover_text, method, method_title, methods
from analysis.theme import BLUE, INK, PAPER, figure, method_colors, note_figure, template
from analysis.timeline import SearchClock, Span, closed_spans, slots_of_spans
from analysis.wording import duration, value_text
from trainables.records import TrialRecord, TrialState

HYPERVOLUME_QUESTION = "Is the search still finding better students?"
LEARNING_QUESTION = "How did the students learn, and which were stopped?"
TIMELINE_QUESTION = "What ran where, and when?"

_STATE_PATTERNS = {TrialState.COMPLETE: "", TrialState.PRUNED: "/", TrialState.FAILED: "x", TrialState.RUNNING: "."}
_STATE_TITLES = {
    TrialState.PRUNED: "stopped early",
    TrialState.FAILED: "failed",
    TrialState.RUNNING: "running or paused",
}


def hypervolume_figure(results: StudyResults) -> go.Figure:
    """Share of the box that the front dominates, after each finished trial and over the seconds of search."""
    steps = hypervolume_steps(results)
    if not steps:
        return note_figure(HYPERVOLUME_QUESTION, "No trial has run its full budget yet.")
    drawn = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.06)
    drawn.update_layout(template=template(), title_text=HYPERVOLUME_QUESTION, showlegend=False, margin={"t": 70})
    timed = [step for step in steps if step.search_seconds is not None]
    for column, chosen in ((1, steps), (2, timed)):
        drawn.add_trace(
            go.Scatter(
                x=[step.num_finished if column == 1 else step.search_seconds for step in chosen],
                y=[step.box_fraction for step in chosen],
                mode="lines+markers",
                line={"color": BLUE, "shape": "hv", "width": 2},
                marker={"size": 6},
                hovertext=[f"<b>trial {step.trial_number}</b><br>{100 * step.box_fraction:.1f} %" for step in chosen],
                hoverinfo="text",
            ),
            row=1,
            col=column,
        )
    drawn.update_xaxes(title_text="finished trials", rangemode="tozero", row=1, col=1)
    drawn.update_xaxes(title_text="search time (s)", rangemode="tozero", row=1, col=2)
    drawn.update_yaxes(title_text="hypervolume (% of the box)", tickformat=".0%", rangemode="tozero", row=1, col=1)
    return drawn


def timeline_figure(results: StudyResults) -> go.Figure:
    """One bar for each stretch that a trial ran, on its slot; pauses between launches are cut out."""
    spans = closed_spans(results.trials)
    ran = [trial for trial in results.trials if trial.number in spans and trial.slot is not None]
    if not ran:
        return note_figure(TIMELINE_QUESTION, "No trial has started yet.")
    slots = slots_of_spans(ran, spans)
    clock = SearchClock.over(span for trial in ran for span in spans[trial.number])
    total = max(clock.seconds(span.end) for trial in ran for span in spans[trial.number])
    scale, unit = (60.0, "min") if total > 600 else (1.0, "s")
    drawn = figure(TIMELINE_QUESTION)
    for name in methods(ran):
        for state in _STATE_PATTERNS:
            chosen = [trial for trial in ran if method(trial) == name and trial.state is state]
            if chosen:
                drawn.add_trace(_bars(results, chosen, spans, slots, clock, scale))
    for pause in clock.pauses:
        drawn.add_vline(x=pause / scale, line={"color": INK, "width": 1, "dash": "dash"})
    rows = sorted({slot for each in slots.values() for slot in each})
    drawn.update_layout(barmode="overlay", bargap=0.25, height=220 + 48 * len(rows))
    drawn.update_xaxes(title_text=f"search time ({unit})", range=[0, 1.01 * total / scale])
    drawn.update_yaxes(
        title_text="slot", tickvals=rows, ticktext=[str(row) for row in rows], autorange="reversed", showgrid=False
    )
    return drawn


def _bars(
    results: StudyResults,
    trials: list[TrialRecord],
    spans: dict[int, tuple[Span, ...]],
    slots: dict[int, tuple[int, ...]],
    clock: SearchClock,
    scale: float,
) -> go.Bar:
    state, name = trials[0].state, method(trials[0])
    color = method_colors(methods(results.trials))[name]
    pieces = [(trial, span) for trial in trials for span in spans[trial.number]]
    starts = [clock.seconds(span.start) for _, span in pieces]
    lengths = [clock.seconds(span.end) - start for (_, span), start in zip(pieces, starts, strict=True)]
    title = _STATE_TITLES.get(state)
    return go.Bar(
        orientation="h",
        base=[start / scale for start in starts],
        x=[length / scale for length in lengths],
        y=[slot for trial in trials for slot in slots[trial.number]],
        text=[str(trial.number) for trial, _ in pieces],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        textfont={"size": 11, "color": "white" if state is TrialState.COMPLETE else INK},
        marker={
            "color": color if state is TrialState.COMPLETE else PAPER,
            "line": {"color": PAPER if state is TrialState.COMPLETE else color, "width": 1},
            "pattern": {
                "shape": _STATE_PATTERNS[state],
                "fgcolor": color,
                "bgcolor": PAPER,
                "size": 9,
                "solidity": 0.12,
            },
        },
        hovertext=[
            f"{hover_text(trial, results.objectives)}<br>{_span_text(span, spans[trial.number])}"
            for trial, span in pieces
        ],
        hoverinfo="text",
        name=method_title(name) if title is None else f"{method_title(name)}, {title}",
    )


def _span_text(span: Span, spans: Sequence[Span]) -> str:
    """How long it was, and which of them, where the trial was paused or cut off."""
    place = "" if len(spans) == 1 else f" (stretch {spans.index(span) + 1} of {len(spans)})"
    return f"ran {duration(span.seconds)}{place}"


def learning_figure(results: StudyResults) -> go.Figure:
    """Validation accuracy after each epoch; students that ran in full as lines, the others dotted up to a cross."""
    curves = {trial.number: _curve(trial) for trial in results.trials}
    values = [value for curve in curves.values() for _, value in curve]
    if not values:
        return note_figure(LEARNING_QUESTION, "No trial has finished an epoch yet.")
    drawn = figure(LEARNING_QUESTION)
    scale, names = metric_scale(ACCURACY, values), methods(results.trials)
    for name in names:
        for in_full in (True, False):
            chosen = [
                trial
                for trial in results.trials
                if method(trial) == name and (trial.state is TrialState.COMPLETE) is in_full and curves[trial.number]
            ]
            if chosen:
                drawn.add_trace(_curves(chosen, scale, method_colors(names)[name], in_full=in_full))
    longest = max(number for curve in curves.values() for number, _ in curve)
    drawn.update_xaxes(title_text="epochs trained", dtick=1 if 2 <= longest <= 15 else None, rangemode="tozero")
    drawn.update_yaxes(**scale.settings)
    return drawn


def _curve(trial: TrialRecord) -> list[tuple[float, float]]:
    points = [(epoch.get("epoch"), epoch.get(ACCURACY.name)) for epoch in trial.epochs]
    return [(number, value) for number, value in points if number is not None and value is not None]


def _curves(trials: Sequence[TrialRecord], scale: Scale, color: str, *, in_full: bool) -> go.Scatter:
    """All curves of one method as one trace, with gaps between them."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    texts: list[str] = []
    is_end: list[bool] = []
    for trial in trials:
        curve = _curve(trial)
        about = f"<b>trial {trial.number}</b>, {'paused' if trial.is_paused else trial.state.value}"
        xs += [*(number for number, _ in curve), None]
        ys += [*scale.places([value for _, value in curve]), None]
        texts += [*(f"{about}, epoch {number:g}<br>{value_text(ACCURACY, value)}" for number, value in curve), ""]
        is_end += [*(index == len(curve) - 1 for index in range(len(curve))), False]
    title = method_title(method(trials[0]))
    return go.Scatter(
        x=xs,
        y=ys,
        mode="lines+markers",
        hovertext=texts,
        hoverinfo="text",
        opacity=0.7,
        line={"color": color, "width": 1.6, "dash": "solid" if in_full else "dot"},
        marker={
            "color": color,
            "size": 5 if in_full else [9 if end else 5 for end in is_end],
            "symbol": "circle" if in_full else ["x" if end else "circle" for end in is_end],
            "line": {"width": 0},
        },
        name=title if in_full else f"{title}, not trained in full",
    )
