"""Pictures of the search: how the front grew, and which trial ran where and when."""

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.hypervolume import hypervolume_steps
from analysis.results import StudyResults
from analysis.students import hover_text, method, method_title, methods
from analysis.theme import BLUE, INK, VERMILION, figure, method_colors, note_figure, template
from analysis.timeline import SearchClock, Span, closed_spans
from analysis.wording import duration
from trainables.records import TrialRecord, TrialState

HYPERVOLUME_QUESTION = "Is the search still finding better students?"
TIMELINE_QUESTION = "What ran where, and when?"

_STATE_PATTERNS = {TrialState.PRUNED: "/", TrialState.FAILED: "x", TrialState.RUNNING: ".", TrialState.WAITING: "."}
_STATE_TITLES = {TrialState.PRUNED: "stopped early", TrialState.FAILED: "failed", TrialState.RUNNING: "running"}


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
    clock = SearchClock.over(span for trial in ran for span in spans[trial.number])
    total = max(clock.seconds(span.end) for trial in ran for span in spans[trial.number])
    scale, unit = (60.0, "min") if total > 600 else (1.0, "s")
    drawn = figure(TIMELINE_QUESTION)
    for name in methods(ran):
        for state in TrialState:
            chosen = [trial for trial in ran if method(trial) == name and trial.state is state]
            if chosen:
                drawn.add_trace(_bars(results, chosen, spans, clock, scale))
    for pause in clock.pauses:
        drawn.add_vline(x=pause / scale, line={"color": INK, "width": 1, "dash": "dash"})
    slots = sorted({trial.slot for trial in ran if trial.slot is not None})
    drawn.update_layout(barmode="overlay", bargap=0.25, height=220 + 48 * len(slots))
    drawn.update_xaxes(title_text=f"search time ({unit})", range=[0, 1.01 * total / scale])
    drawn.update_yaxes(
        title_text="slot", tickvals=slots, ticktext=[str(slot) for slot in slots], autorange="reversed", showgrid=False
    )
    return drawn


def _bars(
    results: StudyResults,
    trials: list[TrialRecord],
    spans: dict[int, tuple[Span, ...]],
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
        y=[trial.slot for trial, _ in pieces],
        text=[str(trial.number) for trial, _ in pieces],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        textfont={"size": 11, "color": "white" if state is TrialState.COMPLETE else INK},
        marker={
            "color": color if state is TrialState.COMPLETE else "white",
            "line": {"color": VERMILION if state is TrialState.FAILED else color, "width": 1},
            "pattern": {"shape": _STATE_PATTERNS.get(state, ""), "fgcolor": color, "bgcolor": "white", "size": 6},
        },
        hovertext=[
            f"{hover_text(trial, results.objectives)}<br>ran {duration(span.seconds)}" for trial, span in pieces
        ],
        hoverinfo="text",
        name=method_title(name) if title is None else f"{method_title(name)}, {title}",
    )
