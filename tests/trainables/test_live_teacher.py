"""The live teacher in its cheapest form says what the network says: folded, and run no further than needed."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainables.models.test_models import set_statistics
from trainables import models
from trainables.config import ModelConfig
from trainables.models.features import FeatureTap
from trainables.teacher_outputs import Batch, LiveTeacher, Split, Teacher, TeacherArrays

SHAPE, NUM_CLASSES, NUM_IMAGES = (3, 9, 9), 5, 10
MODEL = ModelConfig(name="resnet8", options={"width_multiplier": 0.25})
IMAGES = torch.randn(NUM_IMAGES, *SHAPE, generator=torch.Generator().manual_seed(0))
STAGES = ("stage1", "stage2", "stage3")


def network() -> nn.Module:
    torch.manual_seed(0)
    made = models.build(MODEL, input_shape=SHAPE, num_classes=NUM_CLASSES)
    set_statistics(made, IMAGES)
    return made.eval()


def teacher() -> Teacher:
    weights = {name: each.numpy() for name, each in network().state_dict().items()}
    table = np.zeros((NUM_IMAGES, NUM_CLASSES), np.float32)
    arrays = TeacherArrays(MODEL, weights, table, table)
    return Teacher(arrays, torch.device("cpu"), input_shape=SHAPE, num_classes=NUM_CLASSES)


def batch(split: Split = Split.TRAIN) -> Batch:
    indices_N = torch.arange(NUM_IMAGES)
    return Batch(split, indices_N, IMAGES.contiguous(memory_format=torch.channels_last), indices_N)


def assert_says_what_the_network_says(live: LiveTeacher, taps: Sequence[str]) -> None:
    outputs = live.outputs(batch())
    plain = network()
    with torch.no_grad(), FeatureTap(plain, taps) as tap:
        torch.testing.assert_close(outputs.logits_NC, plain(IMAGES))
        for name, features in tap.take().items():
            torch.testing.assert_close(outputs.features[name], features)
    assert list(outputs.features) == list(taps)


def num_norms(live: LiveTeacher) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in live._network.modules())


def test_norms_are_folded_and_the_outputs_are_the_networks() -> None:
    live = teacher().live(STAGES)
    assert num_norms(live) == 0
    assert_says_what_the_network_says(live, STAGES)


@pytest.mark.parametrize("tap", ["stage2.0.residual.0.0", "stage2.0.residual.0.1", "stage2.0.residual.1"])
def test_a_layer_that_folding_would_change_is_read_of_a_network_that_is_not_folded(tap: str) -> None:
    """A convolution before its norm, a norm before its activation, and a block before its sum, which is no trouble."""
    shared = teacher()
    live = shared.live((tap,))
    assert num_norms(live) == (0 if tap == "stage2.0.residual.1" else 9)
    assert_says_what_the_network_says(live, (tap,))
    assert num_norms(shared.live(STAGES)) == 0  # and the next student has the cheap one again


def test_features_alone_stop_before_the_classifier() -> None:
    live = teacher().live(("stage1", "stage2"), with_logits=False)
    live.outputs(batch())

    def never(*_: object) -> None:
        raise AssertionError("the third stage was run")

    handle = live._network.get_submodule("stage3").register_forward_pre_hook(never)
    outputs = live.outputs(batch())
    assert outputs.logits_NC.shape == (NUM_IMAGES, 0)
    handle.remove()
    plain = network()
    with torch.no_grad(), FeatureTap(plain, ("stage1", "stage2")) as tap:
        plain(IMAGES)
        for name, features in tap.take().items():
            torch.testing.assert_close(outputs.features[name], features)


def test_validation_images_are_given_logits_whatever_training_needs() -> None:
    live = LiveTeacher(network(), STAGES, with_logits=False)
    assert live.outputs(batch(Split.TRAIN)).logits_NC.shape == (NUM_IMAGES, 0)
    with torch.no_grad():
        expected = network()(IMAGES)
    torch.testing.assert_close(live.outputs(batch(Split.VALIDATION)).logits_NC, expected)


def test_a_teacher_in_bfloat16_computes_in_it_and_says_nearly_the_same() -> None:
    live = teacher().live(STAGES, precision="bfloat16")
    outputs = live.outputs(batch())
    assert {each.dtype for each in (outputs.logits_NC, live.network(IMAGES))} == {torch.bfloat16}
    with torch.no_grad():
        expected = network()(IMAGES)
    torch.testing.assert_close(outputs.logits_NC.float(), expected, rtol=0.1, atol=0.1)
