"""Where the weights are, and that the lines that load them do."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from analysis.report import write_report
from analysis.report_taking_away import loading_code, taking_away
from analysis.results import read_study
from tests.analysis.page import Page
from tests.analysis.study_directory import MadeTrial, write_study
from trainables import models
from trainables.study_paths import StudyPaths

TRIALS = (MadeTrial(width=2, accuracy=0.95, latency_ms=0.1), MadeTrial(width=4, accuracy=0.98, latency_ms=0.2))


def test_the_printed_lines_load_the_most_accurate_student(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = read_study(write_study(tmp_path, TRIALS))
    saved = models.build(TRIALS[1].model, input_shape=(1, 28, 28), num_classes=10).eval()
    weights = StudyPaths(tmp_path).student_weights(1)
    weights.parent.mkdir()
    save_file(saved.state_dict(), weights)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(loading_code(results), names)  # noqa: S102
    images_NCHW = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert not names["model"].training
    torch.testing.assert_close(names["model"](images_NCHW), saved(images_NCHW))
    assert len(names["dataset"].mean_C) == len(names["dataset"].std_C) == 1


def test_every_student_on_the_front_has_its_file_named(tmp_path: Path) -> None:
    text = " ".join(taking_away(read_study(write_study(tmp_path, TRIALS))))
    assert "students/0.safetensors is trial 0 (width 2, labels only)" in text
    assert "students/1.safetensors is trial 1 (width 4, labels only)" in text


def test_the_page_shows_the_lines_as_they_are(tmp_path: Path) -> None:
    study_dir = write_study(tmp_path, TRIALS)
    page = Page(write_report(study_dir, images=False).read_text(encoding="utf-8"))
    assert loading_code(read_study(study_dir)) in page.text
    assert "Taking a student away" in page.text


def test_without_a_front_or_a_dataset_there_is_nothing_to_load(tmp_path: Path) -> None:
    empty = read_study(write_study(tmp_path / "empty", []))
    assert loading_code(empty) == ""
    assert taking_away(empty) == ["There is no student on the front yet."]
    unknown = read_study(write_study(tmp_path / "unknown", TRIALS, config={}))
    assert loading_code(unknown) == ""
    assert "The lines below" not in " ".join(taking_away(unknown))


def test_ones_own_networks_are_said_to_come_from_their_folder(tmp_path: Path) -> None:
    study_dir = write_study(tmp_path, TRIALS)
    paths = StudyPaths(study_dir)
    record = read_study(study_dir).record.model_copy(update={"import_folder": "/home/me/nets"})
    paths.study_json.write_text(record.model_dump_json(), encoding="utf-8")
    assert "imported from /home/me/nets" in " ".join(taking_away(read_study(study_dir)))
