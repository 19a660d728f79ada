"""The convolutional space: which parameters exist, where, and in what ranges."""

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.cnn_distillation import CnnDistillation


def ask(seed: int = 0) -> optuna.Trial:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()


@given(st.integers(0, 200))
def test_temperature_and_alpha_exist_under_distillation_alone(seed: int) -> None:
    trial = ask(seed)
    student = CnnDistillation().suggest(trial)
    distils = student.loss.name == "kd"
    assert ({"temperature", "alpha"} <= set(trial.params)) is distils
    assert ("temperature" in student.loss.options) is distils


@given(st.integers(0, 200))
def test_students_stay_within_the_ranges(seed: int) -> None:
    space = CnnDistillation(widths=(3, 5), learning_rates=(0.01, 0.02), temperatures=(2, 4), alphas=(0.5, 0.6))
    trial = ask(seed)
    student = space.suggest(trial)
    assert student.model.options["width"] in {3, 5}
    assert 0.01 <= student.training.optimizer.learning_rate <= 0.02
    if student.loss.name == "kd":
        assert 2 <= trial.params["temperature"] <= 4
        assert 0.5 <= trial.params["alpha"] <= 0.6


def test_learning_rate_and_temperature_are_searched_by_their_logarithm() -> None:
    trial = ask()
    CnnDistillation(methods=("kd",)).suggest(trial)
    for name in ("learning_rate", "temperature"):
        distribution = trial.distributions[name]
        assert isinstance(distribution, optuna.distributions.FloatDistribution)
        assert distribution.log


def test_baseline_learning_rate_is_the_middle_of_its_range() -> None:
    (baseline,) = CnnDistillation(widths=(4,), learning_rates=(0.001, 0.1)).baselines()
    assert baseline["learning_rate"] == pytest.approx(0.01)


def test_without_labels_there_is_no_baseline() -> None:
    assert list(CnnDistillation(methods=("kd",)).baselines()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": (2, 2)}, r"widths = \[2, 2\] names a value twice"),
        ({"alphas": (0.9, 0.1)}, r"alphas = \[0\.9, 0\.1\]: the first must not exceed the second"),
        ({"widths": (65,)}, "less than or equal to 64"),
        ({"epochs": 0}, "greater than or equal to 1"),
    ],
)
def test_wrong_range_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CnnDistillation.model_validate(options)
