"""A picture of the ranking of methods: each one's difference from tuned distillation, with its interval."""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.comparisons import SIGNIFICANT, p_text
from analysis.ranking import KD_METHOD, Against, Ranked, ranking
from analysis.results import StudyResults
from analysis.students import sizes
from analysis.theme import BLUE, INK, MUTED, SKY, VERMILION, note_figure, template

RANKING_QUESTION = "Does anything beat tuned distillation?"
_ROW_PIXELS, _MARGIN_PIXELS = 26, 190


def ranking_figure(results: StudyResults) -> go.Figure:
    """A column a network, a row a method: its mean difference from kd over the seeds, its interval, single seeds."""
    ranked = {key: row for key, row in ranking(results).items() if any(each.against_kd for each in row)}
    if not ranked:
        return note_figure(RANKING_QUESTION, "No method has been verified beside kd.")
    named, order = sizes(results), _order(list(ranked.values()))
    drawn = make_subplots(
        rows=1, cols=len(ranked), shared_yaxes=True, horizontal_spacing=0.04,
        subplot_titles=[named.name(key) for key in ranked],
    )  # fmt: skip
    drawn.update_layout(
        template=template(), title_text=RANKING_QUESTION, height=_MARGIN_PIXELS + _ROW_PIXELS * len(order),
        legend={"y": 1.0 + 34.0 / (_ROW_PIXELS * len(order))}, margin={"t": 125, "l": 150},
    )  # fmt: skip
    for column, row in enumerate(ranked.values(), start=1):
        _add_network(drawn, row, column)
        drawn.add_vline(x=0.0, line={"color": INK, "width": 1}, row=1, col=column)
        drawn.update_xaxes(title_text="less kd, test accuracy (points)", row=1, col=column)
    drawn.update_yaxes(categoryorder="array", categoryarray=order[::-1], type="category", gridcolor="#eef1f3")
    return drawn


def _order(rows: Sequence[Sequence[Ranked]]) -> list[str]:
    """The methods by their mean difference from kd over the networks that have them, the best first; kd at 0."""
    gains: dict[str, list[float]] = {KD_METHOD: [0.0]}
    for row in rows:
        for each in row:
            if each.against_kd is not None:
                gains.setdefault(each.method, []).append(each.against_kd.gain.mean)
    return sorted(gains, key=lambda name: -sum(gains[name]) / len(gains[name]))


def _add_network(drawn: go.Figure, row: Sequence[Ranked], column: int) -> None:
    kd = next(each for each in row if each.method == KD_METHOD).best.by_seed("accuracy")
    others = [(each, each.against_kd) for each in row if each.against_kd is not None]
    single = [
        (100.0 * (value - kd[seed]), each.method)
        for each, _ in others
        for seed, value in each.best.by_seed("accuracy").items()
        if seed in kd
    ]
    drawn.add_trace(
        go.Scatter(
            x=[0.0], y=[KD_METHOD], mode="markers", hoverinfo="skip", showlegend=False,
            marker={"size": 10, "color": INK, "symbol": "square"},
        ), row=1, col=column,
    )  # fmt: skip
    kinds = {
        "better, p below 0.05": (BLUE, [pair for pair in others if _is_decided(pair[1]) and pair[1].gain.mean > 0.0]),
        "worse, p below 0.05": (
            VERMILION,
            [pair for pair in others if _is_decided(pair[1]) and pair[1].gain.mean < 0.0],
        ),
        "not decided": (SKY, [pair for pair in others if not _is_decided(pair[1])]),
    }
    for name, (color, pairs) in kinds.items():
        if pairs:
            is_new = name not in {each.name for each in drawn.data}
            drawn.add_trace(_trace(name, color, pairs, is_new=is_new), row=1, col=column)
    drawn.add_trace(
        go.Scatter(
            x=[gain for gain, _ in single], y=[name for _, name in single], mode="markers", hoverinfo="skip",
            marker={"size": 5, "color": INK, "opacity": 0.6}, name="single seeds", legendgroup="single",
            showlegend=column == 1,
        ), row=1, col=column,
    )  # fmt: skip


def _is_decided(against: Against) -> bool:
    return against.p_value is not None and against.p_value < SIGNIFICANT


def _trace(name: str, color: str, pairs: Sequence[tuple[Ranked, Against]], *, is_new: bool) -> go.Scatter:
    arms = [
        100.0 * (against.gain.high - against.gain.mean) if against.gain.high is not None else 0.0
        for _, against in pairs
    ]
    return go.Scatter(
        x=[100.0 * against.gain.mean for _, against in pairs],
        y=[each.method for each, _ in pairs],
        mode="markers",
        marker={"size": 10, "color": color, "line": {"color": MUTED, "width": 0.5}},
        error_x={"array": arms, "color": color, "thickness": 1.6, "width": 5},
        hovertext=[
            f"<b>{each.method}</b><br>{100.0 * against.gain.mean:+.2f} points, {p_text(against.p_value)}"
            for each, against in pairs
        ],
        hoverinfo="text",
        name=name,
        legendgroup=name,
        showlegend=is_new,
    )
