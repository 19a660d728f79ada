"""A picture of temperatures along the curves' parameter: how far each is behind the best, and what is within noise."""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.capacity import TEMPERATURE
from analysis.capacity_axes import Places, places_of
from analysis.temperatures import TemperatureLevel, Temperatures
from analysis.theme import FAINT, INK, note_figure, template
from analysis.wording import estimate_text, significant

TEMPERATURE_QUESTION = "Which temperature is best where, and which cannot be told from it?"


def temperature_by_place_figure(found: Sequence[Temperatures]) -> go.Figure:
    """Temperature against the curves' parameter: how far behind the best each is, and which are within noise."""
    if not found:
        return note_figure(TEMPERATURE_QUESTION, "No kinds of student that differ in temperature have been verified.")
    lines = list(dict.fromkeys(each.line for each in found))
    drawn = make_subplots(rows=1, cols=len(lines), shared_yaxes=True, horizontal_spacing=0.05,
                          subplot_titles=lines if len(lines) > 1 else None)  # fmt: skip
    drawn.update_layout(template=template(), title_text=TEMPERATURE_QUESTION, height=520, margin={"t": 120})
    parameter, xs = found[0].parameter, list(dict.fromkeys(each.x for each in found if each.x is not None))
    places = places_of(parameter, xs) if xs else Places("", {}, {"showticklabels": False})
    levels = places_of(TEMPERATURE, sorted({level.temperature for each in found for level in each.levels}))
    widest = max(100.0 * (level.behind.mean if level.behind else 0.0) for each in found for level in each.levels)
    for column, line in enumerate(lines, start=1):
        cells = [
            (0.0 if each.x is None else places.at[each.x], levels.at[level.temperature], level)
            for each in found
            if each.line == line
            for level in each.levels
        ]
        _add_cells(drawn, cells, column, widest or 1.0)
        drawn.update_xaxes(**places.settings, row=1, col=column)
        drawn.update_yaxes(**levels.settings, row=1, col=column)
        drawn.update_yaxes(title_text="" if column > 1 else levels.settings["title_text"], row=1, col=column)
    return drawn


_KINDS = {
    "best": ("star", INK, 2.0),
    "within noise of the best": ("circle", INK, 2.0),
    "worse, p below 0.05": ("circle", FAINT, 0.0),
}


def _kind(level: TemperatureLevel) -> str:
    if level.is_best:
        return "best"
    return "within noise of the best" if level.is_within_noise else "worse, p below 0.05"


def _add_cells(
    drawn: go.Figure, cells: Sequence[tuple[float, float, TemperatureLevel]], column: int, widest: float
) -> None:
    """A marker for each temperature at each place, darker the nearer it is to the best there."""
    for name, (symbol, edge, width) in _KINDS.items():
        own = [
            (x, y, level, 100.0 * (level.behind.mean if level.behind else 0.0))
            for x, y, level in cells
            if _kind(level) == name
        ]
        drawn.add_trace(
            go.Scatter(
                x=[x for x, _, _, _ in own], y=[y for _, y, _, _ in own],
                mode="markers+text", name=name, legendgroup=name, showlegend=column == 1,
                text=["" if level.is_best else f"  {-behind:.2f}" for _, _, level, behind in own],
                textposition="middle right", textfont={"size": 11},
                marker={
                    "symbol": symbol, "size": 20, "color": [behind for _, _, _, behind in own],
                    "colorscale": "Blues_r", "cmin": 0.0, "cmax": 1.25 * widest,
                    "line": {"color": edge, "width": width},
                },
                hovertext=[
                    f"<b>temperature {significant(level.temperature)}</b><br>{estimate_text(level.point.accuracy)}"
                    for _, _, level, _ in own
                ],
                hoverinfo="text",
            ), row=1, col=column,
        )  # fmt: skip
