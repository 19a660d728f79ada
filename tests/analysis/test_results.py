"""Reading a study directory: what is there, what is missing, and that reading leaves no trace."""

import json
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from analysis.results import metric_names, read_study, trials_table
from tests.analysis.stopped_trials import in_full, stopped, waiting
from tests.analysis.study_directory import (
    NUM_VALIDATION_IMAGES,
    OBJECTIVES,
    TEACHER_ACCURACY,
    MadeTrial,
    realistic_trials,
    store_trials,
    study_config,
    write_study,
)
from trainables.records import TrialState
from trainables.study_paths import StudyPaths


def test_study_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    made = MadeTrial(width=8, method="kd", temperature=4.0, alpha=0.7, accuracy=0.98, spans=((1.0, 9.0),), slot=1)
    results = read_study(write_study(tmp_path, [made]))
    (trial,) = results.trials
    assert trial.student == made.student
    assert trial.parameters == made.parameters
    assert trial.metrics["validation_accuracy"] == 0.98
    assert [epoch["epoch"] for epoch in trial.epochs] == [1, 2, 3]
    assert trial.spans == ((1.0, 9.0),)
    assert [each.name for each in results.objectives] == list(OBJECTIVES)
    assert results.num_validation_images == NUM_VALIDATION_IMAGES


def test_every_state_is_read(realistic_study: Path) -> None:
    states = {trial.state for trial in read_study(realistic_study).trials}
    assert states == set(TrialState) - {TrialState.WAITING}


def test_directory_without_a_study_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"{tmp_path.name} holds no study: study.json is missing"):
        read_study(tmp_path)


def test_study_without_its_journal_is_refused_and_none_is_created(tmp_path: Path) -> None:
    paths = StudyPaths(write_study(tmp_path, [MadeTrial()]))
    paths.journal.unlink()
    with pytest.raises(ValueError, match=r"holds no study: optuna.journal is missing"):
        read_study(tmp_path)
    assert not paths.journal.exists()


def test_journal_of_another_study_is_refused(tmp_path: Path) -> None:
    paths = StudyPaths(write_study(tmp_path, [MadeTrial()], name="one"))
    record = json.loads(paths.study_json.read_text(encoding="utf-8"))
    paths.study_json.write_text(json.dumps(record | {"name": "other"}), encoding="utf-8")
    with pytest.raises(ValueError, match=r'optuna.journal holds no study named "other"'):
        read_study(tmp_path)


def test_record_with_an_unknown_field_is_refused_by_its_path(tmp_path: Path) -> None:
    paths = StudyPaths(write_study(tmp_path, [MadeTrial()]))
    record = json.loads(paths.teacher.record.read_text(encoding="utf-8"))
    paths.teacher.record.write_text(json.dumps(record | {"colour": "red"}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"teacher\.json: cannot be read: colour: "):
        read_study(tmp_path)


def test_trials_are_read_from_another_storage_where_the_study_names_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'trials.db'}"
    write_study(tmp_path, [], config=study_config() | {"storage": url})
    store_trials(url, "demo", [MadeTrial(), MadeTrial(width=8)], OBJECTIVES)
    assert len(read_study(tmp_path).trials) == 2


def test_password_of_a_database_stands_in_no_message(tmp_path: Path) -> None:
    write_study(tmp_path, [], config=study_config() | {"storage": "nodatabase://me:secret@nowhere/x"})
    with pytest.raises(ValueError, match=r"nodatabase://me:\*\*\*@nowhere/x: the trials cannot be read"):
        read_study(tmp_path)


def test_storage_that_cannot_be_reached_is_an_error_that_names_it(tmp_path: Path) -> None:
    write_study(tmp_path, [], config=study_config() | {"storage": "nodatabase://nowhere/x"})
    with pytest.raises(ValueError, match=r"nodatabase://nowhere/x: the trials cannot be read"):
        read_study(tmp_path)


def test_half_written_last_line_of_the_journal_is_left_out(tmp_path: Path) -> None:
    paths = StudyPaths(write_study(tmp_path, [MadeTrial()]))
    whole = paths.journal.read_bytes()
    paths.journal.write_bytes(whole + b'{"op_code": 4, "work')
    assert len(read_study(tmp_path).trials) == 1


def test_reading_changes_no_file(realistic_study: Path) -> None:
    before = {path: path.read_bytes() for path in realistic_study.rglob("*") if path.is_file()}
    trials_table(read_study(realistic_study))
    assert {path: path.read_bytes() for path in realistic_study.rglob("*") if path.is_file()} == before


def test_teacher_and_profiles_are_none_until_their_stages_are_done(tmp_path: Path) -> None:
    results = read_study(write_study(tmp_path, [MadeTrial()], teacher=False, profiles=False))
    assert results.teacher is None
    assert results.profiles is None
    assert results.teacher_metrics == {}


def test_teacher_is_known_under_the_students_metric_names(realistic_study: Path) -> None:
    known = read_study(realistic_study).teacher_metrics
    assert known["validation_accuracy"] == TEACHER_ACCURACY
    assert known["latency_p50_ms_batch1"] == 1.2


def test_study_that_names_no_dataset_does_not_guess_its_size(tmp_path: Path) -> None:
    assert read_study(write_study(tmp_path, [], config={})).num_validation_images is None


