"""Shares of a GPU from what was measured; the curves are made up, and their knees known."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.gpu_shares import (
    LEAST_GAIN,
    MEMORY_MARGIN,
    NUM_TENANTS,
    planned_share,
    planned_shares,
    resident_mib,
    share_words,
    tenants_by_memory,
    tenants_by_speed,
)
from study.resources import UNMEASURED_SHARE
from tests.factories import study_config, training_data
from tests.profiles import architecture_profile
from trainables.config import ModelConfig
from trainables.measurements import CoTenancy, ProfilesRecord, Together, TrainingMeasurement

A10G_MIB, CONTEXT_MIB = 23_028.0, 500.0


def curve(*speeds: float | None) -> tuple[Together, ...]:
    """Of 1, 2, 4, 8 processes."""
    pairs = zip(NUM_TENANTS, speeds, strict=False)
    return tuple(Together(num_processes=number, images_per_s=speed) for number, speed in pairs)


def co_tenancy(
    together: Sequence[Together], board_mib: float = A10G_MIB, context_mib: float = CONTEXT_MIB
) -> CoTenancy:
    return CoTenancy(board_mib=board_mib, context_mib=context_mib, together=tuple(together))


def training(peak_mib: float | None, beside: CoTenancy | None) -> TrainingMeasurement:
    (measured,) = architecture_profile(ModelConfig(name="cnn"), batch_sizes=(64,)).trainings
    return measured.model_copy(update={"peak_memory_mib": peak_mib, "co_tenancy": beside})


@pytest.mark.parametrize(
    ("speeds", "number"),
    [
        ((1000, 2000, 4000, 8000), 8),  # a small network leaves most of the board idle
        ((1000, 1900, 2500, 2510), 4),
        ((1000, 1300, 1290, 5000), 2),  # what comes after the knee is not asked for
        ((1000, 1001, 1002, 1003), 1),  # the board is full with one
        ((1000, 1300, None, None), 2),  # four have too little memory
        ((1000,), 1),
        ((None,), 1),
    ],
)
def test_tenants_are_as_many_as_still_train_more_images_in_all(speeds: tuple[float | None, ...], number: int) -> None:
    assert tenants_by_speed(curve(*speeds)) == number


def test_tenants_are_as_many_as_fit_with_their_contexts_and_the_margin() -> None:
    """On 23,028 MiB: 1.25 x 4,205 + 500 = 5,756.25 fits four times; a MiB more, and only twice."""
    beside = co_tenancy(curve(1000))
    assert tenants_by_memory(4_205.0, beside) == 4
    assert tenants_by_memory(4_206.0, beside) == 2
    assert tenants_by_memory(100_000.0, beside) == 1
    # 8 x 2,800 fits in 23,028; the contexts make the difference.
    assert tenants_by_memory(2_240.0, co_tenancy(curve(1000), context_mib=0.0)) == 8
    assert tenants_by_memory(2_240.0, beside) == 4


def test_what_was_not_measured_beside_others_has_the_usual_share() -> None:
    assert planned_share(training(1_000.0, None), 0.0) == UNMEASURED_SHARE
    assert planned_share(training(None, co_tenancy(curve(1, 2, 4, 8))), 0.0) == UNMEASURED_SHARE


@given(
    speeds=st.lists(st.floats(1.0, 1e6) | st.none(), min_size=1, max_size=4),
    peak_mib=st.floats(1.0, 30_000.0),
    resident=st.floats(0.0, 5_000.0),
    board_mib=st.floats(4_000.0, 80_000.0),
    context_mib=st.floats(0.0, 2_000.0),
)
def test_shares_pack_fit_and_stop_at_the_knee(
    speeds: list[float | None], peak_mib: float, resident: float, board_mib: float, context_mib: float
) -> None:
    together = curve(*speeds)
    share = planned_share(training(peak_mib, co_tenancy(together, board_mib, context_mib)), resident)
    number = round(1 / share)
    assert share == 1.0 / number  # so that Ray, which counts in ten-thousandths, fills a GPU with them
    assert (share * 10_000).is_integer()
    if number > 1:
        needed = number * ((1.0 + MEMORY_MARGIN) * (peak_mib + resident) + context_mib)
        assert needed <= board_mib * (1.0 + 1e-12)
        known = {each.num_processes: each.images_per_s for each in together}
        gained, before = known[number], known[number // 2]
        assert gained is not None
        assert before is not None
        assert gained >= (1.0 + LEAST_GAIN) * before


@given(st.lists(st.sampled_from([1.0, 0.5, 0.25, 0.125]), max_size=30))
def test_planned_shares_fill_gpus_without_a_gap_when_the_largest_come_first(shares: list[float]) -> None:
    """First fit: no GPU but the last has room for what another one holds."""
    free: list[float] = []
    for share in sorted(shares, reverse=True):
        place = next((place for place, left in enumerate(free) if left >= share), None)
        if place is None:
            free.append(1.0)
            place = len(free) - 1
        free[place] -= share
    assert len(free) == -(-sum(shares) // 1)


def profiles(**of_width: TrainingMeasurement) -> ProfilesRecord:
    teacher = architecture_profile(ModelConfig(name="cnn", options={"width": 4}), batch_sizes=())
    students = {}
    for name, measured in of_width.items():
        model = ModelConfig(name="cnn", options={"width": int(name[1:])})
        students[model.key] = architecture_profile(model).model_copy(update={"trainings": (measured,)})
    return ProfilesRecord(fingerprint="f", teacher=teacher, students=students)


def test_each_student_is_planned_by_itself_and_told_in_words() -> None:
    small = training(100.0, co_tenancy(curve(1000, 2000, 4000, 8000)))
    large = training(9_000.0, co_tenancy(curve(1000, 1500, 1600, 1600)))
    shares = planned_shares(profiles(w1=small, w8=large), 0.0)
    assert shares == {("cnn(width=1)", 64): 0.125, ("cnn(width=8)", 64): 1.0}
    assert share_words(shares) == ["1 to a GPU: cnn(width=8) at batch 64", "8 to a GPU: cnn(width=1) at batch 64"]


def test_what_a_trial_keeps_beside_its_student_is_counted() -> None:
    """Images of 8 x 8 bytes, labels of 8, logits of three classes; the teacher's weights, or its own training."""
    data, config = training_data(num_train=120, num_validation=60), study_config()
    known = profiles()
    kept = 180 * (64 + 8 + 3 * 4) / 2**20
    weights = 4 * known.teacher.num_parameters / 2**20
    assert resident_mib(config, data, known) == pytest.approx(kept + weights)
    trained = known.teacher.model_copy(update={"trainings": (training(700.0, None),)})
    known = known.model_copy(update={"teacher": trained})
    assert resident_mib(config, data, known) == pytest.approx(kept + 700.0)
    stored = config.model_copy(update={"teacher": config.teacher.model_copy(update={"outputs": "stored"})})
    assert resident_mib(stored, data, known) == pytest.approx(kept)
