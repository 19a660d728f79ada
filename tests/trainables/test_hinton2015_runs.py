"""Errors counted and biases moved, against counts by hand; what the runs are shown."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.trainables.hinton2015_recipe import small_recipe
from trainables.hinton2015 import Experiment, plan
from trainables.hinton2015_runs import Images, best_shift, count_errors, shifted, start
from trainables.teacher_outputs import Split
from trainables.training import TrainingDivergedError

RECIPE = small_recipe()
RUNS = {each.key: each for each in plan(RECIPE, 0)}


@pytest.fixture(scope="module")
def images() -> Images:
    return Images(RECIPE.dataset, RECIPE.pixels)


def test_errors_are_counted_by_true_class() -> None:
    logits_NC = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [5.0, 0.0, 1.0]])
    counted = count_errors(logits_NC, torch.tensor([0, 2, 1, 1]))
    assert counted.num_wrong_by_class == (0, 2, 0)
    assert counted.num_images_by_class == (1, 2, 1)
    assert (counted.num_wrong, counted.num_images, counted.fraction) == (2, 4, 0.5)


def test_an_output_that_is_not_finite_is_not_counted() -> None:
    with pytest.raises(TrainingDivergedError, match="not finite"):
        count_errors(torch.tensor([[0.0, float("nan")]]), torch.tensor([0]))


def test_moved_logits_are_those_of_a_network_whose_biases_were_moved() -> None:
    torch.manual_seed(0)
    classifier, features_ND = nn.Linear(5, 10), torch.randn(20, 5)
    with torch.no_grad():
        before_NC = classifier(features_ND)
        kept_NC = before_NC.clone()
        moved_NC = shifted(before_NC, (7, 8), -7.6)
        classifier.bias[[7, 8]] -= 7.6
        torch.testing.assert_close(moved_NC, classifier(features_ND))
    assert torch.equal(before_NC, kept_NC)


@given(gaps=st.lists(st.floats(0.15, 30.0), min_size=2, max_size=6), below=st.integers(1, 5))
def test_best_shift_lies_where_by_hand_the_fewest_are_wrong(gaps: list[float], below: int) -> None:
    """Class 1 trails by each gap where it is right, and by more than any where it is wrong: between them none errs."""
    num_threes, top = len(gaps), max(gaps)
    logits_NC = torch.tensor([[gap, 0.0] for gap in gaps] + [[top + 5.0, 0.0]] * below)
    labels_N = torch.tensor([1] * num_threes + [0] * below)
    found = best_shift(logits_NC, labels_N, (1,))
    assert found.errors.num_wrong == 0
    assert top <= found.shift <= top + 0.2


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 1.1), (-1.0, -1.1)])
def test_of_equally_good_shifts_the_smallest_is_taken(sign: float, expected: float) -> None:
    """All from 1.1 to 4 are right: below, the first image is wrong, above, the second; and so turned round."""
    logits_NC = torch.tensor([[1.05, 0.0], [4.05, 0.0]])
    first, second = (1, 0) if sign > 0 else (0, 1)
    found = best_shift(sign * logits_NC, torch.tensor([first, second]), (1,))
    assert found.shift == pytest.approx(expected)
    assert found.errors.num_wrong == 0


def test_where_no_shift_helps_there_is_none() -> None:
    assert best_shift(torch.tensor([[9.0, 0.0]]), torch.tensor([0]), (1,)).shift == 0.0


def test_a_missing_class_is_not_shown(images: Images) -> None:
    """400 training images, 40 of each class; 50 of them, 5 of each, for validation."""
    assert {key: images.num_shown(run) for key, run in RUNS.items() if run.shifted_classes or run.is_twin} == {
        "teacher-twin": 350,
        "no-3s": 360,
        "no-3s-twin": 315,
        "only-7s-and-8s": 80,
        "only-7s-and-8s-twin": 70,
    }


def test_twins_learn_from_no_validation_image_and_the_others_from_all(images: Images) -> None:
    def rows(run: Experiment, split: Split) -> set[bytes]:
        pixels = images.for_training(run).images[split].images_NCHW.numpy()
        return {np.ascontiguousarray(each).tobytes() for each in pixels}

    twin, whole = RUNS["teacher-twin"], RUNS["teacher"]
    assert rows(twin, Split.TRAIN).isdisjoint(rows(twin, Split.VALIDATION))
    assert rows(whole, Split.TRAIN) == rows(twin, Split.TRAIN) | rows(twin, Split.VALIDATION)
    assert len(rows(whole, Split.TRAIN)) == 400


def test_black_pixels_are_zero_so_that_dropout_makes_pixels_black(images: Images) -> None:
    data = images.for_training(RUNS["teacher"]).images[Split.TRAIN]
    first = torch.tensor([0])
    torch.testing.assert_close(data.normalized(first), data.images_NCHW[:1].float() / 255)


def test_the_bound_holds_after_every_step_of_the_teacher(images: Images) -> None:
    run = start(RUNS["teacher"], images, None)
    bound = RECIPE.teacher.optimizer.max_norm
    assert bound is not None
    longest: list[list[float]] = []
    for step in range(12):
        run.train_step(torch.arange(50 * (step % 8), 50 * (step % 8) + 50))
        layers = [layer for layer in run.model.modules() if isinstance(layer, nn.Linear)]
        longest.append([float(layer.weight.detach().norm(dim=1).max()) for layer in layers])
    assert all(each <= bound * (1 + 1e-6) for norms in longest for each in norms)
    assert max(longest[-1]) == pytest.approx(bound)  # it is felt
