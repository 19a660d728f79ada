"""A picture of early stopping: how far each student was trained, and at which rungs epochs were saved."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.results import StudyResults
from analysis.stopping import (
    Fate,
    asked_students,
    epochs_trained,
    epochs_within,
    fate,
    full_epochs,
    rungs,
    stretches,
    went_on_after_a_pause,
)
from analysis.students import Sizes, hover_text, model_key, sizes
from analysis.theme import BLUE, FAINT, GREEN, INK, MUTED, PAPER, PURPLE, SKY, VERMILION, note_figure, template
from trainables.records import TrialRecord, TrialState

STOPPING_QUESTION = "What was stopped where?"
_UNTRAINED = "#dde2e7"
_IN_FULL, _PROMOTED = "trained in full", "trained in full after a pause"
_STOPPED, _FAILED, _OPEN = "stopped", "failed", "running or paused"
_COLORS = {_IN_FULL: BLUE, _PROMOTED: GREEN, _STOPPED: VERMILION, _FAILED: PURPLE, _OPEN: SKY}
# Pixels. Bars of 200 students fill about the height that those of 40 do.
_ROWS_PIXELS, _MIN_ROW_PIXELS, _MAX_ROW_PIXELS, _MIN_PANEL_PIXELS = 720.0, 1.5, 15.0, 140.0
_GROUP_GAP_PIXELS, _LABEL_PIXELS = 9.0, 15.0
_EPOCHS_PANEL_PIXELS, _MARGINS_PIXELS, _BETWEEN_PIXELS = 210.0, 190.0, 75.0


@dataclass(frozen=True, slots=True)
class _Rows:
    """Where each student's bar lies, from the top: smaller networks first, within one the longest trained first."""

    trials: tuple[TrialRecord, ...]
    places: dict[int, float]
    labels: dict[float, str]
    row_pixels: float

    @property
    def pixels(self) -> float:
        """Height of all rows together."""
        return max(_MIN_PANEL_PIXELS, self.row_pixels * (max(self.places.values()) + 1.0))

    def of(self, trials: Sequence[TrialRecord]) -> list[float]:
        """The places of these trials."""
        return [self.places[trial.number] for trial in trials]


def stopping_figure(results: StudyResults) -> go.Figure:
    """Each student as a bar of the epochs it was trained for, up to those it was to have; below, epochs by stretch."""
    trials = asked_students(results.trials)
    if not rungs(trials):
        return note_figure(STOPPING_QUESTION, "No student has come to a rung.")
    rows = _rows(trials, sizes(results))
    inner = rows.pixels + _BETWEEN_PIXELS + _EPOCHS_PANEL_PIXELS
    drawn = make_subplots(
        rows=2,
        cols=1,
        row_heights=[rows.pixels, _EPOCHS_PANEL_PIXELS],
        vertical_spacing=_BETWEEN_PIXELS / inner,
    )
    drawn.update_layout(
        template=template(),
        title_text=STOPPING_QUESTION,
        barmode="overlay",
        bargap=0.0,
        height=round(inner + _MARGINS_PIXELS),
        legend={"y": 1.0 + 14.0 / inner, "traceorder": "normal"},
        margin={"t": 130},
    )
    _add_bars(drawn, results, rows)
    _add_marks(drawn, results, rows)
    _add_stretches(drawn, rows.trials)
    _set_axes(drawn, results, rows)
    return drawn


def _rows(trials: Sequence[TrialRecord], named: Sizes) -> _Rows:
    row_pixels = min(_MAX_ROW_PIXELS, max(_MIN_ROW_PIXELS, _ROWS_PIXELS / len(trials)))
    ordered = sorted(
        trials, key=lambda each: (named.position(model_key(each) or ""), -epochs_trained(each), each.number)
    )
    places: dict[int, float] = {}
    by_key: dict[str, list[float]] = {}
    place = 0.0
    for trial in ordered:
        key = model_key(trial) or ""
        if by_key and key not in by_key:
            place += _GROUP_GAP_PIXELS / row_pixels
        by_key.setdefault(key, []).append(place)
        places[trial.number] = place
        place += 1.0
    labels: dict[float, str] = {}
    for key, taken in by_key.items():
        middle = (taken[0] + taken[-1]) / 2.0
        if not labels or (middle - max(labels)) * row_pixels >= _LABEL_PIXELS:  # else they would cover each other
            labels[middle] = named.labels[key]
    return _Rows(tuple(ordered), places, labels, row_pixels)


def _class(trial: TrialRecord) -> str:
    """What a student's bar is coloured by."""
    if trial.state is TrialState.COMPLETE:
        return _PROMOTED if went_on_after_a_pause(trial) else _IN_FULL
    return {TrialState.PRUNED: _STOPPED, TrialState.FAILED: _FAILED}.get(trial.state, _OPEN)


def _add_bars(drawn: go.Figure, results: StudyResults, rows: _Rows) -> None:
    thickness = 0.8 if rows.row_pixels >= 6.0 else 1.0
    for name, color in _COLORS.items():
        trials = [trial for trial in rows.trials if _class(trial) == name]
        if trials:
            bars = go.Bar(
                x=list(map(epochs_trained, trials)),
                y=rows.of(trials),
                width=thickness,
                orientation="h",
                marker={"color": color, "line": {"width": 0}},
                hovertext=[_hover(trial, results) for trial in trials],
                hoverinfo="text",
                name=f"{name} ({len(trials)})",
                legendgroup=name,
            )
            drawn.add_trace(bars, row=1, col=1)
    cut = [trial for trial in rows.trials if full_epochs(trial) > epochs_trained(trial)]
    rest = go.Bar(
        base=list(map(epochs_trained, cut)),
        x=[full_epochs(trial) - epochs_trained(trial) for trial in cut],
        y=rows.of(cut),
        width=thickness,
        orientation="h",
        marker={"color": _UNTRAINED, "line": {"width": 0}},
        hoverinfo="skip",
        name="not trained",
        legendgroup="not trained",
    )
    drawn.add_trace(rest, row=1, col=1)


