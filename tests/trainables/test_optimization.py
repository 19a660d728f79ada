"""Learning rates by step, against the recipes that they are named after, worked out by hand."""

import re
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.factories import device_data, student
from trainables.config import OptimizerConfig, TrainingConfig
from trainables.later_fields import without_later_fields
from trainables.optimization import build_optimizer, build_schedule
from trainables.run_start import student_run

SGD = OptimizerConfig(name="sgd", learning_rate=0.05, momentum=0.9, weight_decay=5e-4)
CIFAR = TrainingConfig(epochs=240, batch_size=64, optimizer=SGD, schedule="multi_step")


def rates(training: TrainingConfig, num_steps: int) -> list[float]:
    """The rate of every step."""
    optimizer = build_optimizer([nn.Parameter(torch.zeros(1))], training.optimizer)
    schedule = build_schedule(optimizer, training, num_steps)
    found = []
    for _ in range(num_steps):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return found


def test_multi_step_at_its_defaults_is_the_recipe_of_cifar() -> None:
    """Tian et al. 2020: 240 epochs, 0.05, a tenth after 150, 180 and 210. Every step of 7 an epoch, by hand."""
    by_epoch = [0.05] * 150 + [0.005] * 30 + [0.0005] * 30 + [0.00005] * 30
    found = rates(CIFAR, 240 * 7)
    for epoch, rate in enumerate(by_epoch):
        assert found[7 * epoch : 7 * epoch + 7] == pytest.approx([rate] * 7)


@pytest.mark.parametrize("num_steps", [1, 2, 3, 10, 240 * 782, 7919])
def test_rate_falls_at_the_first_step_by_which_a_milestone_s_share_is_done(num_steps: int) -> None:
    """Whatever the number of steps: step s comes after s of them, a share of s / num_steps."""
    training = CIFAR.model_copy(update={"milestones": (0.3, 0.6), "milestone_decay": 0.5})
    state = build_schedule(build_optimizer([nn.Parameter(torch.zeros(1))], SGD), training, num_steps).state_dict()
    for share, step in zip((3, 6), sorted(state["milestones"].elements()), strict=True):
        assert 10 * step >= share * num_steps
        assert 10 * (step - 1) < share * num_steps
    if num_steps <= 10:
        passed = [sum(10 * step >= share * num_steps for share in (3, 6)) for step in range(num_steps)]
        assert rates(training, num_steps) == pytest.approx([0.05 * 0.5**each for each in passed])


def test_recipe_of_cifar_is_sgd_with_nesterov_momentum_and_decay_as_the_textbook_has_it() -> None:
    """Two steps on f(w) = w^2 / 2: g = w + decay w; v = 0.9 v + g; w -= rate (g + 0.9 v)."""
    weight = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = build_optimizer([weight], SGD)
    expected, velocity = 2.0, 0.0
    for _ in range(2):
        optimizer.zero_grad()
        (weight**2 / 2).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        gradient = expected * (1 + 5e-4)
        velocity = 0.9 * velocity + gradient
        expected -= 0.05 * (gradient + 0.9 * velocity)
    assert weight.item() == pytest.approx(expected, rel=1e-9)


def test_run_of_several_steps_is_gone_on_with_at_its_rate() -> None:
    config = student(epochs=4, optimizer=SGD, schedule="multi_step", milestones=(0.3, 0.6))
    whole, first = (student_run(config, device_data(), None) for _ in range(2))
    found = []
    for _ in range(4):
        whole.run_epoch()
        optimizer: Any = whole.state_dict()["optimizer"]
        found.append(optimizer["param_groups"][0]["lr"])
    assert found == pytest.approx([0.05, 0.005, 0.0005, 0.0005])  # of 16 steps from the 5th and the 10th on
    first.run_until(0.5)
    resumed = student_run(config, device_data(), None)
    resumed.load_state_dict(first.state_dict())
    while not resumed.is_finished:
        resumed.run_epoch()
    for one, other in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"milestones": [0.5, 0.5]}, "milestones = [0.5, 0.5]: must rise, each above 0 and below 1"),
        ({"milestones": [0.0, 0.5]}, "milestones = [0.0, 0.5]: must rise, each above 0 and below 1"),
        ({"milestones": [0.5, 1.0]}, "milestones = [0.5, 1.0]: must rise, each above 0 and below 1"),
        (
            {"milestones": [0.5], "schedule": "cosine"},
            'milestones = [0.5]: schedule must be "multi_step", not "cosine"',
        ),
        (
            {"milestone_decay": 0.2, "schedule": "one_cycle"},
            'milestone_decay = 0.2: schedule must be "multi_step", not "one_cycle"',
        ),
    ],
)
def test_milestones_that_cannot_be_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        TrainingConfig.model_validate({"epochs": 1, "schedule": "multi_step", **fields})


@pytest.mark.parametrize(("field", "value"), [("milestones", []), ("milestone_decay", 0.0), ("milestone_decay", 1.0)])
def test_value_of_multi_step_out_of_range_is_refused_by_its_name(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=rf"\n{field}\n"):
        TrainingConfig.model_validate({"epochs": 1, "schedule": "multi_step", field: value})


def test_training_survives_json_and_an_older_one_has_its_older_fingerprint() -> None:
    assert TrainingConfig.model_validate_json(CIFAR.model_dump_json()) == CIFAR
    older = without_later_fields(TrainingConfig(epochs=1).model_dump(mode="json"))
    assert older.keys() == {"epochs", "batch_size", "optimizer", "schedule", "augmentation", "precision", "seed"}
    assert older["augmentation"] == {"shift_pixels": 0}
