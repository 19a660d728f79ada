"""Two searches over their seeds in one picture: what half of the studies attain, and the best and the worst of them."""

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from analysis.attainment import AttainmentComparison, Runs, attainment_surfaces
from analysis.axes import Scale, metric_scale
from analysis.hypervolume import reference_point
from analysis.theme import figure, series_color, series_symbol
from analysis.wording import value_text
from trainables.metrics import Metric, as_minimized

_BAND_OPACITY, _MARKER_OPACITY = 0.18, 0.55
_TITLE_CHARACTERS = 80
_DASHES = ("solid", "dash")

Array = NDArray[np.float64]


def attainment_figure(compared: AttainmentComparison) -> go.Figure:
    """Median attainment surface of both sides, a band from the best to the worst, and each study's own front.

    Raises:
        ValueError: there are not two metrics.
    """
    if len(compared.metrics) != 2:
        raise ValueError(f"a picture of attainment has two metrics, not {len(compared.metrics)}")
    x, y = compared.metrics
    lines = wrap(f"Which search attains the better {y.label} for its {x.label}?", _TITLE_CHARACTERS)
    drawn = figure("<br>".join(lines))
    if len(lines) > 1:
        drawn.update_layout(title_y=0.96, margin_t=130, height=510)
    fronts = np.concatenate([*compared.one.fronts, *compared.other.fronts])
    corner = reference_point(fronts, compared.metrics)
    shown = np.vstack([fronts, corner])
    scales = (metric_scale(x, shown[:, 0].tolist()), metric_scale(y, shown[:, 1].tolist()))
    for index, runs in enumerate((compared.one, compared.other)):
        _add_runs(drawn, runs, compared.metrics, corner, scales, index=index)
    drawn.update_xaxes(**scales[0].settings)
    drawn.update_yaxes(**scales[1].settings)
    return drawn


def attainment_table(compared: AttainmentComparison) -> pd.DataFrame:
    """A row for each point of the surfaces: side, surface ("best", "median", "worst"), and the metrics."""
    parts = []
    for runs in (compared.one, compared.other):
        surfaces = attainment_surfaces(runs.fronts, compared.metrics)
        for name, points in (
            ("best", surfaces.best_NM),
            ("median", surfaces.median_NM),
            ("worst", surfaces.worst_NM),
        ):
            rows = pd.DataFrame(points, columns=[each.name for each in compared.metrics])
            rows.insert(0, "surface", name)
            rows.insert(0, "side", runs.name)
            parts.append(rows)
    return pd.concat(parts, ignore_index=True)


def staircase(points_NM: Array, metrics: Sequence[Metric], corner_M: Array) -> Array:
    """The edge of what non-dominated points in two metrics attain, up to a corner that all of them dominate.

    Returns:
        Shape (2 N + 1, 2), in the metrics' own units: from the corner's value of the second metric, step by step, to
        its value of the first.
    """
    costs, corner = as_minimized(points_NM, metrics), as_minimized(corner_M, metrics)
    costs = costs[np.lexsort((-costs[:, 1], costs[:, 0]))]
    across = np.append(np.repeat(costs[:, 0], 2), corner[0])
    up = np.append(corner[1], np.repeat(costs[:, 1], 2))
    return as_minimized(np.stack([across, up], axis=1), metrics)


def _add_runs(
    drawn: go.Figure, runs: Runs, metrics: Sequence[Metric], corner: Array, scales: tuple[Scale, Scale], *, index: int
) -> None:
    surfaces, color = attainment_surfaces(runs.fronts, metrics), series_color(index)
    best, median, worst = (
        staircase(each, metrics, corner) for each in (surfaces.best_NM, surfaces.median_NM, surfaces.worst_NM)
    )
    settings = {"legendgroup": runs.name, "hoverinfo": "skip"}
    if surfaces.num_fronts > 1:
        band = _line(np.concatenate([best, worst[::-1]]), scales, name=f"{runs.name}, best to worst")
        band.update(fill="toself", fillcolor=_faint(color), line={"color": color, "width": 0.7}, **settings)
        drawn.add_trace(band)
    name = f"{runs.name}, " + ("one study" if surfaces.num_fronts == 1 else f"median of {surfaces.num_fronts} studies")
    line = _line(median, scales, name=name)
    drawn.add_trace(line.update(line={"color": color, "width": 3, "dash": _DASHES[index]}, **settings))
    students = np.concatenate(runs.fronts)
    markers = _line(students, scales, name=f"{runs.name}, students of the fronts")
    x, y = metrics
    texts = [
        f"{runs.name}, study {number}<br>{y.label}: {value_text(y, up)}<br>{x.label}: {value_text(x, across)}"
        for number, front in enumerate(runs.fronts, start=1)
        for across, up in front
    ]
    look = {"color": color, "symbol": series_symbol(index), "size": 7}
    markers.update(mode="markers", marker=look, opacity=_MARKER_OPACITY, hovertext=texts, hoverinfo="text")
    drawn.add_trace(markers.update(legendgroup=runs.name, showlegend=False))


def _line(points: Array, scales: tuple[Scale, Scale], *, name: str) -> go.Scatter:
    x, y = (scale.places(points[:, column].tolist()) for column, scale in enumerate(scales))
    return go.Scatter(x=x, y=y, mode="lines", name=name)


def _faint(color: str) -> str:
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {_BAND_OPACITY})"
