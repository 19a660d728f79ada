"""When hyperparameters are chosen, and that it depends on the history alone."""

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray
from optuna.trial import TrialState

from study.search import models
from study.search.candidates import enumerate_space
from study.search.encoding import Encoder
from study.search.history import History, Reading
from study.search.models import Models, last_refit, last_turn
from study.search.surrogate import Surrogate
from tests.study.search.toy_space import complete, error, labels, shown_errors, study_of, suggest, told

Array = NDArray[np.float64]
ENCODER = Encoder(enumerate_space(suggest, at_most=480) or [])
POINTS = [labels(width, rate) for rate in (0, 3, 6, 9) for width in (1, 2, 4, 8, 16)]


def history(num_trials: int, *, every_stopped: int = 3, evidence: int = 0) -> History:
    """All but every third trial ran to the end; those that did not have shown half of it."""
    study = study_of(optuna.samplers.RandomSampler(seed=0))
    for index, parameters in enumerate(POINTS[:num_trials]):
        shown = {1.0: 2.0 * error(parameters)}
        is_stopped = index % every_stopped == every_stopped - 1
        study.add_trial(
            told(parameters, shown=shown, state=TrialState.PRUNED) if is_stopped else complete(parameters, shown=shown)
        )
    return Reading(shown_errors, [], [complete(each) for each in POINTS[:evidence]]).history(study, number=99)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[Array]:
    """The values of every fit from here on; none takes long."""
    seen: list[Array] = []

    def fit(_: Surrogate, columns: Array, values: Array) -> None:
        assert len(columns) == len(values)
        seen.append(values)

    monkeypatch.setattr(Surrogate, "fit", fit)
    return seen


def test_schedule_grows_by_a_fifth() -> None:
    turns = [last_turn(count) for count in range(2, 40)]
    assert sorted(set(turns)) == [2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 19, 22, 26, 31, 37]


def test_hyperparameters_are_chosen_at_the_turns_and_not_between_them(fits: list[Array]) -> None:
    kept, num_fits = Models(), []
    for num_trials in range(8, 20):
        kept.update(history(num_trials), ENCODER, [0])
        num_fits.append(len(fits))
    assert num_fits == [1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 6, 7]  # at 8, 9, 10, 12, 14, 16 and 19


def test_new_process_chooses_from_the_same_values_as_the_old_one_did(fits: list[Array]) -> None:
    """Between turns too, when more trials to draw the lines from have come to their end."""
    kept = Models()
    for num_trials in range(8, 19):
        kept.update(history(num_trials), ENCODER, [0])
    Models().update(history(18), ENCODER, [0])
    assert fits[-1] == pytest.approx(fits[-2])
    assert len(fits[-1]) == 16


def test_stopped_trials_count_with_their_projections(fits: list[Array]) -> None:
    """They showed twice their error, and so did the others: by a straight line they come to their own."""
    Models().update(history(10), ENCODER, [0])
    assert -fits[0] == pytest.approx([error(each) for each in POINTS[:10]])


def test_it_waits_for_three_complete_trials() -> None:
    """Of eleven trials all but every fifth were stopped: of the ten that the schedule names, two are complete."""
    study = study_of(optuna.samplers.RandomSampler(seed=0))
    for index, parameters in enumerate(POINTS[:11]):
        is_complete = index % 5 == 0
        study.add_trial(
            complete(parameters) if is_complete else told(parameters, shown={1.0: 1.0}, state=TrialState.PRUNED)
        )
    seen = Reading(shown_errors, [], []).history(study, number=99)
    assert last_turn(11) == 10
    assert last_refit(seen) == 11


def test_evidence_counts_first(fits: list[Array]) -> None:
    Models().update(history(4, evidence=8), ENCODER, [0])
    assert -fits[0][:8] == pytest.approx([error(each) for each in POINTS[:8]])


def test_no_more_points_are_fitted_than_the_limit_from_the_first_to_the_last(
    fits: list[Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "MAX_FITTED", 4)
    Models().update(history(10), ENCODER, [0])
    assert -fits[0] == pytest.approx([error(POINTS[index]) for index in (0, 3, 6, 9)])


def test_constraint_that_is_known_of_one_trial_alone_has_no_model(fits: list[Array]) -> None:
    study = study_of(optuna.samplers.RandomSampler(seed=0))
    for parameters in POINTS[:4]:
        study.add_trial(complete(parameters))
    reading = Reading(None, [lambda trial: 1.0 if trial.number == 0 else None, lambda trial: trial.number - 1.5], [])
    kept = Models()
    kept.update(reading.history(study, number=99), ENCODER, [0])
    assert set(kept.objectives) == {0}
    assert set(kept.constraints) == {1}
    assert fits[1].tolist() == [1.5, 0.5, -0.5, -1.5]
