"""The plan is what Hinton et al. 2015, section 3, says: checked against the paper's own words and numbers."""

import pytest

from study.recipes import read_recipe
from tests.trainables.hinton2015_recipe import small_recipe
from trainables import models
from trainables.config import StudentConfig
from trainables.hinton2015 import Experiment, Hinton2015Recipe, fingerprints, plan

RECIPE = read_recipe("hinton2015")
RUNS = {each.key: each for each in plan(RECIPE, 0)}
VERSIONS = {"torch": "1"}


def num_parameters(student: StudentConfig) -> int:
    return models.num_parameters(models.build(student.model, input_shape=(1, 28, 28), num_classes=10))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("teacher", 2_395_210),
        ("teacher-twin", 2_395_210),
        ("labels", 1_276_810),
        ("soft-800-T20", 1_276_810),
        ("no-3s", 1_276_810),
        ("only-7s-and-8s", 1_276_810),
        ("soft-300-T8", 328_810),
        ("soft-30-T2.5", 24_790),
    ],
)
def test_networks_have_the_papers_sizes(key: str, expected: int) -> None:
    assert num_parameters(RUNS[key].student) == expected


def test_only_the_teacher_has_dropout_a_bound_and_jitter_and_nobody_weight_decay() -> None:
    for key, run in RUNS.items():
        is_teacher = key.startswith("teacher")
        training = run.student.training
        assert (training.augmentation.shift_pixels, training.augmentation.mixup) == (2 if is_teacher else 0, 0.0)
        assert (training.optimizer.max_norm is not None) is is_teacher
        assert ("dropout" in run.student.model.options) is is_teacher
        assert ("input_dropout" in run.student.model.options) is is_teacher
        assert training.optimizer.weight_decay == 0.0
        assert training.precision == "float32"


def test_the_teacher_drops_units_as_the_recipe_says() -> None:
    """The paper does not say how many; beside jitter fewer than its source's (0.2, 0.5) do better in 60 epochs."""
    options = RUNS["teacher"].student.model.options
    assert (options["input_dropout"], options["dropout"], options["hidden"]) == (0.0, 0.3, (1200, 1200))


def test_the_student_at_20_and_those_that_miss_classes_learn_alike() -> None:
    soft = RUNS["soft-800-T20"]
    assert soft.student.loss.options["temperature"] == 20.0
    for key in ("no-3s", "no-3s-twin", "only-7s-and-8s", "only-7s-and-8s-twin"):
        student = RUNS[key].student
        assert (student.model, student.loss) == (soft.student.model, soft.student.loss)
        assert student.training == soft.student.training


def test_classes_are_missing_and_biases_are_moved_as_in_the_paper() -> None:
    assert RUNS["no-3s"].student.transfer.omitted_classes == (3,)
    assert RUNS["no-3s"].shifted_classes == (3,)
    assert RUNS["only-7s-and-8s"].student.transfer.omitted_classes == (0, 1, 2, 3, 4, 5, 6, 9)
    assert RUNS["only-7s-and-8s"].shifted_classes == (7, 8)
    others = [run for key, run in RUNS.items() if not key.startswith(("no-3s", "only-7s-and-8s"))]
    assert all(run.student.transfer.is_everything and not run.shifted_classes for run in others)


def test_labels_alone_means_no_teacher_and_twins_are_taught_by_the_twin() -> None:
    assert {key: run.taught_by for key, run in RUNS.items() if run.taught_by != "teacher"} == {
        "teacher": None,
        "teacher-twin": None,
        "labels": None,
        "no-3s-twin": "teacher-twin",
        "only-7s-and-8s-twin": "teacher-twin",
    }
    assert {run.student.loss.name for run in RUNS.values() if run.taught_by} == {"kd"}


def test_biases_are_chosen_by_twins_alone() -> None:
    choosing = {key: run.shift_chosen_by for key, run in RUNS.items() if run.shift_chosen_by is not None}
    assert choosing == {"no-3s": "no-3s-twin", "only-7s-and-8s": "only-7s-and-8s-twin"}
    assert all(RUNS[twin].is_twin for twin in choosing.values())


@pytest.mark.parametrize("recipe", [RECIPE, small_recipe()])
def test_each_run_comes_once_and_after_what_it_takes_from(recipe: Hinton2015Recipe) -> None:
    seen: set[str | None] = {None}
    for run in plan(recipe, 4):
        assert run.key not in seen
        assert {run.taught_by, run.shift_chosen_by} <= seen
        assert (run.seed, run.student.training.seed) == (4, 4)
        seen.add(run.key)


def test_temperatures_of_30_and_300_units_span_the_papers_claims() -> None:
    for units in (30, 300):
        temperatures = {float(key.split("-T")[1]) for key in RUNS if key.startswith(f"soft-{units}-T")}
        assert {1.0, 2.5, 3.0, 4.0, 8.0, 20.0} <= temperatures


def test_a_result_depends_on_its_own_recipe_and_on_its_teachers_alone() -> None:
    def of(recipe: Hinton2015Recipe, versions: dict[str, str] = VERSIONS) -> dict[str, str]:
        return fingerprints(plan(recipe, 0), recipe, versions)

    first = of(small_recipe())
    assert len(set(first.values())) == len(first)
    labels = {"epochs": 3, "batch_size": 50, "optimizer": {"name": "sgd"}}
    other_labels = of(small_recipe(labels=labels))
    assert {key for key in first if first[key] != other_labels[key]} == {"labels"}
    other_teacher = of(small_recipe(teacher={**labels, "hidden": (24, 24)}))
    assert {key for key in first if first[key] == other_teacher[key]} == {"labels"}
    assert set(of(small_recipe(), {"torch": "2"}).values()).isdisjoint(first.values())


def test_a_setting_that_is_added_later_changes_no_fingerprint() -> None:
    """What is spelled out at its default, as a setting that did not exist would be, hashes as if it were left out."""
    spelled = {"name": "tests.study.tiny_digits:load", "num_validation_images": 50, "max_train_images": None}
    first, second = small_recipe(), small_recipe(dataset=spelled, pixels={"mean": 0.0})
    assert fingerprints(plan(first, 0), first, VERSIONS) == fingerprints(plan(second, 0), second, VERSIONS)


def test_seeds_differ_in_fingerprint() -> None:
    def of(seed: int) -> set[str]:
        return set(fingerprints(plan(RECIPE, seed), RECIPE, VERSIONS).values())

    assert of(0).isdisjoint(of(1))


def test_a_name_becomes_a_file_and_must_not_leave_its_folder() -> None:
    with pytest.raises(ValueError, match="String should match pattern"):
        Experiment(key="../teacher", seed=0, student=RUNS["teacher"].student)


def test_the_students_own_width_has_no_other_recipe() -> None:
    """The student at T 20 is also a row of its width's temperatures: it is trained once."""
    soft = {"epochs": 9, "batch_size": 50, "optimizer": {}, "alpha": 0.5}
    with pytest.raises(ValueError, match="16 units are the student's own"):
        small_recipe(widths=({"units": 16, "temperatures": (20.0,), "soft": soft},))
    keys = [each.key for each in plan(small_recipe(widths=({"units": 16, "temperatures": (8.0, 20.0)},)), 0)]
    assert keys.count("soft-16-T20") == 1
