"""Axes: what is drawn on a log scale, and that ticks say what stands at their place."""

from math import log10
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.axes import log_axis, metric_scale
from trainables.metrics import METRICS, metric

ACCURACY, LATENCY = metric("validation_accuracy"), metric("latency_p50_ms_batch1")


def test_accuracies_near_one_are_placed_by_their_errors() -> None:
    """From 90 to 95 % errors halve, as they do from 99 to 99.5 %: the same distance on a logarithmic axis."""
    scale = metric_scale(ACCURACY, [0.90, 0.95, 0.99, 0.995])
    places = scale.places([0.90, 0.95, 0.99, 0.995])
    low, mid, high, top = (log10(place) for place in places if place is not None)
    assert low - mid == pytest.approx(high - top)
    assert scale.settings["type"] == "log"


def test_better_accuracy_stands_higher_on_the_error_axis() -> None:
    bottom, top = range_of(metric_scale(ACCURACY, [0.90, 0.99]).settings)
    assert bottom > top


def test_error_ticks_are_labelled_as_the_accuracies_that_they_are() -> None:
    settings: dict[str, Any] = metric_scale(ACCURACY, [0.90, 0.99]).settings
    for tick, text in zip(settings["tickvals"], settings["ticktext"], strict=True):
        assert float(text.removesuffix(" %")) == pytest.approx(100 * (1 - tick))


@pytest.mark.parametrize("values", [[0.90, 1.0], [0.5, 0.6], [0.98], []])
def test_accuracies_without_errors_or_of_like_errors_stay_linear(values: list[float]) -> None:
    scale = metric_scale(ACCURACY, list(values))
    assert "type" not in scale.settings
    assert scale.places([0.97, None]) == [0.97, None]
    assert str(scale.settings["tickformat"]).endswith("%")


def test_costs_of_different_size_are_logarithmic_and_of_like_size_are_not() -> None:
    assert metric_scale(LATENCY, [0.1, 1.0]).settings["type"] == "log"
    assert "type" not in metric_scale(LATENCY, [1.0, 1.2]).settings
    assert "type" not in metric_scale(METRICS["train_loss"], [0.0, 1.0]).settings


def test_axis_title_names_the_unit() -> None:
    assert "(ms" in str(metric_scale(LATENCY, [0.1, 1.0]).settings["title_text"])
    assert "(ms" in str(metric_scale(LATENCY, [1.0]).settings["title_text"])
    assert "(%" in str(metric_scale(ACCURACY, [0.1, 0.9]).settings["title_text"])
    assert "(log scale)" in str(metric_scale(METRICS["num_parameters"], [10.0, 1000.0]).settings["title_text"])


def test_unknown_values_do_not_matter_to_the_scale() -> None:
    assert metric_scale(LATENCY, [0.1, None, 1.0]) == metric_scale(LATENCY, [0.1, 1.0])


@given(values=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=5))
def test_log_axis_holds_its_values_and_few_ticks_that_lie_on_it(values: list[float]) -> None:
    settings = log_axis("latency (ms)", values)
    low, high = range_of(settings)
    assert all(low < log10(value) < high for value in values)
    ticks: Any = settings["tickvals"]
    assert all(low <= log10(tick) <= high for tick in ticks)
    assert len(ticks) <= 14


def range_of(settings: dict[str, object]) -> tuple[float, float]:
    limits: Any = settings["range"]
    return limits[0], limits[1]
