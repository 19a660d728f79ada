"""How figures look: one palette that colour-blind readers can tell apart, and one template."""

from collections.abc import Sequence

import plotly.graph_objects as go

from analysis.students import LABELS_METHOD, UNKNOWN_METHOD

# Okabe & Ito (2008), without the yellow, which is too faint on white.
BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
INK, MUTED, FAINT, GRID, PAPER = "#1f2933", "#5f6b76", "#b6bec6", "#e8ecef", "#ffffff"
MAX_LEGEND_ENTRIES = 10
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'

_METHOD_COLORS = (BLUE, GREEN, PURPLE, SKY, ORANGE)
_METHOD_SYMBOLS = ("diamond", "square", "triangle-up", "cross", "triangle-down", "hexagon")
# Light to dark, one hue for each quantity that is ordered, as in "batch 1, 8, 64".
_ORDERED = ("#7fb8da", BLUE, "#003a5c", PURPLE, GREEN, ORANGE)
SEQUENTIAL = "Cividis"
# Blue over a light grey to orange: two directions from 0 that stay apart without red and green.
DIVERGING = ((0.0, VERMILION), (0.25, "#efb48a"), (0.5, "#e9ebed"), (0.75, "#7fb8da"), (1.0, "#00456b"))


def template() -> go.layout.Template:
    """Layout that every figure shares."""
    axis = {
        "showline": True, "linecolor": FAINT, "gridcolor": GRID, "zeroline": False, "ticks": "outside",
        "tickcolor": FAINT, "automargin": True, "title": {"standoff": 10, "font": {"size": 14}},
    }  # fmt: skip
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": INK},
            "title": {
                "font": {"size": 18},
                "x": 0.0,
                "xref": "container",
                "xanchor": "left",
                "y": 1.0,
                "yref": "container",
                "yanchor": "top",
                "pad": {"l": 16, "t": 16},
            },
            "paper_bgcolor": PAPER,
            "plot_bgcolor": PAPER,
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"orientation": "h", "x": 0.0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
            "margin": {"l": 70, "r": 24, "t": 100, "b": 60},
            "hoverlabel": {"bgcolor": PAPER, "bordercolor": FAINT, "font": {"color": INK}, "align": "left"},
            "height": 480,
        }
    )


def figure(question: str) -> go.Figure:
    """An empty figure that asks `question` as its title."""
    drawn = go.Figure()
    drawn.update_layout(template=template(), title_text=question)
    return drawn


def with_room_for_its_legend(drawn: go.Figure) -> go.Figure:
    """The figure, its legend at its right as a column where it would be rows that cover the title."""
    named = {trace.name for trace in drawn.data if trace.name and trace.showlegend is not False}
    if len(named) > MAX_LEGEND_ENTRIES:
        legend = {"orientation": "v", "x": 1.02, "xanchor": "left", "y": 1.0, "yanchor": "top", "entrywidth": None}
        height = max(drawn.layout.height or 0, drawn.layout.template.layout.height or 0, 31 * len(named) + 200)
        drawn.update_layout(legend=legend, height=height)
    return drawn


def note_figure(question: str, note: str) -> go.Figure:
    """A figure that has nothing to show yet, and says why."""
    drawn = figure(question)
    drawn.add_annotation(
        text=note, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 15, "color": MUTED}
    )
    drawn.update_layout(height=240, margin={"t": 60, "b": 30})
    drawn.update_xaxes(visible=False)
    drawn.update_yaxes(visible=False)
    return drawn


def method_colors(methods: Sequence[str]) -> dict[str, str]:
    """A colour for each method: vermilion for labels-only, grey for unknown, the others in their order."""
    taught = [name for name in methods if name not in {LABELS_METHOD, UNKNOWN_METHOD}]
    colors = {name: _METHOD_COLORS[index % len(_METHOD_COLORS)] for index, name in enumerate(taught)}
    return colors | {LABELS_METHOD: VERMILION, UNKNOWN_METHOD: MUTED}


def method_symbols(methods: Sequence[str]) -> dict[str, str]:
    """A marker for each method, so that colour is never alone: a circle for labels-only."""
    taught = [name for name in methods if name not in {LABELS_METHOD, UNKNOWN_METHOD}]
    symbols = {name: _METHOD_SYMBOLS[index % len(_METHOD_SYMBOLS)] for index, name in enumerate(taught)}
    return symbols | {LABELS_METHOD: "circle", UNKNOWN_METHOD: "x"}


def ordered_color(index: int) -> str:
    """A colour for the index-th of an ordered few, from light to dark."""
    return _ORDERED[index % len(_ORDERED)]


def series_color(index: int) -> str:
    """A colour for the index-th of things without an order, such as studies."""
    series = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE)
    return series[index % len(series)]


def series_symbol(index: int) -> str:
    """A marker for the index-th of things without an order."""
    return ("circle", *_METHOD_SYMBOLS)[index % (1 + len(_METHOD_SYMBOLS))]
