"""What points promise: improvement times the chance to keep the constraints, over what stands and what runs."""

import moocore
import numpy as np
import optuna
import pytest
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import norm

from study.search.beliefs import Beliefs, log_chance_of_feasibility, reference
from study.search.candidates import Candidate, enumerate_space
from study.search.encoding import Encoder
from study.search.history import Reading
from study.search.improvement import expected_improvement
from study.search.known_functions import KnownFunctions
from study.search.models import Models
from study.search.surrogate import Posterior
from tests.study.search.toy_space import ask, complete, cost, error, labels, shown_errors, study_of, suggest, told

Array = NDArray[np.float64]
SPACE = enumerate_space(suggest, at_most=480) or []
ENCODER = Encoder(SPACE)
WORST = np.array([np.inf, -12.0])
TRIED = [labels(width, rate) for width in (1, 4, 16) for rate in (0, 4, 8)]


def study_with(*trials: FrozenTrial) -> optuna.Study:
    study = study_of(optuna.samplers.RandomSampler(seed=0))
    study.add_trials(trials)
    return study


def beliefs(study: optuna.Study, reading: Reading) -> Beliefs:
    """Hyperparameters are chosen once, so that two histories are believed with the same."""
    history = reading.history(study, number=99)
    kept = Models()
    kept.update(history, ENCODER, [0])
    for each in (*kept.objectives.values(), *kept.constraints.values()):
        assert each._kernel is not None
        each._kernel.raw_scales.data.fill_(0.8)
        each._noise, each._mean = 1e-4, 0.0
    return Beliefs(history, KnownFunctions("known objective", {1: cost}), kept, -np.ones(2), ENCODER, WORST)


def at(*parameters: dict[str, object]) -> list[Candidate]:
    return [next(each for each in SPACE if each.parameters == wanted) for wanted in parameters]


PLAIN = Reading(None, [], [])


def test_promise_is_the_improvement_times_the_chances_to_keep_each_constraint() -> None:
    """Gardner et al. 2014, from the beliefs of the two models alone."""
    study = study_with(*(complete(each) for each in TRIED))

    def rate(trial: FrozenTrial) -> float:
        return float(trial.params["rate"]) - 5.0

    def width(trial: FrozenTrial) -> float:
        return float(np.log2(trial.params["width"])) - 3.0

    points = at(labels(8, 1), labels(2, 6), labels(32, 3))
    unconstrained = beliefs(study, PLAIN).of(points)
    constrained = beliefs(study, Reading(None, [rate, width], []))
    values = -np.array(
        [[trial.values[0], cost(trial.params)] for trial in study.trials if rate(trial) <= 0 and width(trial) <= 0]
    )
    front = values[moocore.is_nondominated(-values)]
    improvement = expected_improvement(
        unconstrained.means_NM, unconstrained.deviations_NM, front, reference(front, WORST)
    )
    chances = np.ones(len(points))
    for conditioned in constrained._constraints:
        believed = conditioned.at(ENCODER.encode(points))
        chances *= norm.sf(0.0, loc=believed.means, scale=believed.deviations)
    assert np.exp(constrained.log_promise(points)) == pytest.approx(improvement * chances, rel=1e-6)
    assert chances[0] > 0.5 > chances[1]


def test_while_nothing_keeps_the_constraint_the_chance_to_keep_it_is_all_that_counts() -> None:
    """Gelbart et al. 2014. Every width tried is too large, the more the larger; the best error is there too."""

    def excess(trial: FrozenTrial) -> float:
        return float(np.log2(trial.params["width"])) + 1.0

    believed = beliefs(study_with(*(complete(labels(width, 3)) for width in (8, 16, 32))), Reading(None, [excess], []))
    points = at(labels(1, 9), labels(4, 3), labels(16, 3))
    promise = believed.log_promise(points)
    assert promise == pytest.approx(believed.of(points).log_feasible_N)
    assert promise[0] > promise[1] > promise[2]


