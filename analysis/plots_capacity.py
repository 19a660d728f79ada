"""A picture of curves: test accuracy along one parameter, and by how much methods differ there."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.axes import Scale, metric_scale
from analysis.capacity import ALL_IMAGES, Curves, Difference, Line
from analysis.capacity_axes import Places, places_of, question
from analysis.comparisons import p_text
from analysis.statistics import Estimate
from analysis.students import LABELS_METHOD
from analysis.theme import INK, PAPER, method_colors, method_symbols, note_figure, ordered_color, template
from analysis.verified import TEST_ACCURACY
from analysis.wording import estimate_text, gain_text

ON_OMITTED_QUESTION = "What does a student know of a class that it was never shown?"
_DODGE = 0.007  # of the axis, between two lines at one place


def curves_figure(curves: Curves | None, *, asked: str = "", teacher: float | None = None) -> go.Figure:
    """Above, the mean test accuracy of each line with its interval; below, what each is ahead of its reference.

    Args:
        curves: None: there are none yet.
        asked: the figure's title; the parameter's own question otherwise.
        teacher: its test accuracy, drawn as a level.
    """
    if curves is None or not curves.values:
        return note_figure(asked or "How does test accuracy change?", "No kinds of student have been verified.")
    has_gains = bool(curves.differences)
    drawn = make_subplots(rows=1 + has_gains, cols=1, shared_xaxes=True, vertical_spacing=0.07,
                          row_heights=[0.6, 0.4] if has_gains else [1.0])  # fmt: skip
    drawn.update_layout(
        template=template(), title_text=asked or question(curves.parameter), height=700 if has_gains else 480,
        legend={"y": 1.02}, margin={"t": 110},
    )  # fmt: skip
    places, styles = places_of(curves.parameter, curves.values), _styles(curves.lines)
    scale = _scale(curves, teacher)
    for place, line in enumerate(curves.lines):
        offset = _DODGE * places.extent * (2 * place - len(curves.lines) + 1)
        _add_line(drawn, line, places, scale, styles[line.name], offset)
        _add_gains(drawn, line, curves.differences, places, styles[line.name], offset)
    if teacher is not None:
        drawn.add_trace(
            go.Scatter(
                x=places.settings["range"], y=[scale.place(teacher)] * 2, mode="lines", hoverinfo="skip",
                line={"color": INK, "width": 1, "dash": "dot"}, name=f"teacher, {100 * teacher:.2f} %",
            ), row=1, col=1,
        )  # fmt: skip
    counted = "test accuracy" if curves.counted == ALL_IMAGES else f"accuracy on {curves.counted}"
    title = str(scale.settings["title_text"]).replace("test accuracy", counted)
    drawn.update_yaxes(**{**scale.settings, "title_text": title}, row=1, col=1)
    drawn.update_xaxes(**{**places.settings, "title_text": ""}, row=1, col=1)
    drawn.update_xaxes(**places.settings, row=1 + has_gains, col=1)
    if has_gains:
        shown = [each for line in curves.lines for each in _shown(line, curves.differences)]
        references = list(dict.fromkeys(each.reference.split(",")[0] for each in shown))
        drawn.add_hline(y=0.0, line={"color": INK, "width": 1}, row=2, col=1)
        drawn.update_yaxes(title_text=f"ahead of {' or '.join(references)} (points)", row=2, col=1)
    return drawn


def _scale(curves: Curves, teacher: float | None) -> Scale:
    """The axis of accuracies, intervals and all, but for what of them would stretch a scale of errors towards none."""
    points = [point for line in curves.lines for point in line.points]
    ends = [each for point in points for each in (point.accuracy.mean, *point.by_seed.values())]
    for estimate in (point.accuracy for point in points):
        if estimate.low is not None and estimate.high is not None:
            ends += [max(estimate.low, 0.0), min(estimate.high, 1.0 - (1.0 - estimate.mean) / 4.0)]
    if min(ends) < 0.5:
        return Scale({"title_text": "test accuracy (%)", "tickformat": ".0%"})
    return metric_scale(TEST_ACCURACY, [*ends, teacher])


@dataclass(frozen=True, slots=True)
class _Style:
    color: str
    symbol: str
    dash: str


def _styles(lines: Sequence[Line]) -> dict[str, _Style]:
    """By method, where that is all that differs; else the rest by colour and the method by marker and dash."""
    methods = list(dict.fromkeys(line.method for line in lines))
    rests = list(dict.fromkeys(line.rest for line in lines))
    colors, symbols = method_colors(methods), method_symbols(methods)
    if len(rests) == 1:
        return {line.name: _Style(colors[line.method], symbols[line.method], "solid") for line in lines}
    dashes = {method: "dot" if method == LABELS_METHOD else "solid" for method in methods}
    return {
        line.name: _Style(ordered_color(rests.index(line.rest)), symbols[line.method], dashes[line.method])
        for line in lines
    }


def _add_line(drawn: go.Figure, line: Line, places: Places, scale: Scale, style: _Style, offset: float) -> None:
    points = [(places.at[point.x] + offset, point) for point in line.points]
    drawn.add_trace(
        go.Scatter(
            x=[x + _DODGE * places.extent for x, point in points for _ in point.by_seed],
            y=[scale.place(value) for _, point in points for value in point.by_seed.values()],
            mode="markers", marker={"size": 5, "color": style.color}, opacity=0.45, hoverinfo="skip", showlegend=False,
            legendgroup=line.name,
        ), row=1, col=1,
    )  # fmt: skip
    means = [(x, point, point.accuracy) for x, point in points]
    drawn.add_trace(
        go.Scatter(
            x=[x for x, _, _ in means], y=[scale.place(estimate.mean) for _, _, estimate in means],
            mode=_mode(places), name=line.name, legendgroup=line.name,
            line={"color": style.color, "width": 2, "dash": style.dash},
            marker={"color": style.color, "symbol": style.symbol, "size": 9, "line": {"color": PAPER, "width": 1}},
            error_y=_bars([estimate for _, _, estimate in means], scale, style.color),
            hovertext=[
                f"<b>{line.name}</b>, {places.text(point.x)}<br>{estimate_text(estimate)}<br>trial {point.trial.number}"
                for _, point, estimate in means
            ],
            hoverinfo="text",
        ), row=1, col=1,
    )  # fmt: skip


def _mode(places: Places) -> str:
    return "lines+markers" if places.are_numbers else "markers"


def _bars(estimates: Sequence[Estimate], scale: Scale, color: str) -> dict[str, object]:
    """Intervals in the axis' own numbers, cut off where an accuracy ends."""
    up, down = [], []
    for each in estimates:
        place, ends = scale.place(each.mean) or 0.0, [0.0, 0.0]
        if each.low is not None and each.high is not None:
            ends = sorted((scale.place(end) or 0.0) - place for end in (max(each.low, 0.0), min(each.high, 1.0 - 1e-5)))
        down.append(-min(ends[0], 0.0))
        up.append(max(ends[1], 0.0))
    shape = {"type": "data", "symmetric": False, "color": color, "thickness": 1.5, "width": 4}
    return {**shape, "array": up, "arrayminus": down}


