"""TensorBoard's files, read with its own loader event by event: what is there, and how often."""

import itertools
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import plugin_data_pb2

from study.watch.tensorboard_log import BEGUN, HAS_ENDED, TensorBoardLog
from tests.study.watch.views import epochs, finished, trial
from trainables.records import TrialRecord, TrialState

OBJECTIVES = ("validation_accuracy", "latency_p50_ms_batch1")
EXPERIMENT = "_hparams_/experiment"


def events(folder: Path) -> Counter[tuple[str, int]]:
    """How often each tag stands at each step, over all files of a run."""
    found = itertools.chain.from_iterable(EventFileLoader(str(file)).Load() for file in sorted(folder.iterdir()))
    return Counter((value.tag, event.step) for event in found for value in event.summary.value)


def told(folder: Path, *launches: Iterable[TrialRecord]) -> None:
    """Each launch a log of its own, told record by record."""
    for records in launches:
        log = TensorBoardLog(folder, OBJECTIVES)
        for record in records:
            log.tell([record])
        log.close()


def at_work(*numbers: float) -> TrialRecord:
    return trial(7, TrialState.RUNNING, epochs=epochs(*numbers))


def steps(*numbers: int) -> dict[tuple[str, int], int]:
    return {(name, step): 1 for name in ("validation_accuracy", "train_loss", "train_seconds") for step in numbers}


START = {(EXPERIMENT, 0): 1, (BEGUN, 0): 1}
END = {("latency_p50_ms_batch1", 4): 1, (HAS_ENDED, 0): 1}


def test_trial_is_a_run_of_its_epochs_and_hyperparameters(tmp_path: Path) -> None:
    told(tmp_path, [at_work(1), at_work(1, 2), finished(7, 0.9, 2.0)])
    assert events(tmp_path / "student_7") == {**START, **steps(1, 2, 3, 4), **END}


def test_values_and_hyperparameters_are_those_of_the_trial(tmp_path: Path) -> None:
    told(tmp_path, [finished(7, 0.9, 2.0)])
    run = EventAccumulator(str(tmp_path / "student_7"))
    run.Reload()
    assert [(each.step, each.value) for each in run.Scalars("validation_accuracy")] == [(n, 0.5) for n in (1, 2, 3, 4)]
    data = plugin_data_pb2.HParamsPluginData.FromString(run.SummaryMetadata(BEGUN).plugin_data.content)
    chosen = data.session_start_info.hparams
    assert (chosen["width"].number_value, chosen["method"].string_value) == (2.0, "labels")
    columns = plugin_data_pb2.HParamsPluginData.FromString(run.SummaryMetadata(EXPERIMENT).plugin_data.content)
    assert {each.name.tag for each in columns.experiment.metric_infos} == set(OBJECTIVES)


def test_resumed_launch_writes_only_what_is_new(tmp_path: Path) -> None:
    told(tmp_path, [at_work(1, 2)], [at_work(1, 2), at_work(1, 2, 3), finished(7, 0.9, 2.0)], [finished(7, 0.9, 2.0)])
    assert events(tmp_path / "student_7") == {**START, **steps(1, 2, 3, 4), **END}
    assert len(list((tmp_path / "student_7").iterdir())) == 2, "a launch without news makes no file"


def test_launch_makes_up_for_what_a_killed_one_did_not_write(tmp_path: Path) -> None:
    """The storage had four epochs when the driver died; the log was told of one."""
    told(tmp_path, [at_work(1)], [at_work(1, 2, 3, 4)])
    assert events(tmp_path / "student_7") == {**START, **steps(1, 2, 3, 4)}


@pytest.mark.parametrize("num_bytes_cut", [1, 40, 300])
def test_file_that_a_kill_left_torn_is_made_whole_by_the_next(tmp_path: Path, num_bytes_cut: int) -> None:
    told(tmp_path, [at_work(1, 2)])
    (file,) = (tmp_path / "student_7").iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:-num_bytes_cut])
    told(tmp_path, [at_work(1, 2), at_work(1, 2, 3)])
    run = EventAccumulator(str(tmp_path / "student_7"))
    run.Reload()
    assert [each.step for each in run.Scalars("train_seconds")] == [1, 2, 3]
    assert events(tmp_path / "student_7") == {**START, **steps(1, 2, 3)}


def test_paused_trial_goes_on_in_its_run(tmp_path: Path) -> None:
    paused = trial(7, TrialState.RUNNING, epochs=epochs(1, 2), paused_at_epoch=2.0)
    told(tmp_path, [at_work(1), paused, at_work(1, 2, 3)])
    assert events(tmp_path / "student_7") == {**START, **steps(1, 2, 3)}


def test_trial_that_shows_nothing_has_no_run(tmp_path: Path) -> None:
    told(tmp_path, [trial(1, TrialState.WAITING), finished(2, 0.9, 2.0, duplicate_of=0), trial(3, TrialState.RUNNING)])
    assert not list(tmp_path.iterdir())


def test_what_was_told_can_be_read_while_the_trial_goes_on(tmp_path: Path) -> None:
    log = TensorBoardLog(tmp_path, OBJECTIVES)
    log.tell([at_work(1)])
    assert events(tmp_path / "student_7") == {**START, **steps(1)}
    log.close()