def test_chance_is_that_of_the_normal_distribution_and_its_logarithm_stays_finite() -> None:
    told = log_chance_of_feasibility(Posterior(np.array([0.0, 1.0, -60.0]), np.array([2.0, 0.5, 1.0])))
    assert told[:2] == pytest.approx(np.log([0.5, 0.97724987]), rel=1e-6)
    assert told[2] == pytest.approx(-1805.0135606)  # -z^2/2 - log(z sqrt(2 pi)) + log(1 - 1/z^2 + ...)


def promise(study: optuna.Study, reading: Reading, *parameters: dict[str, object]) -> Array:
    return np.exp(beliefs(study, reading).log_promise(at(*parameters)))


CURVES = Reading(shown_errors, [], [])
SHOWN = [complete(each, shown={1.0: 2.0 * error(each)}) for each in TRIED]
GOOD = labels(8, 3)
BESIDE = labels(8, 2)


def running(study: optuna.Study, shown: float | None) -> optuna.Study:
    study.enqueue_trial(GOOD, user_attrs={} if shown is None else {"shown": [[1.0, shown]]})
    ask(study)
    return study


def test_running_trial_leaves_less_to_promise_beside_it_and_is_believed_by_what_it_has_shown() -> None:
    alone = promise(study_with(*SHOWN), CURVES, GOOD, BESIDE)
    silent = promise(running(study_with(*SHOWN), None), CURVES, GOOD, BESIDE)
    assert np.all(silent < 0.7 * alone)
    good, bad = (beliefs(running(study_with(*SHOWN), shown), CURVES) for shown in (0.1, 0.9))
    assert good.of(at(GOOD)).means_NM[0, 0] == pytest.approx(-0.05, abs=0.02)  # half of what it has shown
    assert bad.of(at(GOOD)).means_NM[0, 0] == pytest.approx(-0.45, abs=0.02)
    for believed in (good, bad):
        assert np.exp(believed.log_promise(at(GOOD)))[0] < 0.15 * alone[0]


def test_stopped_trial_tells_the_model_and_is_not_on_the_front() -> None:
    """The same shown, once by a trial that still runs: alike believed, and only that one is there to improve on."""
    stopped = beliefs(study_with(*SHOWN, told(GOOD, shown={1.0: 0.0}, state=TrialState.PRUNED)), CURVES)
    still = beliefs(running(study_with(*SHOWN), 0.0), CURVES)
    nothing = beliefs(study_with(*SHOWN), CURVES)
    assert stopped.of(at(GOOD)).means_NM == pytest.approx(still.of(at(GOOD)).means_NM, abs=1e-4)
    assert stopped.of(at(GOOD)).means_NM[0, 0] > nothing.of(at(GOOD)).means_NM[0, 0]
    assert stopped._front_KM.tolist() == nothing._front_KM.tolist()
    assert still.of(at(GOOD)).means_NM[0].tolist() in still._front_KM.tolist()


def test_evidence_tells_the_model_and_is_not_on_the_front() -> None:
    own = [complete(each) for each in TRIED[:3]]
    evidence = [complete(labels(width, 3)) for width in (2, 8, 32)]
    without = beliefs(study_with(*own), PLAIN)
    with_it = beliefs(study_with(*own), Reading(None, [], evidence))
    assert with_it._front_KM.tolist() == without._front_KM.tolist()
    assert with_it.of(at(labels(8, 3))).deviations_NM[0, 0] < 0.5 * without.of(at(labels(8, 3))).deviations_NM[0, 0]


def test_evidence_alone_makes_everything_above_its_reference_promising() -> None:
    believed = beliefs(study_with(), Reading(None, [], [complete(each) for each in TRIED]))
    assert believed._front_KM.shape == (0, 2)
    assert np.isfinite(believed.log_promise(at(GOOD))).all()


def test_what_runs_is_not_counted_on_the_front_where_it_is_believed_to_break_a_constraint() -> None:
    def rate(trial: FrozenTrial) -> float:
        return float(trial.params["rate"]) - 2.5

    study = running(study_with(*SHOWN), 0.0)
    for limit, is_counted in ((rate, False), (lambda _: -1.0, True)):
        believed = beliefs(study, Reading(shown_errors, [limit], []))
        assert (believed.of(at(GOOD)).means_NM[0].tolist() in believed._front_KM.tolist()) is is_counted
