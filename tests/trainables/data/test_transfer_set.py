"""Transfer sets: evenly drawn, nested, with labels withheld, and what a run makes of them."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import device_data, stored_teacher, student
from trainables.config import LossConfig, StudentConfig, TransferConfig
from trainables.data.transfer_set import TransferSet, transfer_set
from trainables.losses.distillation_loss import UNLABELLED
from trainables.run_start import student_run
from trainables.teacher_outputs import Batch, Split

LABELS_M = np.repeat(np.arange(4), [100, 50, 25, 1]).astype(np.int64)
SHARES = st.floats(0.01, 1.0)
PERCENTS = st.integers(1, 100)


def drawn(**config: Any) -> TransferSet:
    return transfer_set(LABELS_M, TransferConfig(**config))


@given(PERCENTS, st.integers(0, 100))
def test_each_class_gives_its_share_rounded_up(percent: int, seed: int) -> None:
    """In whole numbers: n p / 100, rounded up, whatever floats make of 0.07 x 100."""
    members_K = drawn(share=percent / 100, seed=seed).members_K
    counts = np.bincount(LABELS_M[members_K], minlength=4)
    assert counts.tolist() == [math.ceil(size * percent / 100 - 1e-9) for size in (100, 50, 25, 1)]
    assert counts[0] == percent


@given(SHARES, SHARES, st.integers(0, 100))
def test_smaller_share_lies_within_a_larger_one(one: float, other: float, seed: int) -> None:
    small, large = (drawn(share=share, seed=seed) for share in sorted((one, other)))
    assert set(small.members_K) <= set(large.members_K)


@given(SHARES, SHARES, SHARES)
def test_labels_of_a_smaller_share_of_labels_lie_within_those_of_a_larger(
    share: float, one: float, other: float
) -> None:
    few, many = (drawn(share=share, label_share=labels) for labels in sorted((one, other)))
    assert np.array_equal(few.members_K, many.members_K)
    told = few.labels_M != UNLABELLED
    assert np.array_equal(few.labels_M[told], many.labels_M[told])


@given(SHARES, st.floats(0.0, 1.0))
def test_labels_that_are_told_are_right_and_of_shown_images(share: float, label_share: float) -> None:
    transfer = drawn(share=share, label_share=label_share)
    told_K = np.flatnonzero(transfer.labels_M != UNLABELLED)
    assert np.array_equal(transfer.labels_M[told_K], LABELS_M[told_K])
    assert set(told_K) <= set(transfer.members_K)
    assert (len(told_K) == 0) is (label_share == 0.0)


def test_members_are_ascending_and_none_comes_twice() -> None:
    members_K = drawn(share=0.4).members_K
    assert (np.diff(members_K) > 0).all()


def test_another_seed_draws_others() -> None:
    assert set(drawn(share=0.3, seed=0).members_K) != set(drawn(share=0.3, seed=1).members_K)


def test_of_an_omitted_class_no_image_is_shown_and_the_others_are_as_before() -> None:
    without, whole = drawn(share=0.3, omitted_classes=(1,)), drawn(share=0.3)
    kept = whole.members_K[LABELS_M[whole.members_K] != 1]
    assert np.array_equal(without.members_K, kept)


def test_everything_is_every_image_with_its_label() -> None:
    transfer = drawn()
    assert np.array_equal(transfer.members_K, np.arange(len(LABELS_M)))
    assert np.array_equal(transfer.labels_M, LABELS_M)


def test_set_emptied_by_omission_is_refused() -> None:
    with pytest.raises(ValueError, match=r"omitted_classes = \[0, 1, 2, 3\] leaves no image to learn from"):
        drawn(omitted_classes=(0, 1, 2, 3))


def test_omitted_class_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match=r"omitted_classes: there is no class 7; there are \[0, 1, 2, 3\]"):
        drawn(omitted_classes=(1, 7))


class Recorder:
    """Stored outputs that keep what they were asked for."""

    def __init__(self) -> None:
        self.seen: list[Batch] = []
        self._stored = stored_teacher(device_data())

    @property
    def network(self) -> None:
        return None

    def outputs(self, batch: Batch) -> Any:
        self.seen.append(batch)
        return self._stored.outputs(batch)


def config_of(alpha: float, **transfer: Any) -> StudentConfig:
    config = student(loss=LossConfig(name="kd", options={"alpha": alpha}), epochs=2)
    return config.model_copy(update={"transfer": TransferConfig(**transfer)})


def test_run_shows_the_members_once_an_epoch_with_the_labels_that_are_told() -> None:
    data, recorder = device_data(), Recorder()
    metrics = student_run(config_of(0.5, share=0.4, label_share=0.5, omitted_classes=(2,)), data, recorder).run_epoch()
    expected = transfer_set(
        data.images[Split.TRAIN].labels_N.numpy(), TransferConfig(share=0.4, label_share=0.5, omitted_classes=(2,))
    )
    indices_K = torch.cat([batch.indices_N for batch in recorder.seen])
    labels_K = torch.cat([batch.labels_N for batch in recorder.seen])
    assert sorted(indices_K.tolist()) == expected.members_K.tolist()
    assert labels_K.tolist() == expected.labels_M[indices_K.numpy()].tolist()
    assert metrics.num_images == 32


def test_without_a_single_label_kd_teaches_by_its_soft_term_alone() -> None:
    """label_share 0 leaves alpha times the soft term: the same bits as without labels, but for the weight."""
    data = device_data()
    unlabelled, soft = (
        student_run(config_of(0.5, label_share=0.0), data, stored_teacher(data)),
        student_run(config_of(1.0), data, stored_teacher(data)),
    )
    indices_N = torch.arange(32)
    assert unlabelled.train_step(indices_N).item() == pytest.approx(0.5 * soft.train_step(indices_N).item(), rel=1e-6)
    assert math.isfinite(unlabelled.run_epoch().train_loss)


def test_labels_alone_without_a_label_are_refused() -> None:
    config = student().model_copy(update={"transfer": TransferConfig(label_share=0.0)})
    with pytest.raises(ValueError, match=r'method "labels" learns from labels alone: transfer.label_share = 0 leaves'):
        student_run(config, device_data(), None)
