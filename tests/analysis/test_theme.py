"""Colours: readable, and told apart without colour vision by their markers."""

from itertools import pairwise

import plotly.graph_objects as go
import pytest

from analysis.theme import (
    DIVERGING,
    INK,
    MUTED,
    PAPER,
    figure,
    method_colors,
    method_symbols,
    note_figure,
    ordered_color,
    series_color,
    series_symbol,
    with_room_for_its_legend,
)


def luminance(color: str) -> float:
    """Relative luminance by WCAG 2.1."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize(("color", "needed"), [(INK, 7.0), (MUTED, 4.5)])
def test_text_has_the_contrast_that_wcag_asks_for(color: str, needed: float) -> None:
    assert contrast(color, PAPER) >= needed


def test_labels_only_and_distilled_differ_in_colour_and_in_marker() -> None:
    names = ["labels", "kd", "attention", "dkd"]
    assert len({method_colors(names)[name] for name in names}) == 4
    assert len({method_symbols(names)[name] for name in names}) == 4


def test_markers_of_methods_have_the_contrast_of_graphics() -> None:
    """WCAG 1.4.11 asks for 3:1."""
    colors = method_colors(["labels", "kd", "attention"])
    assert all(contrast(colors[name], PAPER) >= 3.0 for name in ("labels", "kd", "attention"))


def test_an_order_is_shown_from_light_to_dark() -> None:
    shades = [luminance(ordered_color(index)) for index in range(3)]
    assert all(lighter > darker + 0.05 for lighter, darker in pairwise(shades))


def test_diverging_scale_is_palest_at_zero() -> None:
    assert max(DIVERGING, key=lambda stop: luminance(stop[1]))[0] == 0.5


def test_series_repeat_rather_than_run_out() -> None:
    assert series_color(0) == series_color(6)
    assert series_symbol(0) == series_symbol(7)


def test_note_stands_in_for_a_figure_without_data() -> None:
    drawn = note_figure("Is there anything?", "Not yet.")
    assert drawn.layout.title.text == "Is there anything?"
    assert [note.text for note in drawn.layout.annotations] == ["Not yet."]


def test_long_legend_stands_beside_the_figure_which_is_tall_enough_for_it() -> None:
    def drawn(num_entries: int) -> go.Figure:
        named = figure("How many?")
        named.add_traces([go.Scatter(x=[0], y=[0], name=f"method {number}") for number in range(num_entries)])
        return with_room_for_its_legend(named)

    few, many = drawn(3), drawn(18)
    assert few.layout.legend.orientation is None
    assert few.layout.height is None
    assert many.layout.legend.orientation == "v"
    assert many.layout.legend.x > 1.0
    assert many.layout.height >= 18 * 30 + 100
