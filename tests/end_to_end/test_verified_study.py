"""What a study gives away: students verified on the test images, exported; and that it is extended without waste."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from analysis.results import read_study
from analysis.verified import verified_pairs
from tests.end_to_end.conftest import FinishedStudy, run
from trainables.data import mnist as mnist_file
from trainables.records import TrialState
from trainables.study_paths import StudyPaths


def test_front_is_verified_beside_partners_that_differ_in_method_alone(finished: FinishedStudy) -> None:
    results = read_study(finished.directory)
    pairs = verified_pairs(results)
    front = [trial.number for trial in results.front]
    assert [pair.student.trial.number for pair in pairs] == ([front[0], front[-1]] if len(front) > 1 else front)
    for pair in pairs:
        assert pair.partner is not None
        assert {pair.student.method, pair.partner.method} == {"labels", "kd"}
        assert pair.student.student.model == pair.partner.student.model
        assert [run.seed_index for run in pair.student.runs] == [1, 2]
        for mine, its in zip(pair.student.runs, pair.partner.runs, strict=True):
            assert mine.student.training == its.student.training
            assert mine.student.training.seed != 0
            assert mine.on_test is not None
            assert mine.on_test.num_images == 10_000
            assert 0.05 < mine.on_test.accuracy < 1.0


def test_exported_trial_classifies_test_images_as_its_card_says(finished: FinishedStudy, tmp_path: Path) -> None:
    """In an interpreter that has torch alone of all that we use; the images by gzip and their published layout."""
    number = read_study(finished.directory).front[0].number
    made = run("export", str(finished.directory), "--trial", str(number), "--out", str(tmp_path / "out"))
    assert made.returncode == 0, made.stderr
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["largest_logit_difference"] <= 1e-4
    assert card["weights_of"].startswith("verify/")
    mnist = Path(mnist_file.__file__).parent / "mnist_files"
    command = [sys.executable, "-I", "-c", CLASSIFY, str(tmp_path / "out"), str(mnist)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert float(said.stdout) == pytest.approx(card["metrics"]["test_accuracy"], abs=2e-4)


CLASSIFY = """
import gzip, json, sys, torch
out, mnist = sys.argv[1:]
def read(name, offset):
    return torch.frombuffer(bytearray(gzip.open(f"{mnist}/t10k-{name}-ubyte.gz").read()[offset:]), dtype=torch.uint8)
card = json.load(open(f"{out}/card.json"))
given = card["preprocessing"]
pixels = read("images-idx3", 16).view(-1, *given["input_shape"])
images = (pixels * given["pixel_scale"] - given["mean_C"][0]) / given["std_C"][0]
logits = torch.export.load(f"{out}/student.pt2").module()(images)
print((logits.argmax(1) == read("labels-idx1", 8)).double().mean().item())
"""


def test_trial_that_does_not_exist_is_not_exported(finished: FinishedStudy, tmp_path: Path) -> None:
    made = run("export", str(finished.directory), "--trial", "99", "--out", str(tmp_path / "out"))
    assert made.returncode == 2
    assert "--trial 99 does not exist: allowed are those that ran their full budget, 0, 1, 2" in made.stderr
    assert not (tmp_path / "out").exists()


def test_extended_study_renews_what_is_stale_and_nothing_else(finished: FinishedStudy, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(finished.directory, tmp_path / "study"))
    before = {record.number: record for record in read_study(directory).trials}
    written = {path: path.stat().st_mtime_ns for path in StudyPaths(directory).verify.glob("[0-9a-f]*.json")}
    extended = run("extend", str(directory), "--trials", "10")
    assert extended.returncode == 0, extended.stderr
    assert "teach    stored" in extended.stdout
    assert "profile  stored" in extended.stdout
    assert "10/10" in extended.stdout
    after = read_study(directory).trials
    assert [record.state for record in after] == [TrialState.COMPLETE] * 10
    assert {record.number: record for record in after[:6]} == before
    assert Counter(record.parameters["method"] for record in after) == {"labels": 5, "kd": 5}
    assert {path: path.stat().st_mtime_ns for path in written} == written
    results = read_study(directory)
    assert results.verification is not None
    assert set(results.verification.trials) <= {trial.number for trial in results.front}
    assert {results.front[0].number, results.front[-1].number} == set(results.verification.trials)
    again = run("extend", str(directory), "--trials", "10")
    assert again.returncode == 2
    assert "allowed are 11 and more" in again.stderr