def test_table_has_one_row_for_each_trial_with_its_parameters_and_metrics(realistic_study: Path) -> None:
    results = read_study(realistic_study)
    table = trials_table(results).set_index("number")
    assert list(table.index) == list(range(32))
    for trial in results.trials:
        row = table.loc[trial.number]
        assert row["state"] == trial.state.value
        assert row["width"] == trial.parameters["width"]
        known = {name: value for name, value in trial.metrics.items() if value is not None and name != "epoch"}
        assert {name: row[name] for name in known} == known
        assert row["num_epochs"] == (trial.epochs[-1]["epoch"] if trial.epochs else 0)
    assert set(table.index[table["on_front"]]) == {trial.number for trial in results.front}


def test_table_tells_how_long_a_trial_ran_without_its_pause(tmp_path: Path) -> None:
    results = read_study(write_study(tmp_path, [MadeTrial(spans=((100.0, 130.0), (900.0, 912.5)))]))
    row = trials_table(results).iloc[0]
    assert row["run_seconds"] == 42.5
    assert row["started_at"] == pd.Timestamp(100.0, unit="s", tz="UTC")
    assert row["finished_at"] == pd.Timestamp(912.5, unit="s", tz="UTC")


def test_table_gives_a_running_trial_no_finish(tmp_path: Path) -> None:
    table = trials_table(read_study(write_study(tmp_path, [MadeTrial(state="running", spans=((1.0, None),))])))
    assert table["finished_at"].isna().all()


def test_table_tells_epochs_as_trained_and_where_a_trial_was_paused_and_stopped(tmp_path: Path) -> None:
    trials = [in_full(paused_at=(0.5,), seconds=(3.0, 0.1)), stopped(0.5), waiting(2.0), MadeTrial(num_epochs=0)]
    table = trials_table(read_study(write_study(tmp_path, trials)))
    assert table["num_epochs"].tolist() == [4.0, 0.5, 2.0, 0.0]
    assert table["stopped_at_epoch"].fillna(-1).tolist() == [-1, 0.5, -1, -1]
    assert table["paused_at_epoch"].fillna(-1).tolist() == [0.5, 0.5, 2.0, -1]
    assert table["train_seconds_per_epoch"].fillna(-1).tolist() == [pytest.approx(3.0), -1, -1, -1]


def test_table_gives_a_paused_trial_no_finish(tmp_path: Path) -> None:
    table = trials_table(read_study(write_study(tmp_path, [waiting(0.5, spans=((1.0, 9.0),))])))
    assert table["finished_at"].isna().all()
    assert table["run_seconds"].tolist() == [8.0]


def with_reference(study_dir: Path, reference: object) -> Path:
    storage = JournalStorage(JournalFileBackend(str(StudyPaths(study_dir).journal)))
    optuna.load_study(study_name="demo", storage=storage).set_user_attr("reference_point", reference)
    return study_dir


def test_reference_point_is_read_where_the_study_has_one(tmp_path: Path) -> None:
    study_dir = write_study(tmp_path, [MadeTrial()])
    assert read_study(study_dir).stored_reference is None
    assert read_study(with_reference(study_dir, [0.5, 4])).stored_reference == (0.5, 4.0)


@pytest.mark.parametrize("reference", [[0.5], [0.5, "4"], [0.5, float("nan")], [0.5, 4.0, 1.0]])
def test_reference_point_that_is_none_is_refused(tmp_path: Path, reference: object) -> None:
    with pytest.raises(ValueError, match=r"reference_point is .*: there must be 2 finite numbers, one for each"):
        read_study(with_reference(write_study(tmp_path, [MadeTrial()]), reference))


def test_table_of_an_empty_study_has_columns_and_no_rows(tmp_path: Path) -> None:
    table = trials_table(read_study(write_study(tmp_path, [])))
    assert table.empty
    assert "state" in table.columns


def test_missing_number_stays_missing_in_the_table(tmp_path: Path) -> None:
    table = trials_table(read_study(write_study(tmp_path, [MadeTrial(), MadeTrial(accuracy=None, state="fail")])))
    assert table["gpu_utilization_fraction"].isna().all()
    assert table["validation_accuracy"].isna().tolist() == [False, True]


def test_metrics_are_listed_as_declared_and_latencies_by_batch_size(tmp_path: Path) -> None:
    extra: dict[str, float | None] = {"latency_p50_ms_batch64": 2.0, "latency_p50_ms_batch8": 1.0, "train_loss": 0.1}
    results = read_study(write_study(tmp_path, [MadeTrial(metrics=extra)]))
    names = metric_names(results.trials)
    assert "epoch" not in names
    assert names.index("validation_accuracy") < names.index("train_loss") < names.index("latency_p50_ms_batch1")
    assert names[-3:] == ["latency_p50_ms_batch1", "latency_p50_ms_batch8", "latency_p50_ms_batch64"]


def test_demo_study_holds_what_the_other_tests_rely_on() -> None:
    trials = realistic_trials()
    assert {trial.state for trial in trials} == {"complete", "pruned", "fail", "running"}
    assert sum(trial.duplicate_of is not None for trial in trials) == 1
    assert {trial.method for trial in trials} == {"labels", "kd"}
