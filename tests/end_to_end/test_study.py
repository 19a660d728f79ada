"""A whole study through the command line, on real MNIST: what it leaves, and that it survives its driver."""

import json
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import numpy as np
import optuna
import pytest
from safetensors.torch import load_file

from analysis.results import read_study
from study import store as stores
from tests.end_to_end.conftest import SMALL, FinishedStudy, environment, kd_study, overrides, run
from trainables.measurements import ProfilesRecord
from trainables.records import TeacherRecord, TrialRecord, TrialState
from trainables.study_paths import StudyPaths


def trials(directory: Path) -> list[TrialRecord]:
    return list(read_study(directory).trials)


def test_output_ends_with_the_front_the_report_and_the_next_command(finished: FinishedStudy) -> None:
    for expected in ("teach", "profile", "search", "6/6", "verify", "front", "report:", "python -m analysis pareto"):
        assert expected in finished.output


def test_every_trial_ran_its_full_budget_under_both_methods(finished: FinishedStudy) -> None:
    records = trials(finished.directory)
    assert [record.state for record in records] == [TrialState.COMPLETE] * 6
    assert Counter(record.parameters["method"] for record in records) == {"labels": 3, "kd": 3}
    for record in records:
        assert [epoch["epoch"] for epoch in record.epochs] == [1, 2]
        assert record.facts["device"] == "cpu"
        assert record.student is not None


def test_every_result_carries_what_was_measured_alone_and_what_was_shared(finished: FinishedStudy) -> None:
    for record in trials(finished.directory):
        assert record.metrics["latency_p50_ms_batch1"] is not None
        assert record.metrics["train_images_per_s"] is not None
        assert record.metrics["gpu_utilization_fraction"] is None
        for epoch in record.epochs:
            assert epoch["num_co_tenants"] in {0.0, 1.0}
            assert epoch["shared_cpu_utilization_fraction"] is not None
            assert epoch["shared_train_mfu_fraction"] is not None
            assert epoch["shared_energy_joules"] is None


def test_latency_of_a_trial_is_its_architectures_and_nothing_else(finished: FinishedStudy) -> None:
    profiles = ProfilesRecord.model_validate_json(StudyPaths(finished.directory).profiles_json.read_bytes())
    for record in trials(finished.directory):
        assert record.student is not None
        profile = profiles.students[record.student.model.key]
        assert record.metrics["latency_p50_ms_batch1"] == profile.latencies[0].p50_ms


def test_directory_holds_what_was_promised_and_no_state_of_ended_trials(finished: FinishedStudy) -> None:
    paths = StudyPaths(finished.directory)
    for path in (paths.study_json, paths.status_json, paths.report_html, paths.front_csv, paths.trials_csv):
        assert path.stat().st_size > 0
    assert not list((finished.directory / "checkpoints").glob("*.pt"))
    assert not paths.teacher.checkpoint.exists()
    for number in range(6):
        assert "classifier.weight" in load_file(paths.student_weights(number))


def test_stored_teacher_outputs_are_those_of_its_weights(finished: FinishedStudy) -> None:
    paths = StudyPaths(finished.directory)
    teacher = TeacherRecord.model_validate_json(paths.teacher.record.read_bytes())
    logits = np.load(paths.teacher.logits("validation"))
    assert logits.shape == (100, 10)
    assert logits.dtype == np.float32
    assert np.load(paths.teacher.logits("train")).shape == (600, 10)
    assert 0.1 < teacher.validation_accuracy <= 1.0


def test_optuna_opens_the_study_without_us(finished: FinishedStudy) -> None:
    backend = optuna.storages.journal.JournalFileBackend(str(StudyPaths(finished.directory).journal))
    study = optuna.load_study(study_name="smoke", storage=optuna.storages.JournalStorage(backend))
    assert len(study.trials) == 6
    assert study.best_trials
    assert study.user_attrs["objectives"] == ["validation_accuracy", "latency_p50_ms_batch1"]


def test_resume_of_a_finished_study_trains_nothing_again(finished: FinishedStudy, tmp_path: Path) -> None:
    paths = StudyPaths(Path(shutil.copytree(finished.directory, tmp_path / "study")))
    before = paths.journal.read_bytes()
    result = run("resume", str(paths.root))
    assert result.returncode == 0
    assert "stored: cnn(width=8)" in result.stdout
    assert "profile  stored: 3 networks" in result.stdout
    assert "search   stored: 6 students" in result.stdout
    assert re.search(r"verify   stored: \d students of the front and their partners, \d+ runs", result.stdout)
    assert paths.journal.read_bytes() == before


