"""What a study will cost: counted by hand for a small one."""

import pytest

import search_spaces
from study.config import read_config
from study.costs import StudyCost, cost_words, num_verified_runs, search_seconds, study_cost, time_words
from tests.factories import study_config, training_data
from tests.profiles import architecture_profile
from trainables.config import ModelConfig, NamedConfig
from trainables.hardware.peaks import training_flops_per_image
from trainables.measurements import ProfilesRecord
from trainables.models import build

SPACE = NamedConfig(name="cnn_distillation", options={"widths": (2,), "batch_sizes": (32,), "epochs": 3})


def test_work_is_flops_by_epochs_by_images_by_students() -> None:
    config = study_config(
        space=SPACE.model_dump(), search={"num_trials": 10}, verify={"max_students": 2, "seeds": 3},
        teacher={"model": {"name": "cnn", "options": {"width": 4}}, "training": {"epochs": 5}},
    )  # fmt: skip
    data = training_data(num_train=120)
    small, large = (
        training_flops_per_image(
            build(ModelConfig(name="cnn", options={"width": width}), input_shape=(1, 8, 8), num_classes=3), (1, 8, 8)
        )
        for width in (2, 4)
    )
    cost = study_cost(config, search_spaces.build(SPACE), data)
    assert cost.teacher_flops == pytest.approx(large * 5 * 120)
    assert cost.search_flops == pytest.approx(small * 3 * 120 * 10)
    assert cost.verify_flops == pytest.approx(small * 3 * 120 * (2 * 2 * 3))
    assert cost.image_bytes == 180 * 64


def test_kinds_are_trained_again_once_a_seed() -> None:
    config = study_config(
        space=SPACE.model_dump(), verify={"max_students": 0, "best_of": ["method", "width"], "seeds": 3}
    )
    assert num_verified_runs(config, search_spaces.build(SPACE)) == 2 * 3  # labels and kd at one width


@pytest.mark.parametrize(("preset", "num_runs"), [("capacity", 90), ("methods", 96), ("mnist-grid", 0)])
def test_verified_runs_of_a_preset_are_those_of_its_kinds(preset: str, num_runs: int) -> None:
    """Of capacity: labels at 6 widths and kd at 6 widths and 4 temperatures, 3 seeds; of methods: 16 at 2 widths."""
    config = read_config(preset)
    assert num_verified_runs(config, search_spaces.build(config.space)) == num_runs


def test_teacher_that_is_brought_costs_no_training() -> None:
    config = study_config(
        space=SPACE.model_dump(), teacher={"model": {"name": "cnn", "options": {"width": 4}}, "weights": "t.pth"}
    )
    assert study_cost(config, search_spaces.build(SPACE), training_data()).teacher_flops == 0.0


def profiles(batch_size: int) -> ProfilesRecord:
    """At 5,000 images a second."""
    student = architecture_profile(ModelConfig(name="cnn", options={"width": 2}), batch_sizes=(batch_size,))
    return ProfilesRecord(fingerprint="f", teacher=student, students={student.model.key: student})


def test_hours_follow_from_the_measured_speeds() -> None:
    """24 trials of 3 epochs of 1,000 images."""
    config = study_config(space=SPACE.model_dump(), search={"num_trials": 24})
    seconds = search_seconds(config, search_spaces.build(SPACE), 1_000, profiles(32))
    assert seconds == pytest.approx(24 * 3 * 1_000 / 5_000)


def test_unknown_speed_gives_no_hours() -> None:
    config = study_config(space=SPACE.model_dump(), search={"num_trials": 24})
    assert search_seconds(config, search_spaces.build(SPACE), 1_000, profiles(64)) is None


def test_words_name_the_parts() -> None:
    said = cost_words(StudyCost(1e15, 8e15, 1e15, 2**20, 3 * 2**30))
    assert said.startswith(
        "at most 1e+16 FLOP of training (teacher 10 %, search 80 %, verification 10 %); 1 MiB of images"
    )
    assert "about 3.0 GiB of weights and outputs" in said
    took = "about 2 h 00 min of training by measured speeds, 30 min on 4 slots, if none is stopped"
    assert time_words(7200.0, 4) == took
