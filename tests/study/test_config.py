"""A study's configuration: what is accepted, what is refused and how, and what its fingerprints cover."""

from pathlib import Path
from typing import Any

import pytest

from study.config import StudyConfig, parse_config, preset_names, read_config
from tests.factories import study_config
from trainables.config import TransferConfig
from trainables.later_fields import without_later_fields


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_a_valid_study_of_its_own_name(name: str) -> None:
    assert read_config(name).name == name


def test_json_form_comes_back_as_the_same_study() -> None:
    config = read_config("mnist")
    assert parse_config(config.model_dump(mode="json"), "json") == config


def test_overrides_reach_nested_fields_in_their_own_types() -> None:
    config = read_config(
        "smoke",
        ["search.num_trials=3", 'search.sampler="random"', "search.sampler=nsga2", "space.options.widths=[1, 8]"],
    )
    assert config.search.num_trials == 3
    assert config.search.sampler == "nsga2"
    assert config.space.options["widths"] == (1, 8)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("search.num_trails=3", r"search\.num_trails: there is no such field; allowed are .*num_trials"),
        ("search.num_trials=0", r"search\.num_trials = 0: .*greater than or equal to 1"),
        ("search.num_trials=many", r"search\.num_trials = 'many': .*integer"),
        ("resources.gpus_per_trial=1.5", r"resources\.gpus_per_trial = 1\.5: a trial trains on one GPU: .* to 1"),
        ("resources.gpus_per_trial=plan", r"resources\.gpus_per_trial = 'plan': .* and \"planned\""),
        ("resources.autoscaled={num_cpus=4}", r"resources\.autoscaled\.max_nodes: is required"),
        ('objectives=["accuracy"]', r'objectives = .*unknown metric "accuracy": allowed are validation_accuracy'),
        ('objectives=["train_seconds"]', r'"train_seconds" is sampled while other trials run'),
        (
            'objectives=["validation_accuracy", "validation_accuracy"]',
            r"names a metric twice",
        ),
        (
            'objectives=["validation_accuracy", "latency_p50_ms_batch3"]',
            r'objective "latency_p50_ms_batch3" is not measured: profile\.inference_batch_sizes = \[1, 8\] must hold 3',
        ),
        ("seed=5000000000", r"seed = 5000000000: .*less than 4294967296"),
        ("name=../x", r"name = '\.\./x': .*pattern"),
        ("teacher.training.lr=1", r"teacher\.training\.lr: there is no such field; allowed are epochs, batch_size"),
        ("teacher.weights=3", r'teacher\.weights = 3: must be the path of a file, several in a list, or "as_built"'),
        ("teacher.training.epochs=-1", r"teacher\.training\.epochs = -1: .*greater than or equal to 1"),
        ("search=3", r"search = 3: .*dictionary"),
        ("search.num_trials", r'--set "search\.num_trials": must read path\.to\.field=value'),
        ("name.first=x", r'--set "name\.first=x": "name" is a value, not a table'),
    ],
)
def test_wrong_value_is_one_line_that_names_field_value_and_what_is_allowed(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_config("smoke", [override])
    assert "\n" not in str(caught.value)


def test_unknown_preset_lists_those_there_are() -> None:
    with pytest.raises(
        ValueError, match=r'unknown preset "mnits": allowed are .*mnist, .*smoke, .*or the path of a \.toml'
    ):
        read_config("mnits")


def test_file_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.toml: cannot be read"):
        read_config(str(tmp_path / "none.toml"))
    torn = tmp_path / "torn.toml"
    torn.write_text("[search\nnum_trials = ")
    with pytest.raises(ValueError, match=r"torn\.toml: not valid TOML"):
        read_config(str(torn))


def test_missing_teacher_is_named() -> None:
    with pytest.raises(ValueError, match=r"x: teacher: is required; space: is required"):
        parse_config({"name": "a"}, "x")


CHANGES: list[tuple[dict[str, Any], set[str]]] = [
    ({"seed": 1}, {"study"}),
    ({"dataset": {"split_seed": 1}}, {"teach", "study"}),
    ({"profile": {"inference_batch_sizes": [1, 2]}}, {"profile"}),
    (
        {"teacher": {"model": {"name": "cnn", "options": {"width": 5}}, "training": {"epochs": 1}}},
        {"teach", "profile", "study"},
    ),
    (
        {
            "teacher": {
                "model": {"name": "cnn", "options": {"width": 4}},
                "training": {"epochs": 1},
                "outputs": "live",
                "max_stored_mib": 7,
            }
        },
        set(),
    ),
    ({"search": {"num_trials": 99}}, set()),
    ({"resources": {"cpus_per_trial": 4, "dashboard": False}}, set()),
    ({"name": "other"}, set()),
]


@pytest.mark.parametrize(("change", "stale"), CHANGES)
def test_fingerprint_changes_exactly_where_a_result_would(change: dict[str, Any], stale: set[str]) -> None:
    before, after = study_config(), study_config(**change)

    def fingerprints(config: StudyConfig) -> dict[str, str]:
        return {stage: config.fingerprint(stage) for stage in ("teach", "profile", "study")}

    changed = {stage for stage, value in fingerprints(after).items() if value != fingerprints(before)[stage]}
    assert changed == stale


def test_fields_that_came_later_leave_older_fingerprints_as_they_were_while_they_are_without_effect() -> None:
    """As they were before there were transfer sets, mixed images, bounds on weights and assistants."""
    older = {"training": {"augmentation": {"shift_pixels": 0}, "optimizer": {"name": "sgd"}}}
    newer = {
        "training": {
            "augmentation": {"shift_pixels": 0, "mixup": 0.0, "num_views": None},
            "optimizer": {"name": "sgd", "max_norm": None},
        },
        "transfer": TransferConfig().model_dump(mode="json"),
        "assistants": [],
    }
    assert without_later_fields(newer) == older
    felt = {
        "transfer": TransferConfig(share=0.5).model_dump(mode="json"),
        "mixup": 1.0,
        "max_norm": 3.0,
        "num_views": 1,
    }
    assert without_later_fields(felt) == felt


def test_assistant_may_learn_from_mixed_images() -> None:
    training = {"epochs": 1, "augmentation": {"mixup": 1.0}}
    assistant = {"model": {"name": "cnn", "options": {"width": 3}}, "loss": {"name": "function_matching"}}
    config = study_config(assistants=[{**assistant, "training": training}])
    assert config.students_teacher.model == config.assistants[0].model


@pytest.mark.parametrize("whose", ["teacher", "assistants.0"])
def test_views_that_there_are_none_of_cannot_be_repeated(whose: str) -> None:
    network = {"model": {"name": "cnn", "options": {"width": 4}}, "training": {"epochs": 9}}
    repeated = {**network, "training": {"epochs": 9, "augmentation": {"num_views": 3}}}
    data = study_config(teacher=network, assistants=[network]).model_dump(mode="json")
    data |= {"teacher": repeated} if whose == "teacher" else {"assistants": [repeated]}
    with pytest.raises(
        ValueError, match=rf"{whose}\.training.*: augmentation\.num_views = 3: images are shown as they are"
    ):
        parse_config(data, "x")
    repeated["training"] = {"epochs": 9, "augmentation": {"num_views": 3, "flip": True}}
    parse_config(data, "x")


def test_unknown_field_of_a_list_s_entry_lists_those_of_the_entry() -> None:
    data = study_config().model_dump(mode="json")
    data["assistants"] = [{"model": {"name": "cnn"}, "losss": {"name": "kd"}, "training": {"epochs": 1}}]
    allowed = r"assistants\.0\.losss: there is no such field; allowed are model, loss, training"
    with pytest.raises(ValueError, match=allowed):
        parse_config(data, "x")
