"""Numbers as a reader sees them."""

import pytest

from analysis.wording import count, duration, listed, parameter_text, points, significant, times, times_cost, value_text
from trainables.metrics import METRICS, metric


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("validation_accuracy", 0.98765, "98.77 %"),
        ("latency_p50_ms_batch1", 0.21349, "0.213 ms"),
        ("num_parameters", 12_608.0, "12,608"),
        ("forward_flops_per_image", 2.345e6, "2.35 MFLOP"),
        ("forward_flops_per_image", 4.0e9, "4 GFLOP"),
        ("train_images_per_s", 8_123.4, "8,123 images/s"),
        ("gpu_utilization_fraction", None, "unknown"),
    ],
)
def test_value_carries_its_unit_and_three_digits(name: str, value: float | None, text: str) -> None:
    assert value_text(metric(name), value) == text


def test_every_declared_metric_can_be_worded() -> None:
    assert all(value_text(each, 0.5) for each in METRICS.values())


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (0.00052, "0.00052"), (1.2e-7, "1.20e-07"), (3e9, "3.00e+09")])
def test_very_small_and_very_large_numbers_stay_readable(value: float, text: str) -> None:
    assert significant(value) == text


def test_parameters_that_are_no_fractions_stay_as_they_are() -> None:
    assert [parameter_text(each) for each in (128, "kd", True, 0.0023456)] == ["128", "kd", "True", "0.00235"]


def test_difference_carries_its_sign() -> None:
    assert points(0.0042) == "+0.42 points"
    assert points(-0.0042) == "-0.42 points"


def test_nouns_agree_with_their_number() -> None:
    assert [count(each, "trial") for each in (0, 1, 2_000)] == ["0 trials", "1 trial", "2,000 trials"]


@pytest.mark.parametrize(
    ("items", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists_read_as_a_sentence(items: list[str], text: str) -> None:
    assert listed(items) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(42.4, "42 s"), (119.0, "119 s"), (420.0, "7 min"), (7_500.0, "2 h 05 min")]
)
def test_durations_are_told_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("theirs", "its", "text"),
    [(4.9, 2.0, "2.45 times fewer"), (2.0, 4.9, "2.45 times more"), (3.0, 3.0, "no fewer"), (3.0, 3.001, "no fewer")],
)
def test_ratio_is_told_the_way_it_is_above_one(theirs: float, its: float, text: str) -> None:
    assert times(theirs, its, "fewer", "more") == text


def test_costs_are_compared_in_their_own_words() -> None:
    assert times_cost(metric("latency_p50_ms_batch1"), 1.41, 1.0) == "1.41 times faster"
    assert times_cost(metric("latency_p99_ms_batch8"), 1.0, 2.0) == "2 times slower"
    assert times_cost(METRICS["num_parameters"], 3.0, 1.0) == "3 times fewer parameters"
    assert times_cost(METRICS["energy_joules_per_image"], 3.0, 1.0) == "3 times less energy per trained image"