def test_second_run_in_the_same_directory_is_refused(finished: FinishedStudy) -> None:
    result = run("run", "smoke", "--dir", str(finished.directory))
    assert result.returncode == 2
    assert "kd-study resume" in result.stderr


def test_request_that_this_machine_cannot_serve_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    result = run("run", "smoke", "--dir", str(tmp_path / "new"), "--set", "resources.cpus_per_trial=4096")
    assert result.returncode == 2
    assert "a trial asks for 4096 CPUs" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "new" / "study.json").exists()


def test_objective_that_this_device_cannot_give_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    objectives = 'objectives=["validation_accuracy", "gpu_utilization_fraction"]'
    result = run("run", "smoke", "--dir", str(tmp_path / "new"), *overrides([objectives]))
    assert result.returncode == 2
    assert 'objective "gpu_utilization_fraction" is known on a GPU alone' in result.stderr
    assert not (tmp_path / "new" / "study.json").exists()


def test_cluster_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Port 1 of this machine: "auto" would find any Ray that somebody else has started."""
    result = run("run", "smoke", "--dir", str(tmp_path / "new"), "--address", "127.0.0.1:1")
    assert result.returncode == 2
    assert '--address "127.0.0.1:1": no Ray cluster answers there' in result.stderr
    assert not (tmp_path / "new").exists()


def test_killed_driver_loses_no_finished_trial_and_trains_none_twice(tmp_path: Path) -> None:
    """Beside it an undisturbed study: with one worker and one seed both end in the same trials and weights."""
    fields = [*SMALL, "space.options.epochs=3", "resources.max_concurrent_trials=1", "verify.max_students=0"]
    driver = start("run", "smoke", "--dir", str(tmp_path / "killed"), *overrides(fields))
    wait_for_epochs(tmp_path / "killed", 8)
    driver.kill()
    driver.communicate()
    with stores.reopen(tmp_path / "killed") as store:
        before = {record.number: record for record in store.trials() if record.state is TrialState.COMPLETE}
    assert before
    assert run("resume", str(tmp_path / "killed")).returncode == 0
    undisturbed = run("run", "smoke", "--dir", str(tmp_path / "undisturbed"), *overrides(fields))
    assert undisturbed.returncode == 0
    after = {record.number: record for record in trials(tmp_path / "killed")}
    for number, record in before.items():
        assert after[number] == record
    expected = {record.number: record for record in trials(tmp_path / "undisturbed")}
    assert {n: record.student for n, record in after.items()} == {n: record.student for n, record in expected.items()}
    assert {record.state for record in after.values()} == {TrialState.COMPLETE}
    for number in expected:
        ours, theirs = (StudyPaths(tmp_path / name).student_weights(number) for name in ("killed", "undisturbed"))
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_study_says_how_to_go_on(tmp_path: Path, signal_number: signal.Signals) -> None:
    driver = start("run", "smoke", "--dir", str(tmp_path / "s"), *overrides([*SMALL, "search.num_trials=500"]))
    wait_for_epochs(tmp_path / "s", 3)
    driver.send_signal(signal_number)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert errors.strip().splitlines()[-1] == f"kd-study: interrupted: kd-study resume {tmp_path / 's'} goes on"
    assert "interrupted" in run("status", str(tmp_path / "s")).stdout


def start(*arguments: str) -> "subprocess.Popen[str]":
    """A driver that the test goes on beside."""
    return subprocess.Popen(
        kd_study(*arguments),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )


def wait_for_epochs(directory: Path, count: int, timeout_s: float = 180.0) -> None:
    """Until the study's journal holds that many epochs."""
    deadline = time.monotonic() + timeout_s
    journal = StudyPaths(directory).journal
    while time.monotonic() < deadline:
        if journal.exists() and journal.read_text(encoding="utf-8").count('"epoch:') >= count:
            return
        time.sleep(0.05)
    pytest.fail(f"{directory} had no {count} epochs within {timeout_s} s")


def test_status_and_list_show_the_finished_study(finished: FinishedStudy) -> None:
    shown = run("status", str(finished.directory))
    assert "done" in shown.stdout
    assert "6 complete, of 6" in shown.stdout
    assert "6 of 6 trials" in run("list", str(finished.directory.parent)).stdout


def test_status_file_is_whole_json(finished: FinishedStudy) -> None:
    status = json.loads(StudyPaths(finished.directory).status_json.read_text())
    assert status["num_trials"] == {"complete": 6}
