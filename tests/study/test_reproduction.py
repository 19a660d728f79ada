"""`kd-study reproduce` on a small dataset: each run once, gone on with after a kill, biases by validation."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from study import reproduction
from study.cli import app
from study.errors import EXIT_WRONG_USE, StageFailedError, StudyInterruptedError
from study.locks import hold
from study.recipes import recipe_names
from study.reproduction import run_recipe
from tests.test_architecture import loaded_after_importing
from tests.trainables.hinton2015_recipe import small_recipe
from trainables import hinton2015_runs
from trainables.checkpoints import load_state, load_weights
from trainables.data.image_arrays import LabelledImages
from trainables.hinton2015 import Hinton2015Recipe, plan
from trainables.hinton2015_results import Hinton2015Record
from trainables.training import DistillationRun, EpochMetrics
from trainables.verification import load_test_split

RECIPE = small_recipe()
KEYS = [each.key for each in plan(RECIPE, 0)]


def make(directory: Path, *, num_seeds: int = 1, recipe: Hinton2015Recipe = RECIPE) -> Hinton2015Record:
    run_recipe(recipe, directory, num_seeds=num_seeds, num_threads=1, console=Console(quiet=True))
    return Hinton2015Record.model_validate_json((directory / "record.json").read_bytes())


def bits(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*.safetensors")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made")
    make(directory)
    return directory


def record_in(directory: Path) -> Hinton2015Record:
    return Hinton2015Record.model_validate_json((directory / "record.json").read_bytes())


def test_record_holds_every_run_its_settings_errors_seconds_and_versions(made: Path) -> None:
    record = record_in(made)
    assert record.recipe == RECIPE
    assert [each.experiment.key for each in record.results] == KEYS
    for each in record.results:
        assert each.train_seconds > 0.0
        assert each.num_threads == 1
        assert each.versions["torch"] == torch.__version__
        assert (each.on_validation is None) is not each.experiment.is_twin
        assert (each.on_test is None) is each.experiment.is_twin
    table = json.loads((made / "table.json").read_text("utf-8"))
    assert table[0]["values"] == [record.by_seed("teacher")[0].on_test.num_wrong]  # type: ignore[union-attr]
    assert not list(made.rglob("*.state.pt"))


def test_test_errors_are_those_of_the_stored_weights(made: Path) -> None:
    """Counted again in float64 NumPy from the safetensors and the bytes, for the student at T 20."""
    weights = {
        name: each.double().numpy() for name, each in load_weights(made / "seed-0/soft-16-T20.safetensors").items()
    }
    test = load_test_split(RECIPE.dataset.name)
    hidden_ND = test.images_NCHW.reshape(len(test), -1) / 255
    for layer in ("hidden1.0", "hidden2.0"):
        hidden_ND = np.maximum(hidden_ND @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"], 0)
    logits_NC = hidden_ND @ weights["classifier.weight"].T + weights["classifier.bias"]
    counted = record_in(made).by_seed("soft-16-T20")[0].on_test
    assert counted is not None
    assert counted.num_wrong == int((logits_NC.argmax(1) != test.labels_N).sum())
    assert counted.num_images == 100


def test_soft_targets_are_of_the_finished_teacher_on_the_images_as_they_are(made: Path) -> None:
    images = hinton2015_runs.Images(RECIPE.dataset, RECIPE.pixels)
    run = hinton2015_runs.start(plan(RECIPE, 0)[KEYS.index("teacher")], images, None)
    run.model.load_state_dict(load_weights(made / "seed-0/teacher.safetensors"))
    stored = load_state(made / "seed-0/teacher.soft.pt")
    assert torch.equal(stored["train"], hinton2015_runs.soft_targets(run).train_NC)  # type: ignore[arg-type]
    assert [path.name for path in sorted(made.rglob("*.soft.pt"))] == ["teacher-twin.soft.pt", "teacher.soft.pt"]


def test_what_is_there_is_not_run_again_and_more_seeds_are_added(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    run_epoch = DistillationRun.run_epoch

    def counted(self: DistillationRun) -> EpochMetrics:
        trained.append(self._training.seed)
        return run_epoch(self)

    monkeypatch.setattr(DistillationRun, "run_epoch", counted)
    make(tmp_path)
    assert set(trained) == {0}
    trained.clear()
    make(tmp_path, num_seeds=2)
    assert set(trained) == {1}
    assert bits(tmp_path / "seed-0") == bits(made / "seed-0")


@pytest.mark.parametrize("moment", [1, 4, 12])
def test_after_a_kill_the_same_command_comes_to_the_same_bits(
    made: Path, tmp_path: Path, moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first epoch of all, in the teacher's last one, and among the students."""
    run_epoch = DistillationRun.run_epoch
    calls: list[None] = []

    def killed(self: DistillationRun) -> EpochMetrics:
        calls.append(None)
        if len(calls) == moment:
            raise KeyboardInterrupt
        return run_epoch(self)

    monkeypatch.setattr(DistillationRun, "run_epoch", killed)
    with pytest.raises(StudyInterruptedError, match="the same command goes on"):
        make(tmp_path)
    make(tmp_path)
    assert len(calls) == 2 * len(KEYS) + 1  # nothing was trained twice but the epoch that was cut off
    assert bits(tmp_path) == bits(made)


