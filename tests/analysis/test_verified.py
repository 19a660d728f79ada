"""Students over fresh seeds: pairs, gains, and who is beaten by none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.results import StudyResults, read_study
from analysis.verified import (
    corrected_p_values,
    distinct_pairs,
    joint_draws,
    nondominated_probabilities,
    overall_gain,
    verified_pairs,
)
from tests.analysis.study_directory import MadeTrial, write_study
from tests.verifications import Sides, verification
from trainables.verified import Role, VerificationRecord

S, P = Role.STUDENT, Role.PARTNER
SMALL = MadeTrial(width=2, latency_ms=0.1, accuracy=0.97)
LARGE = MadeTrial(width=8, latency_ms=0.2, accuracy=0.985, method="kd", temperature=4.0, alpha=0.5)
SMALL_KD = MadeTrial(width=2, method="kd", temperature=4.0, alpha=0.5).student
LARGE_LABELS = MadeTrial(width=8).student

MIDDLE = MadeTrial(width=4, latency_ms=0.15, accuracy=0.975)
MIDDLE_KD = MadeTrial(width=4, method="kd", temperature=4.0, alpha=0.5).student


def results(root: Path, record: VerificationRecord | None) -> StudyResults:
    return replace(read_study(write_study(root, [SMALL, LARGE])), verification=record)


def usual(root: Path) -> StudyResults:
    """The small student is hurt by the teacher in every seed, the large one helped in every seed."""
    sides: Sides = {
        (0, S): (SMALL.student, [0.97, 0.95, 0.96]),
        (0, P): (SMALL_KD, [0.96, 0.94, 0.95]),
        (1, S): (LARGE.student, [0.988, 0.986, 0.987]),
        (1, P): (LARGE_LABELS, [0.985, 0.983, 0.984]),
    }
    return results(root, verification(sides))


def test_gain_is_distilled_less_labels_whichever_side_stands_on_the_front(tmp_path: Path) -> None:
    small, large = verified_pairs(usual(tmp_path))
    assert small.gains == pytest.approx({1: -0.01, 2: -0.01, 3: -0.01})
    assert large.gains == pytest.approx({1: 0.003, 2: 0.003, 3: 0.003})


def test_paired_interval_sees_what_the_seeds_share(tmp_path: Path) -> None:
    """Each side spreads by a point over the seeds, the difference does not: paired it is decided."""
    small = verified_pairs(usual(tmp_path))[0]
    assert small.gain is not None
    assert small.gain.high is not None
    assert small.gain.high < 0.0  # the whole interval is on one side of 0
    assert small.partner is not None
    alone, other = small.student.estimate(), small.partner.estimate()
    assert alone is not None
    assert other is not None
    assert (alone.low or 0) < other.mean < (alone.high or 0)


def test_overall_gain_is_the_mean_of_pairs_within_each_seed(tmp_path: Path) -> None:
    overall = overall_gain(verified_pairs(usual(tmp_path)))
    assert overall is not None
    assert overall.mean == pytest.approx((-0.01 + 0.003) / 2)
    assert overall.num_values == 3


def test_seed_that_failed_on_one_side_is_left_out_of_the_pair(tmp_path: Path) -> None:
    sides: Sides = {(0, S): (SMALL.student, [0.97, None, 0.96]), (0, P): (SMALL_KD, [0.96, 0.94, None])}
    (pair,) = verified_pairs(results(tmp_path, verification(sides)))
    assert pair.gains == pytest.approx({1: -0.01})
    assert pair.gain is not None
    assert pair.gain.low is None


def test_student_whose_every_run_failed_has_no_estimate(tmp_path: Path) -> None:
    sides: Sides = {(0, S): (SMALL.student, [None, None]), (0, P): (SMALL_KD, [0.96, 0.94])}
    (pair,) = verified_pairs(results(tmp_path, verification(sides)))
    assert pair.student.estimate() is None
    assert pair.gain is None


def test_configuration_that_fails_does_not_silence_the_others(tmp_path: Path) -> None:
    sides: Sides = {
        (0, S): (SMALL.student, [0.97, 0.95, 0.96]),
        (0, P): (SMALL_KD, [0.96, None, None]),
        (1, S): (LARGE.student, [0.988, 0.986, 0.987]),
        (1, P): (LARGE_LABELS, [0.985, 0.983, 0.984]),
    }
    study = results(tmp_path, verification(sides))
    ahead = nondominated_probabilities(study)
    assert ahead.keys() == {(0, S), (1, S), (1, P)}
    assert ahead[0, S] > 0.99
    overall = overall_gain(verified_pairs(study))
    assert overall is not None
    assert overall.mean == pytest.approx(0.003)
    assert overall.num_values == 3


def test_two_students_that_are_each_others_partners_are_one_pair(tmp_path: Path) -> None:
    other = MadeTrial(width=2, latency_ms=0.1, accuracy=0.97, method="kd", temperature=4.0, alpha=0.5)
    sides: Sides = {
        (0, S): (SMALL.student, [0.97, 0.95]),
        (0, P): (other.student, [0.96, 0.94]),
        (1, S): (other.student, [0.96, 0.94]),
        (1, P): (SMALL.student, [0.97, 0.95]),
    }
    study = replace(read_study(write_study(tmp_path, [SMALL, other])), verification=verification(sides))
    assert len(verified_pairs(study)) == 2
    assert len(distinct_pairs(verified_pairs(study))) == 1


def test_pairs_are_corrected_for_how_many_were_compared(tmp_path: Path) -> None:
    """By hand: differences of -1, -1, -0.7 have t = 9 on 2 degrees, p 0.01212; 0.3, 0.3, 0.2 t = 8, p 0.01527.

    Holm doubles the smaller, and the other one is no less. The pair whose runs failed is of no family.
    """
    sides: Sides = {
        (0, S): (SMALL.student, [0.97, 0.95, 0.96]),
        (0, P): (SMALL_KD, [0.96, 0.94, 0.953]),
        (1, S): (LARGE.student, [0.988, 0.986, 0.986]),
        (1, P): (LARGE_LABELS, [0.985, 0.983, 0.984]),
        (2, S): (MIDDLE.student, [0.97, 0.96, 0.96]),
        (2, P): (MIDDLE_KD, [None, None, None]),
    }
    study = replace(read_study(write_study(tmp_path, [SMALL, LARGE, MIDDLE])), verification=verification(sides))
    pairs = verified_pairs(study)
    found = [corrected_p_values(pairs)[pair.configurations] for pair in pairs]
    assert found == [pytest.approx(2 * 0.012122, rel=1e-3), pytest.approx(2 * 0.012122, rel=1e-3), None]


def test_no_verification_no_pairs(tmp_path: Path) -> None:
    study = results(tmp_path, None)
    assert verified_pairs(study) == ()
    assert overall_gain(()) is None
    assert nondominated_probabilities(study) == {}


def test_partner_ahead_in_every_seed_is_the_one_that_none_beats(tmp_path: Path) -> None:
    ahead = nondominated_probabilities(usual(tmp_path))
    assert ahead[0, S] > 0.99
    assert ahead[0, P] < 0.01
    assert ahead[1, S] > 0.97
    assert ahead[1, P] < 0.03


def test_two_that_nothing_tells_apart_share_the_probability(tmp_path: Path) -> None:
    """Equal networks and equal means, with independent deviations: each is ahead half the time."""
    sides: Sides = {(0, S): (SMALL.student, [0.97, 0.95, 0.96]), (0, P): (SMALL_KD, [0.955, 0.965, 0.96])}
    ahead = nondominated_probabilities(results(tmp_path, verification(sides)))
    assert ahead[0, S] == pytest.approx(0.5, abs=0.03)
    assert ahead[0, S] + ahead[0, P] == pytest.approx(1.0, abs=0.01)


def test_joint_draws_have_the_means_and_the_covariance_of_the_means() -> None:
    """A multivariate t with n - 1 degrees has covariance (n - 1) / (n - 3) S / n (Kotz & Nadarajah 2004)."""
    values = np.random.default_rng(3).normal(size=(9, 3)) @ np.array([[1.0, 0.9, 0.0], [0.0, 0.4, 0.0], [0, 0, 1.0]])
    drawn = joint_draws(values, np.random.default_rng(0), least_deviation=0.0)
    assert drawn.mean(axis=0) == pytest.approx(values.mean(axis=0), abs=0.03)
    expected = np.cov(values, rowvar=False) / 9 * 8 / 6
    assert np.cov(drawn, rowvar=False) == pytest.approx(expected, abs=0.12 * np.abs(expected).max())
