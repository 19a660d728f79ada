"""A picture of what early stopping lost where all ends are known."""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.replayed import ReplayedSearch, ReplayedStopping
from analysis.statistics import Estimate, mean_interval
from analysis.theme import BLUE, INK, PAPER, SKY, VERMILION, template

REPLAYED_QUESTION = "What did early stopping lose, where every end is known?"


def replayed_figure(replayed: ReplayedStopping) -> go.Figure:
    """Left: epochs left out and hypervolume lost, a marker a search; right: who was stopped at which rung."""
    drawn = make_subplots(rows=1, cols=2, column_widths=[0.52, 0.48], horizontal_spacing=0.13)
    drawn.update_layout(template=template(), title_text=REPLAYED_QUESTION, barmode="stack", bargap=0.4)
    _add_searches(drawn, replayed.searches)
    _add_stops(drawn, replayed.searches)
    return drawn


def _add_searches(drawn: go.Figure, searches: Sequence[ReplayedSearch]) -> None:
    left_out = [100.0 * each.left_out_fraction for each in searches]
    lost = [100.0 * each.lost_fraction for each in searches]
    single = go.Scatter(
        x=left_out,
        y=lost,
        mode="markers",
        marker={"size": 11, "color": SKY, "line": {"color": BLUE, "width": 1.2}},
        cliponaxis=False,
        hovertext=[
            f"seed {each.seed}: {each.lost_fraction:.3%} lost, {each.left_out_fraction:.1%} of the epochs left out"
            for each in searches
        ],
        hoverinfo="text",
        name="one replayed search",
    )
    across, up = mean_interval(left_out), mean_interval(lost)
    mean = go.Scatter(
        x=[across.mean],
        y=[up.mean],
        mode="markers",
        marker={"symbol": "cross-thin", "size": 14, "line": {"color": INK, "width": 2.5}},
        error_x={"array": [_arm(across)], "color": INK, "thickness": 1.4},
        error_y={"array": [_arm(up)], "color": INK, "thickness": 1.4},
        hovertext=[f"mean: {up.mean:.3g} % lost, {across.mean:.3g} % of the epochs left out"],
        hoverinfo="text",
        name="mean, 95 % interval",
    )
    drawn.add_traces([single, mean], rows=1, cols=1)
    drawn.update_xaxes(title_text="epochs left out by stopping (%)", range=[0.0, 100.0], row=1, col=1)
    top = max(1.0, 1.15 * max(*lost, up.high or 0.0))
    drawn.update_yaxes(
        title_text="hypervolume lost by stopping (%)", range=[min(-0.03 * top, *lost), top], row=1, col=1
    )


def _add_stops(drawn: go.Figure, searches: Sequence[ReplayedSearch]) -> None:
    stops = [stops for each in searches for stops in each.stops]
    epochs = sorted({each.epoch for each in stops})
    of_front = [sum(each.num_of_front for each in stops if each.epoch == epoch) for epoch in epochs]
    stopped = [sum(each.num_stopped for each in stops if each.epoch == epoch) for epoch in epochs]
    others = [every - front for every, front in zip(stopped, of_front, strict=True)]
    for name, counts, color in (
        ("stopped, of the front", of_front, VERMILION),
        ("stopped, not of the front", others, BLUE),
    ):
        heights = [each / len(searches) for each in counts]
        bars = go.Bar(
            x=[f"{epoch:g}" for epoch in epochs],
            y=heights,
            marker={"color": color, "line": {"color": PAPER, "width": 1}},
            hovertext=[
                f"epoch {epoch:g}, {name}: {height:.3g} a search" for epoch, height in zip(epochs, heights, strict=True)
            ],
            hoverinfo="text",
            name=name,
        )
        drawn.add_trace(bars, row=1, col=2)
    drawn.update_xaxes(title_text="stopped after (epochs)", type="category", row=1, col=2)
    drawn.update_yaxes(title_text="students, mean of the searches", row=1, col=2)


def _arm(estimate: Estimate) -> float | None:
    return None if estimate.high is None else estimate.high - estimate.mean
