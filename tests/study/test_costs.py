"""What a study will cost: counted by hand for a small one."""

import pytest

import search_spaces
from study.config import read_config
from study.costs import StudyCost, cost_words, num_verified_runs, study_cost
from tests.factories import study_config, training_data
from trainables.config import ModelConfig, NamedConfig
from trainables.hardware.peaks import training_flops_per_image
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


def test_stored_views_lie_on_the_disk_beside_the_weights() -> None:
    """12 trials of kd in 3 epochs: logits of 120 images in three classes for 3 views, 4 bytes each."""
    kd = SPACE.model_copy(update={"options": {**SPACE.options, "methods": ("kd",)}})
    shifted = kd.model_copy(update={"options": {**kd.options, "shift_pixels": 2}})
    plain, stored = (
        study_cost(study_config(space=each.model_dump()), search_spaces.build(each), training_data())
        for each in (kd, shifted)
    )
    assert stored.disk_bytes - plain.disk_bytes == 3 * 120 * 3 * 4


def test_views_of_one_fresh_seed_pass_through_where_the_teacher_is_never_run() -> None:
    shifted = SPACE.model_copy(update={"options": {**SPACE.options, "methods": ("kd",), "shift_pixels": 2}})
    teacher = {"model": {"name": "cnn", "options": {"width": 4}}, "training": {"epochs": 1}, "outputs": "stored"}
    fields = {"space": shifted.model_dump(), "teacher": teacher, "search": {"num_trials": 1}}
    space, pair = search_spaces.build(shifted), {"max_students": 1, "seeds": 2}
    alone, verified = (
        study_cost(study_config(**fields, verify=verify), space, training_data())
        for verify in ({"max_students": 0}, pair)
    )
    network = build(ModelConfig(name="cnn", options={"width": 2}), input_shape=(1, 8, 8), num_classes=3)
    weights = 2 * 2 * sum(each.numel() for each in network.parameters()) * 4
    assert verified.disk_bytes - alone.disk_bytes == weights + 3 * 120 * 3 * 4


def test_assistant_leaves_weights_and_logits() -> None:
    """Logits of 120 and 60 images in three classes."""
    model = {"name": "cnn", "options": {"width": 3}}
    assistant = {"model": model, "loss": {"name": "kd"}, "training": {"epochs": 1}}
    alone, assisted = (
        study_cost(study_config(space=SPACE.model_dump(), **each), search_spaces.build(SPACE), training_data())
        for each in ({}, {"assistants": [assistant]})
    )
    network = build(ModelConfig(**model), input_shape=(1, 8, 8), num_classes=3)
    num_numbers = sum(each.numel() for each in network.parameters()) + (120 + 60) * 3
    assert assisted.disk_bytes - alone.disk_bytes == 4 * num_numbers


def test_words_name_the_parts() -> None:
    said = cost_words(StudyCost(1e15, 8e15, 1e15, 2**20, 3 * 2**30))
    assert said.startswith(
        "at most 1e+16 FLOP of training (teacher 10 %, search 80 %, verification 10 %); 1 MiB of images"
    )
    assert "about 3.0 GiB of weights and outputs" in said
