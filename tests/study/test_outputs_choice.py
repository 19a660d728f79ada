"""Stored or live by cost: counted by hand, and what is said of it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import search_spaces
from study.config import StudyConfig
from study.outputs_choice import Demand, OutputsChoice, choice_words, choose, demands
from study.preflight import outputs_choice, prepare
from tests.factories import student, study_config, training_data
from trainables.config import AugmentationConfig, LossConfig, StudentConfig, TransferConfig
from trainables.losses.distillation_loss import Need

CROPS, FLIPS = AugmentationConfig(shift_pixels=4), AugmentationConfig(flip=True)
LOGITS = frozenset({Need.LABELS, Need.TEACHER_LOGITS})
MIB = 2**20


def shown(
    augmentation: AugmentationConfig, loss: str = "kd", *, epochs: int = 4, transfer: TransferConfig | None = None
) -> StudentConfig:
    config = student(loss=LossConfig(name=loss), epochs=epochs)
    training = config.training.model_copy(update={"augmentation": augmentation})
    return config.model_copy(update={"training": training, "transfer": transfer or TransferConfig()})


def chosen(*asked_for: Demand, outputs: str = "auto", limit_mib: int = 100) -> OutputsChoice:
    """A view takes 1 MiB."""
    return choose(asked_for, bytes_a_view=MIB, limit_bytes=limit_mib * MIB, outputs=outputs)  # type: ignore[arg-type]


def test_live_passes_are_epochs_by_trials_by_the_share_of_the_images() -> None:
    """12 trials, a third of each method: 4 of kd, tried once with 4 and once with 8 epochs; 4 of dkd on half of all."""
    tried = [
        (shown(CROPS, "labels"), frozenset({Need.LABELS})),
        (shown(CROPS, "kd", epochs=4), LOGITS),
        (shown(CROPS, "kd", epochs=8), LOGITS),
        (shown(CROPS, "dkd", transfer=TransferConfig(share=0.5)), LOGITS),
    ]
    found = demands(tried, 12, {"labels": 4, "kd": 4, "dkd": 4})
    assert found == [Demand(CROPS, num_views=8, live_passes=2 * 4 + 2 * 8 + 4 * 4 * 0.5)]


def test_space_without_methods_counts_every_student_that_was_tried_alike() -> None:
    tried = [(shown(CROPS, "labels"), frozenset({Need.LABELS})), (shown(CROPS, "my:loss"), LOGITS)]
    assert demands(tried, 10, {}) == [Demand(CROPS, num_views=4, live_passes=5 * 4)]


def test_views_that_are_repeated_are_counted_once() -> None:
    twice = CROPS.model_copy(update={"num_views": 2})
    assert demands([(shown(twice, epochs=6), LOGITS)], 3, {"kd": 3}) == [Demand(CROPS, num_views=2, live_passes=18)]


@pytest.mark.parametrize(
    ("config", "needs"),
    [
        (shown(AugmentationConfig()), LOGITS),
        (shown(CROPS), frozenset({Need.LABELS})),
        (shown(CROPS), LOGITS | {Need.FEATURES}),
        (shown(CROPS), LOGITS | {Need.TEACHER_NETWORK}),
        (shown(AugmentationConfig(mixup=1.0), transfer=TransferConfig(share=0.5)), LOGITS),
        (shown(AugmentationConfig(mixup=1.0), transfer=TransferConfig(omitted_classes=(1,))), LOGITS),
    ],
    ids=["as they are", "no teacher", "features", "the network", "mixed in a share", "mixed without a class"],
)
def test_students_that_no_table_serves_ask_for_none(config: StudentConfig, needs: frozenset[Need]) -> None:
    assert demands([(config, needs)], 6, {"kd": 6}) == []


def test_method_without_trials_asks_for_nothing() -> None:
    assert demands([(shown(CROPS), LOGITS)], 6, {"kd": 0}) == []


@pytest.mark.parametrize(
    ("live_passes", "num_views", "is_stored"),
    [(41.0, 40, True), (40.0, 40, False), (5.0, 40, False), (999.0, 100, True)],
)
def test_views_are_stored_where_that_takes_fewer_passes(live_passes: float, num_views: int, is_stored: bool) -> None:
    assert bool(chosen(Demand(CROPS, num_views, live_passes)).stored) is is_stored


def test_what_does_not_fit_is_live_and_what_saves_more_comes_first() -> None:
    most, more, least = Demand(CROPS, 60, 600.0), Demand(FLIPS, 50, 500.0), Demand(AugmentationConfig(), 40, 80.0)
    choice = chosen(least, more, most)
    assert (choice.stored, choice.live) == ((most, least), (more,))
    assert choice.num_bytes == 100 * MIB
    assert choice.saved_passes == 600 + 80 - 100


@given(
    st.lists(st.tuples(st.integers(1, 60), st.floats(0, 500)), max_size=5),
    st.sampled_from(["auto", "live"]),
    st.integers(1, 200),
)
def test_nothing_is_stored_above_the_limit_or_at_a_loss(
    kinds: list[tuple[int, float]], outputs: str, limit_mib: int
) -> None:
    asked_for = [
        Demand(AugmentationConfig(shift_pixels=place), num_views, passes)
        for place, (num_views, passes) in enumerate(kinds)
    ]
    choice = chosen(*asked_for, outputs=outputs, limit_mib=limit_mib)
    assert choice.num_bytes <= limit_mib * MIB
    assert choice.saved_passes >= 0
    assert sorted(choice.stored + choice.live, key=asked_for.index) == asked_for
    assert not (outputs == "live" and choice.stored)
    assert math.isclose(
        sum(each.live_passes for each in asked_for),
        choice.saved_passes + choice.num_views + sum(each.live_passes for each in choice.live),
        abs_tol=1e-6,
    )


def test_stored_alone_is_stored_even_where_it_saves_nothing() -> None:
    assert chosen(Demand(CROPS, 40, 1.0), outputs="stored").num_views == 40


def test_stored_alone_is_refused_where_there_is_no_room() -> None:
    message = (
        'teacher.outputs = "stored": the logits on 101 views of all training images take 101 MiB, more than '
        "teacher.max_stored_mib = 100: raise it"
    )
    with pytest.raises(ValueError, match=message):
        chosen(Demand(CROPS, 101, 999.0), outputs="stored")


LIMIT, BEFORE = "teacher.max_stored_mib = 100", "60 MiB stored before"
TEN_TIMES = "teacher outputs: stored for 60 views, 60 MiB: 10 times fewer teacher passes than live"


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (chosen(), None),
        (
            chosen(Demand(CROPS, 60, 1_800.0)),
            "teacher outputs: stored for 60 views, 60 MiB: 30 times fewer teacher passes than live",
        ),
        (
            chosen(Demand(CROPS, 60, 30.0), outputs="stored"),
            "teacher outputs: stored for 60 views, 60 MiB: 2 times more teacher passes than live",
        ),
        (chosen(Demand(CROPS, 60, 1_800.0), outputs="live"), 'teacher outputs: live: teacher.outputs = "live"'),
        (
            chosen(Demand(CROPS, 60, 60.0)),
            "teacher outputs: live: 60 passes over the images, where storing takes 60",
        ),
        (
            chosen(Demand(CROPS, 240, 480.0)),
            f"teacher outputs: live: 480 passes over the images, for 240 views take 240 MiB stored and {LIMIT}",
        ),
        (
            chosen(Demand(CROPS, 60, 600.0), Demand(FLIPS, 50, 100.0)),
            f"{TEN_TIMES}; live: 100 passes over the images, for 50 views take 50 MiB stored and {LIMIT} with {BEFORE}",
        ),
    ],
)  # fmt: skip
def test_choice_is_told_with_its_reason(choice: OutputsChoice, words: str | None) -> None:
    assert choice_words(choice) == words


def crops(**options: object) -> StudyConfig:
    space = {"widths": [1, 2], "methods": ["labels", "kd", "attention"], "batch_sizes": [64], "epochs": 5}
    teacher = {"model": {"name": "cnn", "options": {"width": 4}}, "training": {"epochs": 1}}
    return study_config(
        space={"name": "cnn_distillation", "options": space | {"shift_pixels": 2} | options},
        search={"num_trials": 12},
        teacher=teacher,
    )


def test_study_is_counted_by_what_its_methods_need() -> None:
    """4 of 12 trials are kd's: 20 passes, where 5 views take 5; attention reads features, and runs the teacher."""
    config = crops()
    choice = outputs_choice(config, search_spaces.build(config.space), training_data())
    assert choice.stored == (Demand(AugmentationConfig(shift_pixels=2), 5, 20.0),)
    assert choice.num_bytes == 5 * 120 * 3 * 4
    assert choice.live == ()


def test_study_without_views_chooses_nothing() -> None:
    config = crops(shift_pixels=0)
    assert choice_words(outputs_choice(config, search_spaces.build(config.space), training_data())) is None


def test_study_that_may_only_look_up_what_has_no_room_is_refused_before_anything_runs() -> None:
    """1,000 epochs of 55,000 images in ten classes."""
    config = crops(epochs=1_000, methods=["kd"])
    config = config.model_copy(update={"teacher": config.teacher.model_copy(update={"outputs": "stored"})})
    with pytest.raises(ValueError, match=r"the logits on 1,000 views .* take 2\.0 GiB, more than .*_mib = 2048"):
        prepare(config)
