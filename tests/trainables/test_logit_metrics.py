"""Metrics of logits: built-in ones against NumPy, what every one keeps to, and what is refused before a launch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tests.logit_metrics import distance_to_teacher
from trainables import logit_metrics
from trainables.config import NamedConfig
from trainables.logit_metrics import LOGIT_METRICS
from trainables.logit_metrics.logit_metric import LogitMetric, values_of
from trainables.metrics import METRICS, Direction, Metric, Source
from trainables.own_metrics import declared_name, metric_on_test

LOGITS = arrays(np.float32, (7, 4), elements=st.floats(-8.0, 8.0, width=32))


def own(name: str, **options: bool | float | str) -> NamedConfig:
    return NamedConfig(name=f"tests.logit_metrics:{name}", options=options)


def calibration_error(probabilities_N: list[float], is_right_N: list[int], **options: int) -> float:
    """Of two classes: class 0 has these probabilities, and is the label where it is right."""
    logits_NC = torch.log(torch.tensor([[each, 1.0 - each] for each in probabilities_N], dtype=torch.float64))
    labels_N = torch.tensor([1 - each for each in is_right_N])
    metric = logit_metrics.build(NamedConfig(name="calibration_error", options=options))
    return metric.value(logits_NC, labels_N, logits_NC)


def test_calibration_error_is_that_of_a_table_made_by_hand() -> None:
    """Guo et al. 2017, eq. 3, ten bins: (0.9, 1] holds 0.95, 0.93 and 0.97, one right; (0.5, 0.6] holds 0.6, right."""
    found = calibration_error([0.95, 0.93, 0.97, 0.6], [1, 0, 0, 1], num_bins=10)
    assert found == pytest.approx(3 / 4 * abs(1 / 3 - (0.95 + 0.93 + 0.97) / 3) + 1 / 4 * abs(1 - 0.6), rel=1e-12)


@given(LOGITS)
def test_calibration_error_of_one_bin_is_mean_confidence_less_accuracy(logits_NC: NDArray[np.float32]) -> None:
    labels_N = np.arange(7) % 4
    exponentials_NC = np.exp(logits_NC.astype(np.float64))
    confidences_N = (exponentials_NC / exponentials_NC.sum(axis=1, keepdims=True)).max(axis=1)
    metric = logit_metrics.build(NamedConfig(name="calibration_error", options={"num_bins": 1}))
    student_NC = torch.from_numpy(logits_NC.copy())
    found = metric.value(student_NC, torch.from_numpy(labels_N), student_NC)
    assert found == pytest.approx(abs(confidences_N.mean() - np.mean(logits_NC.argmax(axis=1) == labels_N)), abs=1e-9)


@pytest.mark.parametrize("name", LOGIT_METRICS)
@pytest.mark.parametrize("num_classes", [2, 10, 200])
def test_every_built_in_metric_can_be_computed_and_has_a_name_of_its_own(name: str, num_classes: int) -> None:
    config = NamedConfig(name=name)
    logit_metrics.try_out(config, num_classes)
    assert logit_metrics.build(config).metric.name not in METRICS


@pytest.mark.parametrize("name", LOGIT_METRICS)
def test_order_of_the_images_says_nothing(name: str) -> None:
    stream = torch.Generator().manual_seed(0)
    student_NC, teacher_NC = torch.randn(2, 50, 5, generator=stream)
    labels_N, shuffled_N = torch.arange(50) % 5, torch.randperm(50, generator=stream)
    metric = logit_metrics.build(NamedConfig(name=name))
    value = metric.value(student_NC[shuffled_N], labels_N[shuffled_N], teacher_NC[shuffled_N])
    assert value == pytest.approx(metric.value(student_NC, labels_N, teacher_NC), rel=1e-9)


def test_trials_and_retrainings_tell_it_under_names_that_say_of_which_images() -> None:
    declared = logit_metrics.build(own("brier")).metric
    assert declared == Metric("validation_brier", "my number on validation", "", Direction.MINIMIZE, Source.TRAINING)
    on_test = metric_on_test(declared)
    assert (on_test.name, on_test.label) == ("test_brier", "my number on the test images")
    assert declared_name(declared) == "brier"


def test_options_reach_the_metric() -> None:
    given_logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    values = [
        logit_metrics.build(own("brier", scale=scale)).value(given_logits, torch.arange(6) % 3, given_logits)
        for scale in (1.0, 2.0)
    ]
    assert values[1] == pytest.approx(2.0 * values[0])


def test_whole_number_is_told_as_a_float() -> None:
    metric = logit_metrics.build(own("largest_label"))
    value = metric.value(torch.zeros(3, 4), torch.tensor([0, 3, 1]), torch.zeros(3, 4))
    assert (type(value), value) == (float, 3.0)


def test_metric_sees_float32_logits_of_student_and_teacher_in_their_order() -> None:
    student_NC, teacher_NC = torch.ones(2, 2, dtype=torch.bfloat16), torch.full((2, 2), 3.0, dtype=torch.float64)
    assert values_of([distance_to_teacher()], student_NC, torch.tensor([0, 1]), teacher_NC) == {"distance": 4.0}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raising", 'metric "mine" raised IndexError: no such bin'),
        ("tensor", 'metric "mine" returned a Tensor: it must return a float'),
        ("nothing", 'metric "mine" returned a NoneType: it must return a float'),
        ("truth", 'metric "mine" returned a bool: it must return a float'),
        ("infinite", 'metric "mine" is -inf: it must be a finite number'),
        ("not_a_number", 'metric "mine" is nan: it must be a finite number'),
        ("percent", r'metric "mine" is 97\.5: a fraction must lie in \[0, 1\]'),
        ("random", r'metric "mine" is 0\.\d+ and then 0\.\d+ for the same logits'),
        ("in_place", 'metric "mine" changes the logits or labels that it is given'),
        ("of_two", "metric \"mine\": compute must take the student's logits, the labels and the teacher's logits"),
        ("itself", 'itself" takes logits_NC, labels_N, teacher_NC, and its options are .*and return a LogitMetric'),
        ("undeclared", 'undeclared" built a float: it must build a LogitMetric'),
        ("broken", 'broken" raised RuntimeError when it was built: no bins'),
        ("accuracy", 'accuracy": its name "accuracy" is taken by another metric'),
        ("badly_named", "name = 'My number': must be lower-case letters, digits and underscores, at most 60"),
        ("NOT_BUILDABLE", 'NOT_BUILDABLE" is a int: it must be a function or a class'),
        ("absent", 'module "tests.logit_metrics" has no "absent"'),
    ],
)
def test_what_could_not_be_computed_is_refused_before_anything_is_launched(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        logit_metrics.try_out(own(name), 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (NamedConfig(name="calibration"), 'unknown metric "calibration": allowed are calibration_error, or one\'s own'),
        (NamedConfig(name="no_such_package:ece"), 'metric "no_such_package:ece": there is no module "no_such_package"'),
        (own("brier", bins=3), r"there is no option bins = 3; allowed are scale"),
        (
            NamedConfig(name="calibration_error", options={"num_bins": 0}),
            "option num_bins = 0: .* greater than or equal",
        ),
        (NamedConfig(name="calibration_error", options={"num_bins": 1.5}), r"option num_bins = 1\.5: .* valid integer"),
    ],
)
def test_wrong_name_or_option_is_told_with_what_is_allowed(config: NamedConfig, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        logit_metrics.build(config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "2nd"}, "name = '2nd': must be lower-case letters"),
        ({"name": "a" * 61}, "at most 60"),
        ({"label": ""}, "label = '': must be 1 to 80 characters"),
        ({"label": " ECE"}, "label = ' ECE': .* without blanks around them"),
        ({"unit": 3}, "unit = 3: must be 0 to 20 characters"),
        ({"direction": "up"}, "direction = 'up': must be 'maximize' or 'minimize'"),
        ({"compute": None}, "compute must take .*: None is not a callable object"),
    ],
)
def test_declaration_that_no_table_could_show_is_refused(change: dict[str, object], message: str) -> None:
    fields = {"name": "x", "label": "x", "unit": "", "direction": "maximize", "compute": lambda _, __, ___: 0.0}
    with pytest.raises(ValueError, match=message):
        LogitMetric(**{**fields, **change})  # type: ignore[arg-type] # the mistakes


def test_too_little_memory_is_the_device_s_fault_and_not_the_metric_s() -> None:
    """What the trial reports then lets a verification be tried again."""
    with pytest.raises(torch.OutOfMemoryError, match="6 GiB"):
        logit_metrics.build(own("no_memory")).value(torch.zeros(2, 2), torch.tensor([0, 1]), torch.zeros(2, 2))
