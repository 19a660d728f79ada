"""A trial as scalars by step."""

from study.watch.scalars import Scalar, scalars
from tests.study.watch.views import epochs, finished, trial
from trainables.records import TrialState

OBJECTIVES = ("validation_accuracy", "latency_p50_ms_batch1")


def test_each_known_metric_of_each_epoch_is_one_scalar() -> None:
    seen = trial(0, TrialState.RUNNING, epochs=epochs(1, 2, train_seconds=None))
    assert list(scalars(seen, OBJECTIVES)) == [
        Scalar("validation_accuracy", 1, 0.5),
        Scalar("train_loss", 1, 1.5),
        Scalar("validation_accuracy", 2, 0.5),
        Scalar("train_loss", 2, 1.5),
    ]


def test_report_within_an_epoch_has_no_step() -> None:
    seen = trial(0, TrialState.RUNNING, epochs=epochs(0.25, 0.5, 1, 1.5, 2))
    assert {each.step for each in scalars(seen, OBJECTIVES)} == {1, 2}


def test_objective_known_beforehand_is_told_at_the_end_of_a_trial_that_came_to_its_own() -> None:
    latency = [each for each in scalars(finished(0, 0.9, 2.0), OBJECTIVES) if each.name == "latency_p50_ms_batch1"]
    assert latency == [Scalar("latency_p50_ms_batch1", 4, 2.0)]
    stopped = finished(0, 0.9, 2.0).model_copy(update={"state": TrialState.PRUNED})
    assert "latency_p50_ms_batch1" not in {each.name for each in scalars(stopped, OBJECTIVES)}


def test_trial_that_was_not_trained_has_none() -> None:
    assert list(scalars(finished(3, 0.9, 2.0, duplicate_of=0), OBJECTIVES)) == []
    assert list(scalars(trial(0, TrialState.WAITING), OBJECTIVES)) == []
    assert list(scalars(trial(0, TrialState.PRUNED, breaks="latency <= 1", metrics={"a": 1.0}), OBJECTIVES)) == []