def test_biases_are_chosen_without_the_test_labels(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other test labels change what is counted on test and what is chosen on test, and nothing else."""
    test = load_test_split(RECIPE.dataset.name)

    def relabelled(_: str) -> LabelledImages:
        return LabelledImages(test.images_NCHW, np.full_like(test.labels_N, 3))

    monkeypatch.setattr(hinton2015_runs, "load_test_split", relabelled)
    make(tmp_path)
    assert bits(tmp_path) == bits(made)
    honest, misled = record_in(made), record_in(tmp_path)
    for key in ("no-3s", "only-7s-and-8s"):
        twins = [each.by_seed(f"{key}-twin")[0].on_validation_shifted for each in (honest, misled)]
        assert twins[0] == twins[1] is not None
        shifts = [each.by_seed(key)[0].on_test_shifted for each in (honest, misled)]
        assert [each.shift for each in shifts if each is not None] == [twins[0].shift] * 2  # type: ignore[union-attr]
    on_test = [each.by_seed("no-3s")[0].on_test_shifted_by_itself for each in (honest, misled)]
    assert on_test[0] != on_test[1]


def test_twins_never_have_the_test_images_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: str) -> LabelledImages:
        raise AssertionError("the test split was read")

    monkeypatch.setattr(hinton2015_runs, "load_test_split", refused)
    with pytest.raises(AssertionError, match="was read"):
        make(tmp_path)
    assert [path.stem for path in tmp_path.rglob("seed-0/*.json")] == ["teacher-twin"]


def test_results_of_another_recipe_are_refused_and_left_alone(made: Path) -> None:
    before = bits(made)
    steps = {"epochs": 3, "batch_size": 50, "optimizer": {}}
    with pytest.raises(ValueError, match=r"labels\.json: is of other settings or versions .*choose another --dir"):
        make(made, recipe=small_recipe(labels=steps))
    assert bits(made) == before


def test_a_result_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "seed-0").mkdir()
    (tmp_path / "seed-0/labels.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"labels\.json: cannot be read"):
        make(tmp_path)


def test_soft_targets_that_are_gone_are_named(made: Path, tmp_path: Path) -> None:
    (tmp_path / "seed-0").mkdir()
    for name in ("teacher-twin.json", "teacher.json"):
        (tmp_path / "seed-0" / name).write_bytes((made / "seed-0" / name).read_bytes())
    with pytest.raises(ValueError, match=r"teacher\.soft\.pt: cannot be read: delete .*teacher\.json too"):
        make(tmp_path)


def test_divergence_ends_it_in_one_line_that_names_the_run(tmp_path: Path) -> None:
    steps = {"epochs": 2, "batch_size": 50, "optimizer": {"name": "sgd", "learning_rate": 1e30}}
    with pytest.raises(StageFailedError, match="seed 0, labels: the training loss of epoch 1 is"):
        make(tmp_path, recipe=small_recipe(labels=steps))


def test_wrong_classes_are_refused_before_anything_trains(tmp_path: Path) -> None:
    recipe = small_recipe(dataset={"name": "tests.study.tiny_digits:three_classes", "num_validation_images": 30})
    with pytest.raises(ValueError, match="there is no class"):
        make(tmp_path / "new", recipe=recipe)
    assert not (tmp_path / "new").exists()


def test_two_at_once_in_a_directory_are_refused(tmp_path: Path) -> None:
    with hold(tmp_path / "lock"), pytest.raises(ValueError, match="works on this"):
        make(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reproduce", "hinton2016"], 'unknown publication "hinton2016": allowed are hinton2015'),
        (["run", "hinton2015"], '"hinton2015" is no study but a publication: kd-study reproduce hinton2015'),
    ],
)
def test_wrong_use_is_one_line_and_leaves_nothing(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == EXIT_WRONG_USE
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_command_prints_the_table_and_names_its_files(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reproduction, "read_recipe", lambda _: RECIPE)
    result = CliRunner().invoke(app, ["reproduce", "hinton2015", "--dir", str(made), "--seeds", "1", "--threads", "1"])
    assert result.exit_code == 0, result.stderr
    assert f"{len(KEYS)} runs, {len(KEYS)} of them done" in result.stdout
    assert "| student 800-800, labels alone | 146 |" in result.stdout
    assert str(made / "record.json") in result.stdout


def test_every_publication_has_a_recipe_that_is_no_preset() -> None:
    assert recipe_names() == ["hinton2015"]
    assert "hinton2015" not in CliRunner().invoke(app, ["presets"]).stdout


def test_no_ray_is_loaded() -> None:
    assert loaded_after_importing(["study.reproduction"], ["ray"]) == []
