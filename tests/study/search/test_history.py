"""What is read off the trials of a study, and in which order."""

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from study.search.history import Reading
from tests.study.search.toy_space import ask, complete, cost, error, labels, shown_errors, study_of, told

RANDOM = optuna.samplers.RandomSampler(seed=0)


def test_trials_stand_in_the_order_in_which_they_ended() -> None:
    """Number 0 ends last of three, as one that was paused would."""
    study = study_of(RANDOM)
    trials = [ask(study) for _ in range(4)]
    for index in (1, 2, 0):
        study.tell(trials[index], [float(index), 0.0])
    history = Reading(None, [], []).history(study, number=99)
    assert history.numbers == (1, 2, 0)
    assert history.ends_NM.tolist() == [[-1.0, 0.0], [-2.0, 0.0], [0.0, 0.0]]
    assert [each.parameters for each in history.silent] == [trials[3].params]


def test_signs_turn_values_and_curves_so_that_more_is_better() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trial(told(labels(1, 0), [0.9, 2.0], shown={1.0: 0.5}))
    history = Reading(lambda trial: [(b, [v, v]) for b, v in trial.user_attrs["shown"]], [], []).history(study, 9)
    assert history.ends_NM.tolist() == [[0.9, -2.0]]
    assert history.curves[0][1.0].tolist() == [0.5, -0.5]


def stopped_and_running() -> optuna.Study:
    study = study_of(RANDOM)
    study.add_trial(complete(labels(1, 0), shown={1.0: 0.9}))
    study.add_trial(told(labels(2, 0), shown={1.0: 0.8}, state=TrialState.PRUNED))
    study.add_trial(told(labels(4, 0), state=TrialState.PRUNED))
    study.add_trial(told(labels(8, 0), shown={1.0: 0.8}, state=TrialState.FAIL))
    study.enqueue_trial(labels(16, 0), user_attrs={"shown": [[1.0, 0.3]]})
    study.enqueue_trial(labels(32, 0))
    for _ in range(2):
        ask(study)
    return study


def test_with_a_curve_stopped_and_running_trials_tell_what_they_have_shown() -> None:
    history = Reading(shown_errors, [], []).history(stopped_and_running(), number=99)
    assert history.numbers == (0, 1, 4)
    assert history.num_ended == 2
    assert history.is_complete_N.tolist() == [True, False, False]
    assert [each.parameters["width"] for each in history.silent] == [32]
    assert [each.parameters["width"] for each in history.running] == [16, 32]


def test_without_a_curve_only_complete_trials_tell_anything() -> None:
    history = Reading(None, [], []).history(stopped_and_running(), number=99)
    assert history.numbers == (0,)
    assert [each.parameters["width"] for each in history.silent] == [16, 32]


def test_evidence_comes_first_tells_and_does_not_stand_on_the_front() -> None:
    study = study_of(RANDOM)
    study.add_trial(complete(labels(1, 0)))
    history = Reading(None, [], [complete(labels(1, 3)), complete(labels(2, 3))]).history(study, number=99)
    assert history.numbers == (-2, -1, 0)
    assert history.num_complete == 3
    assert [each.parameters for each in history.front] == [labels(1, 0)]
    assert [each.parameters for each in history.own] == [labels(1, 0)]


def test_evidence_is_read_once_and_tells_the_same_each_time() -> None:
    num_read = 0

    def curve(_: FrozenTrial) -> list[tuple[float, list[float]]]:
        nonlocal num_read
        num_read += 1
        return [(1.0, [0.5, 1.0])]

    reading = Reading(curve, [], [complete(labels(1, 3)), complete(labels(2, 3))])
    first, second = (reading.history(study_of(RANDOM), number=0) for _ in range(2))
    assert num_read == 2
    assert np.array_equal(first.ends_NM, second.ends_NM)


def test_trial_that_breaks_an_unknown_constraint_does_not_stand_and_one_of_unknown_value_does() -> None:
    """Rate 3 is best and breaks it; of rate 5 nothing is known."""

    def limit(trial: FrozenTrial) -> float | None:
        return {3: 0.5, 4: 0.0, 5: None}[trial.params["rate"]]

    study = study_of(RANDOM)
    for width, rate in ((8, 3), (8, 4), (4, 5)):
        study.add_trial(complete(labels(width, rate)))
    history = Reading(None, [limit], []).history(study, number=99)
    assert np.array_equal(history.margins_NK[:, 0], [-0.5, 0.0, np.nan], equal_nan=True)
    assert history.standing.tolist() == [1, 2]
    assert [each.parameters["rate"] for each in history.front] == [4, 5]


def test_one_reading_serves_two_studies() -> None:
    """Both have a trial 0."""
    reading = Reading(None, [], [])
    for width in (1, 2):
        study = study_of(RANDOM)
        study.add_trial(complete(labels(width, 0)))
        assert [each.parameters["width"] for each in reading.history(study, number=99).points] == [width]


def test_first_trials_alone_are_as_if_no_other_had_told_anything() -> None:
    history = Reading(shown_errors, [], [complete(labels(1, 3))]).history(stopped_and_running(), number=99)
    first = history.first(2)
    assert first.numbers == (-1, 0)
    assert (first.num_evidence, first.num_ended, first.running) == (1, 2, ())
    assert first.ends_NM[1] == pytest.approx([-error(labels(1, 0)), -cost(labels(1, 0))])


def test_what_cannot_be_read_is_an_error_that_names_the_trial() -> None:
    study = study_of(RANDOM)
    study.add_trial(complete(labels(1, 0), shown={1.0: 0.5}))
    with pytest.raises(
        ValueError, match=r"trial 0 has the values \[0.5\]: it must have one for each of .* 2 objectives"
    ):
        Reading(lambda _: [(1.0, [0.5])], [], []).history(study, number=99)
    with pytest.raises(ValueError, match=r"has the values \[0.1\]: it must have one for each of .* 2 objectives"):
        Reading(None, [], [told(labels(1, 0), [0.1])]).history(study, number=99)
    with pytest.raises(ValueError, match="evidence: trial -1 is PRUNED: it must be COMPLETE"):
        Reading(None, [], [told(labels(1, 0), state=TrialState.PRUNED)])
