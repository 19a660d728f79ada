from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainables.data.numbered_images import FIRST_TEST_NUMBER, numbered_dataset, numbers_of
from trainables.config import DatasetConfig
from trainables.data.image_arrays import LabelledImages
from trainables.data.split import apportion, split

NUM_CLASSES = 4


@st.composite
def splits(draw: st.DrawFn) -> tuple[list[int], DatasetConfig]:
    labels = draw(st.lists(st.integers(0, NUM_CLASSES - 1), min_size=2, max_size=80))
    num_validation = draw(st.integers(1, len(labels) - 1))
    max_train = draw(st.none() | st.integers(1, len(labels) - num_validation))
    seed = draw(st.integers(0, 2**31))
    return labels, DatasetConfig(num_validation_images=num_validation, max_train_images=max_train, split_seed=seed)


def assert_stratified(part: LabelledImages, source_labels: list[int]) -> None:
    for label in range(NUM_CLASSES):
        share = Fraction(source_labels.count(label) * len(part), len(source_labels))
        assert abs(int((part.labels_N == label).sum()) - share) < 1


@settings(deadline=None)
@given(splits())
def test_validation_and_train_are_a_partition_of_the_training_split(drawn: tuple[list[int], DatasetConfig]) -> None:
    labels, config = drawn
    data = split(numbered_dataset(labels, NUM_CLASSES), config.model_copy(update={"max_train_images": None}))
    assert sorted(numbers_of(data.validation) + numbers_of(data.train)) == list(range(len(labels)))
    assert len(data.validation) == config.num_validation_images


@settings(deadline=None)
@given(splits())
def test_each_class_gives_its_share_to_within_one_image(drawn: tuple[list[int], DatasetConfig]) -> None:
    labels, config = drawn
    data = split(numbered_dataset(labels, NUM_CLASSES), config)
    assert_stratified(data.validation, labels)
    held_out = set(numbers_of(data.validation))
    assert_stratified(data.train, [label for number, label in enumerate(labels) if number not in held_out])


@settings(deadline=None)
@given(splits())
def test_images_keep_their_labels_and_none_is_of_the_test_split(drawn: tuple[list[int], DatasetConfig]) -> None:
    labels, config = drawn
    data = split(numbered_dataset(labels, NUM_CLASSES), config)
    for part in (data.train, data.validation):
        numbers = numbers_of(part)
        assert max(numbers) < FIRST_TEST_NUMBER
        assert part.labels_N.tolist() == [labels[number] for number in numbers]


@settings(deadline=None)
@given(splits())
def test_fewer_training_images_leave_the_validation_images_the_same(drawn: tuple[list[int], DatasetConfig]) -> None:
    labels, config = drawn
    dataset = numbered_dataset(labels, NUM_CLASSES)
    whole = split(dataset, config.model_copy(update={"max_train_images": None}))
    part = split(dataset, config)
    assert numbers_of(part.validation) == numbers_of(whole.validation)
    assert set(numbers_of(part.train)) <= set(numbers_of(whole.train))
    assert len(part.train) == (config.max_train_images or len(whole.train))


def test_the_seed_alone_decides_which_images_are_held_out() -> None:
    dataset = numbered_dataset([0, 1] * 50, 2)
    held_out = [
        numbers_of(split(dataset, DatasetConfig(num_validation_images=20, split_seed=seed)).validation)
        for seed in (0, 0, 1)
    ]
    assert held_out[0] == held_out[1]
    assert held_out[0] != held_out[2]


def test_too_many_validation_images_are_refused_with_the_allowed_range() -> None:
    dataset = numbered_dataset([0, 1, 0, 1], 2)
    with pytest.raises(ValueError, match=r"num_validation_images = 4: allowed are 1 to 3, .* 4 training images"):
        split(dataset, DatasetConfig(num_validation_images=4))


def test_too_many_training_images_are_refused_with_the_allowed_range() -> None:
    dataset = numbered_dataset([0, 1, 0, 1], 2)
    with pytest.raises(
        ValueError, match="max_train_images = 3: allowed are 1 to 2, what num_validation_images = 2 leaves"
    ):
        split(dataset, DatasetConfig(num_validation_images=2, max_train_images=3))


def test_apportioning_follows_hamilton_by_hand() -> None:
    """Shares of 10 by 53 : 24 : 23 are 5.3, 2.4 and 2.3: the one left over goes to the largest remainder, 0.4."""
    assert apportion(np.array([53, 24, 23]), 10).tolist() == [5, 3, 2]


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=10).filter(any), st.data())
def test_apportioning_is_exact_and_takes_from_no_group_more_than_it_has(sizes: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(sizes)))
    counts = apportion(np.array(sizes), total)
    assert counts.sum() == total
    assert (counts <= sizes).all()
