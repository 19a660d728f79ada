"""A step in parts is the step of the whole batch, or is refused."""

import re
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.factories import device_data
from tests.trainables.losses.batches import method
from tests.trainables.losses.runs import config_of, live_teacher
from trainables.config import ModelConfig, OptimizerConfig, StudentConfig, TrainingConfig, TransferConfig
from trainables.losses import LOSSES
from trainables.losses.distillation_loss import Need
from trainables.run_start import student_run
from trainables.training import DistillationRun

NEEDS = {name: method(name).needs for name in sorted(LOSSES)}
IN_PARTS = [name for name, needs in NEEDS.items() if Need.WHOLE_BATCH not in needs]
PLAIN = OptimizerConfig(name="sgd", learning_rate=0.05, momentum=0.9)


def in_parts(name: str, accumulate: int, **training: Any) -> StudentConfig:
    """A student of the method in batches of 32 of 120 images, the last of 24."""
    config = config_of(name)
    changed = config.training.model_copy(update={"accumulate": accumulate, "optimizer": PLAIN, **training})
    model = ModelConfig(name="mlp", options={"hidden": (12,)})
    taken = model if Need.FEATURES not in NEEDS[name] else config.model
    return config.model_copy(update={"training": changed, "model": taken})


def started(config: StudentConfig) -> DistillationRun:
    run = student_run(config, device_data(), live_teacher())
    for module in run.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as its documentation says: it would see the part alone
            module.track_running_stats = False
            module.register_forward_pre_hook(lambda module, _: module.eval())
    return run


@pytest.mark.parametrize("accumulate", [3, 32])
@pytest.mark.parametrize("name", IN_PARTS)
def test_training_in_parts_is_training_in_whole_batches(name: str, accumulate: int) -> None:
    """After an epoch of four steps with momentum; 32 images in 3 parts are 11, 11 and 10."""
    whole, parts = started(in_parts(name, 1)), started(in_parts(name, accumulate))
    losses = [run.run_epoch().train_loss for run in (whole, parts)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    for one, other in zip(parts.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - set(IN_PARTS)))
def test_method_that_relates_the_images_of_a_batch_is_refused_parts_by_name(name: str) -> None:
    message = f'method "{name}" needs whole_batch, which parts of one do not give: training.accumulate = 2 must be 1'
    with pytest.raises(ValueError, match=re.escape(message)):
        student_run(in_parts(name, 2), device_data(), live_teacher())


def test_sum_with_such_a_method_is_refused_parts_too() -> None:
    config = in_parts("sum", 2)
    options = {"terms": ("labels", "similarity"), "weights": (1.0, 1.0)}
    config = config.model_copy(update={"loss": config.loss.model_copy(update={"options": options})})
    with pytest.raises(ValueError, match='method "sum" needs whole_batch'):
        student_run(config, device_data(), live_teacher())


def test_labels_of_some_images_are_refused_parts() -> None:
    config = in_parts("labels", 2).model_copy(update={"transfer": TransferConfig(label_share=0.5)})
    message = r"with transfer\.label_share = 0\.5, training\.accumulate = 2 must be 1"
    with pytest.raises(ValueError, match=message):
        student_run(config, device_data(), live_teacher())


def test_more_parts_than_images_are_refused() -> None:
    with pytest.raises(ValidationError, match="accumulate = 5: must be at most batch_size = 4"):
        TrainingConfig(epochs=1, batch_size=4, accumulate=5)