def _hover(trial: TrialRecord, results: StudyResults) -> str:
    lines = [hover_text(trial, results.objectives)]
    lines.append(f"trained for {epochs_trained(trial):g} of {full_epochs(trial):g} epochs")
    lines += [
        f"epoch {each.epoch:g}: {fate(trial, each)}, {100 * each.gain_fraction:.3g} % expected"
        for each in trial.decisions
    ]
    return "<br>".join(lines)


def _add_marks(drawn: go.Figure, results: StudyResults, rows: _Rows) -> None:
    """A cross where a student was stopped, a ring where it paused and went on, a star where it ends on the front."""
    size = min(9.0, max(4.0, 0.8 * rows.row_pixels))
    pauses = [
        (each.epoch, trial) for trial in rows.trials for each in trial.decisions if fate(trial, each) is Fate.PROMOTED
    ]
    on_front = {trial.number for trial in results.front}
    ends = {
        "stopped here": [(epochs_trained(each), each) for each in rows.trials if _class(each) == _STOPPED],
        "paused here, then went on": pauses,
        "on the front": [(epochs_trained(each), each) for each in rows.trials if each.number in on_front],
    }
    markers = {
        "stopped here": {"symbol": "x", "size": size, "color": INK, "line": {"color": PAPER, "width": 0.5}},
        "paused here, then went on": {
            "symbol": "circle", "size": size, "color": PAPER, "line": {"color": INK, "width": 1.2},
        },
        "on the front": {
            "symbol": "star", "size": max(9.0, size + 3.0), "color": INK, "line": {"color": PAPER, "width": 1.0},
        },
    }  # fmt: skip
    for name, marked in ends.items():
        if marked:
            marks = go.Scatter(
                x=[epoch for epoch, _ in marked],
                y=rows.of([trial for _, trial in marked]),
                mode="markers",
                marker=markers[name],
                cliponaxis=False,
                hoverinfo="skip",
                name=name,
            )
            drawn.add_trace(marks, row=1, col=1)


def _add_stretches(drawn: go.Figure, trials: Sequence[TrialRecord]) -> None:
    """For each stretch between rungs the epochs that all students were trained there, and were not."""
    cuts = stretches(trials)
    names = [f"{start:g} to {end:g}" for start, end in cuts]
    bases = [0.0] * len(cuts)
    for name, color in [*_COLORS.items(), ("not trained", _UNTRAINED)]:
        heights = [_epochs_of(name, trials, start, end) for start, end in cuts]
        if any(heights):
            bars = go.Bar(
                x=names,
                y=heights,
                base=bases,
                width=0.6,
                marker={"color": color, "line": {"width": 0}},
                hovertext=[
                    f"<b>epochs {at}</b>, {name}: {epochs:.4g}" for at, epochs in zip(names, heights, strict=True)
                ],
                hoverinfo="text",
                showlegend=False,
                legendgroup=name,
            )
            drawn.add_trace(bars, row=2, col=1)
            bases = [base + height for base, height in zip(bases, heights, strict=True)]
    untrained = [_epochs_of("not trained", trials, start, end) for start, end in cuts]
    texts = go.Scatter(
        x=names,
        y=bases,
        mode="text",
        text=[
            f"{each:.3g} of {total:.3g}<br>left out" if each else ""
            for each, total in zip(untrained, bases, strict=True)
        ],
        textposition="top center",
        textfont={"size": 12, "color": MUTED},
        hoverinfo="skip",
        showlegend=False,
    )
    drawn.add_trace(texts, row=2, col=1)
    drawn.update_yaxes(range=[0.0, 1.3 * max(bases)], row=2, col=1)


def _epochs_of(name: str, trials: Sequence[TrialRecord], start: float, end: float) -> float:
    if name == "not trained":
        return sum(
            epochs_within(full_epochs(each), start, end) - epochs_within(epochs_trained(each), start, end)
            for each in trials
        )
    return sum(epochs_within(epochs_trained(each), start, end) for each in trials if _class(each) == name)


def _set_axes(drawn: go.Figure, results: StudyResults, rows: _Rows) -> None:
    longest = max(map(full_epochs, rows.trials))
    for rung in rungs(rows.trials):
        drawn.add_vline(x=rung.epoch, line={"color": FAINT, "width": 1, "dash": "dot"}, layer="below", row=1, col=1)
    drawn.update_xaxes(
        title_text="epochs of the student (dotted: rungs)", range=[0.0, 1.01 * longest], showgrid=False,
        dtick=1 if 2 <= longest <= 15 else None, row=1, col=1,
    )  # fmt: skip
    drawn.update_yaxes(
        title_text=sizes(results).axis_title, showgrid=False, ticks="",
        range=[max(rows.places.values()) + 0.8, -0.8],
        tickvals=list(rows.labels), ticktext=list(rows.labels.values()), row=1, col=1,
    )  # fmt: skip
    drawn.update_xaxes(title_text="stretch of the training, between rungs (epochs)", type="category", row=2, col=1)
    drawn.update_yaxes(title_text="all students (epochs)", row=2, col=1)