def _shown(line: Line, differences: Sequence[Difference]) -> list[Difference]:
    """Of the line's differences those from what it is compared with first."""
    own = [each for each in differences if each.line == line.name]
    return [each for each in own if each.reference == own[0].reference]


def _add_gains(
    drawn: go.Figure, line: Line, differences: Sequence[Difference], places: Places, style: _Style, offset: float
) -> None:
    """What the line is ahead by; a filled marker where the corrected p value decides it, an open one where not."""
    own = _shown(line, differences)
    if not own:
        return
    arms = [100.0 * (each.gain.high - each.gain.mean) if each.gain.high is not None else 0.0 for each in own]
    drawn.add_trace(
        go.Scatter(
            x=[places.at[each.x] + offset for each in own], y=[100.0 * each.gain.mean for each in own],
            mode=_mode(places), showlegend=False, legendgroup=line.name,
            line={"color": style.color, "width": 1, "dash": style.dash},
            marker={
                "symbol": style.symbol, "size": 10, "line": {"color": style.color, "width": 2},
                "color": [style.color if each.is_decided else PAPER for each in own],
            },
            error_y={"array": arms, "color": style.color, "thickness": 1.5, "width": 4},
            hovertext=[
                f"<b>{line.name}</b>, {places.text(each.x)}<br>{gain_text(each.gain)}<br>{p_text(each.p_value)}"
                for each in own
            ],
            hoverinfo="text",
        ), row=2, col=1,
    )  # fmt: skip
