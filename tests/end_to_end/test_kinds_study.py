"""A whole study with an assistant, and with shares of images and labels: taught, searched, verified, reported."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.capacity import curves
from analysis.kinds import best_of_kind
from analysis.results import read_study
from study.store import read_study_record
from study.verification_plan import fresh_seed
from tests.end_to_end.conftest import overrides, run
from trainables import data as datasets
from trainables import models
from trainables.checkpoints import load_weights
from trainables.config import DatasetConfig
from trainables.data.split import split
from trainables.records import TeacherRecord
from trainables.study_paths import StudyPaths
from trainables.teacher_outputs import Split
from trainables.training import DeviceData

ASSISTANT = '{model={name="cnn", options={width=4}}, loss={name="kd"}, training={epochs=2, batch_size=128}}'
FIELDS = (
    "dataset.max_train_images=600",
    "dataset.num_validation_images=100",
    "space.options.widths=[2]",
    "space.options.batch_sizes=[64]",
    "space.options.steps=1",
    "space.options.transfer_shares=[0.2, 0.5, 1.0]",
    "space.options.label_shares=[0.0, 1.0]",
    "search.sampler=grid",
    "search.num_trials=20",
    "verify.max_students=0",
    'verify.best_of=["method", "transfer_share", "label_share"]',
    f"assistants=[{ASSISTANT}]",
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("kinds") / "study"
    result = run("run", "smoke", "--dir", str(made), *overrides(FIELDS))
    assert result.returncode == 0, result.stderr
    assert "training assistant cnn(width=4) by kd() under cnn(width=8) for 2 epochs" in result.stdout
    assert "kd, label share 100 % against labels only, label share 100 %" in result.stdout
    return made


@pytest.mark.slow
def test_agreement_of_students_is_with_the_assistant(directory: Path) -> None:
    """Recomputed from the weights that the study left, for each of its finished students."""
    paths, (_, record) = StudyPaths(directory), read_study_record(directory)
    config = DatasetConfig.model_validate(record.config["dataset"])
    data = split(datasets.load("mnist"), config)
    images = DeviceData(data, torch.device("cpu")).images[Split.VALIDATION]
    theirs_N = np.load(paths.in_chain(1).logits("validation")).argmax(axis=1)
    assert not np.array_equal(theirs_N, np.load(paths.teacher.logits("validation")).argmax(axis=1))
    trials = [trial for trial in read_study(directory).trials if trial.duplicate_of is None]
    assert len(trials) == 3 + 3 * 2
    for trial in trials:
        assert trial.student is not None
        network = models.build(trial.student.model, input_shape=data.input_shape, num_classes=10).eval()
        network.load_state_dict(load_weights(paths.student_weights(trial.number)))
        with torch.inference_mode():
            mine_N = network(images.normalized(torch.arange(len(images)))).argmax(dim=1).numpy()
        assert trial.metrics["validation_agreement"] == pytest.approx(np.mean(mine_N == theirs_N), abs=0.011)


@pytest.mark.slow
def test_each_kind_is_verified_on_images_drawn_anew(directory: Path) -> None:
    best = best_of_kind(read_study(directory))
    kinds = {
        (each.method, each.trial.parameter("transfer_share"), each.trial.parameter("label_share")) for each in best
    }
    assert kinds == {
        *(("labels", share, 1.0) for share in (0.2, 0.5, 1.0)),
        *(("kd", share, label_share) for share in (0.2, 0.5, 1.0) for label_share in (0.0, 1.0)),
    }
    for each in best:
        for place, run_ in enumerate(each.runs, start=1):
            shown = run_.student.transfer
            assert shown.seed == (0 if shown.is_everything else fresh_seed(0, place))
            assert run_.on_test is not None
            assert len(run_.on_test.accuracy_by_class) == 10


@pytest.mark.slow
def test_report_has_the_curves_and_says_that_there_is_an_assistant(directory: Path) -> None:
    results = read_study(directory)
    found = curves(results)
    assert found is not None
    assert (found.parameter, found.values) == ("transfer_share", (0.2, 0.5, 1.0))
    page = (directory / "report.html").read_text("utf-8")
    assert "Between it and the students stands an assistant: cnn(width=8)" in page
    assert "What the curves say" in page
    chain = [TeacherRecord.model_validate_json(StudyPaths(directory).in_chain(n).record.read_bytes()) for n in (0, 1)]
    assert [each.model.key for each in chain] == ["cnn(width=8)", "cnn(width=4)"]


@pytest.mark.slow
def test_resumed_study_with_an_assistant_does_nothing_again(directory: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(directory, tmp_path / "study"))
    files = {path: path.stat().st_mtime_ns for path in (copied / "teacher").rglob("*.*") if path.is_file()}
    result = run("resume", str(copied))
    assert result.returncode == 0, result.stderr
    assert re.search(r"teach +stored: cnn\(width=8\), .* which teaches cnn\(width=4\)", result.stdout)
    assert re.search(r"verify +stored: the best 9 of their kind", result.stdout)
    assert {path: path.stat().st_mtime_ns for path in files} == files
