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


def test_baselines_take_the_middle_of_each_range_on_its_own_scale() -> None:
    space = CnnDistillation(widths=(4,), learning_rates=(0.001, 0.1), temperatures=(2, 8), alphas=(0.2, 0.6))
    labels, kd = space.baselines()
    assert labels["learning_rate"] == pytest.approx(0.01)
    assert kd["temperature"] == pytest.approx(4)
    assert kd["alpha"] == pytest.approx(0.4)


def test_steps_make_a_grid_even_on_each_scale() -> None:
    """Of 0.001 to 0.1 by ratio, and of 0.2 to 0.6 by difference."""
    space = CnnDistillation(methods=("kd",), learning_rates=(0.001, 0.1), alphas=(0.2, 0.6), steps=3)
    trial = ask()
    space.suggest(trial)
    choices = {
        name: each.choices
        for name, each in trial.distributions.items()
        if isinstance(each, optuna.distributions.CategoricalDistribution)
    }
    assert choices["learning_rate"] == pytest.approx((0.001, 0.01, 0.1))
    assert choices["alpha"] == pytest.approx((0.2, 0.4, 0.6))
    assert {baseline["learning_rate"] for baseline in space.baselines()} == {choices["learning_rate"][1]}


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_baselines_stand_on_the_grid(steps: int) -> None:
    space = CnnDistillation(widths=(1, 2), steps=steps)
    study = optuna.create_study()
    for baseline in space.baselines():
        study.enqueue_trial(dict(baseline))
        trial = study.ask()
        space.suggest(trial)  # a value that is no choice would be refused
        assert trial.params == baseline


def test_equal_ends_are_one_step() -> None:
    trial = ask()
    CnnDistillation(learning_rates=(0.01, 0.01), steps=5).suggest(trial)
    assert trial.distributions["learning_rate"] == optuna.distributions.CategoricalDistribution((0.01,))


def test_each_labels_only_baseline_has_a_partner_that_differs_in_method_alone() -> None:
    space = CnnDistillation(widths=(1, 4), methods=("kd", "labels"))
    labels, partners = space.baselines()[:2], space.baselines()[2:]
    for one, other in zip(labels, partners, strict=True):
        assert (one["method"], other["method"]) == ("labels", "kd")
        assert {name: other[name] for name in one if name != "method"} == {
            name: one[name] for name in one if name != "method"
        }


def test_method_of_ones_own_is_suggested_with_its_own_defaults() -> None:
    space = CnnDistillation(widths=(4,), methods=("my_losses:mine",))
    assert space.suggest(ask()).loss.key == "my_losses:mine()"


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
