"""The command line: what it prints, and its exit codes. Nothing here starts Ray."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from study import store as stores
from study.cli import app
from study.errors import EXIT_WRONG_USE
from tests.factories import study_config

runner = CliRunner()


def fails(*arguments: str) -> str:
    result = runner.invoke(app, list(arguments))
    assert result.exit_code == EXIT_WRONG_USE
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    return result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "mnits"], 'unknown preset "mnits": allowed are'),
        (["run", "smoke", "--set", "search.trials=3"], "search.trials: there is no such field; allowed are num_trials"),
        (["run", "smoke", "--set", "search.num_trials=0"], "search.num_trials = 0"),
        (["run", "smoke", "--set", "space.name=nope"], 'unknown space "nope": allowed are cnn_distillation'),
        (["run", "smoke", "--set", "teacher.model.name=nope"], 'unknown model "nope": allowed are cifar_resnet, cnn, '),
        (["run", "smoke", "--set", 'objectives=["speed"]'], 'unknown metric "speed": allowed are'),
        (["run", "missing.toml"], "missing.toml: cannot be read"),
        (["resume", "nowhere"], "nowhere holds no study"),
        (["status", "nowhere"], "nowhere is no study"),
        (["list", "nowhere"], "nowhere holds no study"),
        (["report", "nowhere"], "nowhere"),
        (["doctor", "nowhere"], "nowhere is no directory"),
        (["extend", "nowhere", "--trials", "9"], "nowhere holds no study"),
        (["export", "nowhere", "--trial", "1", "--out", "out"], "nowhere holds no study"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2_and_leaves_nothing(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "run":
        arguments = [*arguments, "--dir", str(tmp_path / "new")]
    assert message in fails(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_run_on_a_directory_that_holds_a_study_names_resume(tmp_path: Path) -> None:
    with stores.create(tmp_path, study_config()):
        pass
    assert f"kd-study resume {tmp_path}" in fails("run", "smoke", "--dir", str(tmp_path))


def test_dry_run_checks_everything_and_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_STUDY_CACHE", str(tmp_path / "cache"))
    result = runner.invoke(app, ["run", "smoke", "--dry-run", "--dir", str(tmp_path / "new")])
    assert result.exit_code == 0
    assert "would train cnn(width=8) on 2,000 images" in result.stdout
    assert "8 students (labels, kd)" in result.stdout
    assert "hours of the search are told once its networks have been measured" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_presets_are_listed() -> None:
    assert {"mnist", "smoke"} <= set(runner.invoke(app, ["presets"]).stdout.split())
