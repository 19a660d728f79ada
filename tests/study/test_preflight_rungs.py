"""Rungs finer than a batch are refused before anything is launched; those that are not can be trained."""

import pytest

from study.preflight import prepare
from tests.factories import device_data, student, study_config
from tests.study.test_preflight import own_space
from trainables.run_start import student_run

IMAGES = {"max_train_images": 1_000, "num_validation_images": 100}  # 8 batches of 128, the space's only size


def prepare_with(epochs: int = 1, **halving: object) -> None:
    space = own_space(epochs=epochs)
    prepare(study_config(space=space, dataset=IMAGES, search={"early_stopping": "pareto_halving", "halving": halving}))


@pytest.mark.parametrize(
    ("halving", "message"),
    [
        (
            {"first_rung": 0.1},
            (
                r"search\.halving\.first_rung = 0\.1: from epoch 0 to epoch 0\.1 there is no whole batch of 128, .*"
                r"rungs must be at least 0\.12 epochs \(1000 images are 8 batches\)"
            ),
        ),
        (
            {"rungs": [0.25, 0.3]},
            r"search\.halving\.rungs = \[0\.25, 0\.3\]: from epoch 0\.25 to epoch 0\.3 there is no",
        ),
        ({"first_rung": 0.12}, r"first_rung = 0\.12: from epoch 0 to epoch 0\.12 there is no whole batch"),
        ({"rungs": [0.9]}, r"rungs = \[0\.9\]: from epoch 0\.9 to epoch 1 there is no whole batch"),
        ({"rungs": [1.0, 1.05]}, r"from epoch 1 to epoch 1\.05 there is no whole batch"),
    ],
)
def test_rung_less_than_a_batch_from_the_report_before_is_refused(halving: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        prepare_with(epochs=2, **halving)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "halving",
    [
        {},
        {"first_rung": 0.125},
        {"rungs": [0.125, 0.25, 0.875]},
        {"rungs": [0.3, 0.425, 1.125]},
        {"rungs": [2.05]},  # after the end: no trial comes to it
    ],
)
def test_rungs_of_whole_batches_are_accepted(halving: dict[str, object]) -> None:
    prepare_with(epochs=2, **halving)


def test_rungs_are_not_looked_at_where_nothing_is_stopped() -> None:
    prepare(study_config(space=own_space(), dataset=IMAGES, search={"halving": {"first_rung": 0.01}}))


@pytest.mark.parametrize("batch_size", [7, 16, 23, 30])
def test_rungs_a_largest_batch_apart_can_be_trained_with_every_smaller_batch(batch_size: int) -> None:
    """120 images are 4 batches of 30: what is accepted for those raises for no smaller batch."""
    run = student_run(student(epochs=2, batch_size=batch_size), device_data(), None)
    for moment in (0.25, 0.5, 0.75, 1.0, 1.3, 1.55, 2.0):
        run.run_until(moment)
    assert run.is_finished
