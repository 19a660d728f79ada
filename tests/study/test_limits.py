"""How long an epoch may take: as asked for, or from measured speeds."""

from typing import Any

import pytest

from study.limits import LEAST_S, TIMES_MEASURED, EpochLimit, epoch_limit_s
from study.resources import ResourcesConfig
from tests.factories import student
from tests.profiles import profile
from trainables.measurements import ProfilesRecord


def profiles() -> ProfilesRecord:
    known = profile(student(width=2).model, 2, 0.2)
    return ProfilesRecord(fingerprint="", teacher=known, students={known.model.key: known})


def limit(
    asked: EpochLimit, *, num_images: int = 1_000, num_teachers: int = 1, num_sharing: int = 1, **fields: Any
) -> float | None:
    return epoch_limit_s(
        asked,
        student(width=2, **fields),
        profiles(),
        num_images=num_images,
        num_teachers=num_teachers,
        num_sharing=num_sharing,
    )


def test_limit_that_is_asked_for_is_in_minutes_whatever_was_measured() -> None:
    assert limit(0.5) == 30.0
    assert limit("none") is None


def test_measured_limit_is_a_multiple_of_the_epoch_and_of_the_teachers_passes() -> None:
    known = profiles()
    training, latency = known.teacher.trainings[0], known.teacher.latencies
    teacher_s = min(each.p50_ms / each.batch_size for each in latency) / 1e3
    for num_teachers in (1, 4):
        alone_s = 1e9 / training.images_per_s + 1e9 * num_teachers * teacher_s
        found = limit("measured", num_images=10**9, num_teachers=num_teachers, batch_size=training.batch_size)
        assert found == pytest.approx(TIMES_MEASURED * alone_s)


def test_measured_limit_grows_with_the_trials_that_share_a_device() -> None:
    measured_at = profiles().teacher.trainings[0].batch_size
    alone, shared = (limit("measured", num_images=10**9, num_sharing=num, batch_size=measured_at) for num in (1, 8))
    assert alone is not None
    assert shared == pytest.approx(8 * alone)


def test_short_epochs_have_half_an_hour_and_what_was_not_measured_has_no_limit() -> None:
    measured_at = profiles().teacher.trainings[0].batch_size
    assert limit("measured", num_images=1, batch_size=measured_at) == LEAST_S
    assert limit("measured", batch_size=12_345) is None


@pytest.mark.parametrize("asked", [0, -1.0, "never"])
def test_limit_that_is_none_of_the_three_is_refused(asked: object) -> None:
    with pytest.raises(ValueError, match="max_minutes_per_epoch"):
        ResourcesConfig.model_validate({"max_minutes_per_epoch": asked})
