"""Agreement, divergence, ranks and calibration of logits, against closed forms, SciPy and tables made by hand."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import entropy, spearmanr

from analysis.transfer_measures import (
    agreement,
    kl_divergence,
    negative_log_likelihood,
    nontarget_rank_correlation,
)
from trainables.calibration import expected_calibration_error

LOGITS = arrays(np.float64, (6, 5), elements=st.floats(-30.0, 30.0))


def log_odds(probabilities: list[float]) -> NDArray[np.float64]:
    logits_NC: NDArray[np.float64] = np.log(np.array([[each, 1.0 - each] for each in probabilities]))
    return logits_NC


def test_agreement_marks_the_images_that_both_put_into_one_class() -> None:
    student_NC = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [0.0, 0.0, 1.0]])
    teacher_NC = np.array([[9.0, 1.0, 0.0], [5.0, 3.0, 1.0], [0.0, 0.1, 0.2]])
    assert agreement(student_NC, teacher_NC).tolist() == [True, False, True]


def test_kl_of_two_coins_is_its_closed_form() -> None:
    """KL(3/4, 1/4 || 1/2, 1/2) = ln 2 - H(1/4) and of the second image 0: the mean is half of it."""
    expected = 0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.5)
    found = kl_divergence(log_odds([0.5, 0.9]), log_odds([0.75, 0.9]), temperature=1.0)
    assert found == pytest.approx(expected / 2, rel=1e-12)


def test_kl_is_of_the_student_from_the_teacher_and_not_the_reverse() -> None:
    teacher, student = [0.9, 0.1], [0.6, 0.4]
    found = kl_divergence(np.log([student]), np.log([teacher]), temperature=1.0)
    assert found == pytest.approx(entropy(teacher, student), rel=1e-12)
    assert found != pytest.approx(entropy(student, teacher), rel=1e-3)


@given(LOGITS, LOGITS, st.floats(0.5, 20.0))
def test_kl_at_a_temperature_is_that_of_the_divided_logits(
    student_NC: NDArray[np.float64], teacher_NC: NDArray[np.float64], temperature: float
) -> None:
    at_one = kl_divergence(student_NC / temperature, teacher_NC / temperature, temperature=1.0)
    assert kl_divergence(student_NC, teacher_NC, temperature=temperature) == pytest.approx(at_one, rel=1e-9, abs=1e-12)
    assert at_one >= -1e-12  # Gibbs' inequality


@given(LOGITS, st.floats(-5.0, 5.0))
def test_shifted_logits_are_the_same_distribution(logits_NC: NDArray[np.float64], shift: float) -> None:
    assert kl_divergence(logits_NC + shift, logits_NC, temperature=4.0) == pytest.approx(0.0, abs=1e-12)


def test_rank_correlation_is_the_mean_of_scipys_over_the_wrong_classes() -> None:
    stream = np.random.default_rng(3)
    student_NC, teacher_NC = stream.normal(size=(40, 10)), stream.normal(size=(40, 10))
    student_NC[:, 4] = student_NC[:, 7]  # ties
    labels_N = stream.integers(0, 10, size=40)
    expected = [
        spearmanr(np.delete(mine, label), np.delete(its, label)).statistic
        for mine, its, label in zip(student_NC, teacher_NC, labels_N, strict=True)
    ]
    assert nontarget_rank_correlation(student_NC, teacher_NC, labels_N) == pytest.approx(np.mean(expected), rel=1e-12)


def test_rank_correlation_does_not_see_the_true_class() -> None:
    teacher_NC = np.array([[9.0, 1.0, 2.0, 3.0]])
    student_NC = np.array([[-9.0, 10.0, 20.0, 30.0]])
    assert nontarget_rank_correlation(student_NC, teacher_NC, np.array([0])) == pytest.approx(1.0)
    assert nontarget_rank_correlation(-student_NC, teacher_NC, np.array([0])) == pytest.approx(-1.0)


@given(arrays(np.int64, (6, 5), elements=st.integers(-20, 20)))
def test_rank_correlation_is_blind_to_monotone_changes(whole_NC: NDArray[np.int64]) -> None:
    logits_NC, labels_N = whole_NC.astype(np.float64), np.arange(6) % 5
    found = nontarget_rank_correlation(np.exp(logits_NC), logits_NC, labels_N)
    assert found is None or found == pytest.approx(1.0)


def test_images_without_an_order_are_left_out_and_two_classes_have_none() -> None:
    flat_NC, labels_N = np.zeros((2, 4)), np.array([0, 1])
    assert nontarget_rank_correlation(flat_NC, np.arange(8.0).reshape(2, 4), labels_N) is None
    half_NC = np.array([[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 2.0, 3.0]])
    assert nontarget_rank_correlation(half_NC, np.tile([0.0, 1.0, 2.0, 3.0], (2, 1)), labels_N) == pytest.approx(1.0)
    assert nontarget_rank_correlation(np.ones((2, 2)), np.ones((2, 2)), labels_N) is None


def test_calibration_error_of_a_table_made_by_hand() -> None:
    """Of ten images, six in the bin (14/15, 1] at 0.95 with three right, four in (8/15, 9/15] at 0.55 with two right.

    Guo et al. 2017, eq. 3: 6/10 |3/6 - 0.95| + 4/10 |2/4 - 0.55|.
    """
    logits_NC = log_odds([0.95] * 6 + [0.55] * 4)
    labels_N = np.array([0, 0, 0, 1, 1, 1, 0, 0, 1, 1])
    assert expected_calibration_error(logits_NC, labels_N) == pytest.approx(0.6 * 0.45 + 0.4 * 0.05, rel=1e-12)


def test_gaps_of_opposite_sign_cancel_within_a_bin_only() -> None:
    """0.60 and 0.56 share the bin (8/15, 9/15], 0.65 does not; each image here is right or wrong by itself."""
    in_one_bin = expected_calibration_error(log_odds([0.599, 0.56]), np.array([0, 1]))
    assert in_one_bin == pytest.approx(abs(1 - 0.599 - 0.56) / 2)
    in_two_bins = expected_calibration_error(log_odds([0.65, 0.56]), np.array([0, 1]))
    assert in_two_bins == pytest.approx((0.35 + 0.56) / 2)


def test_confidences_below_two_bins_are_told_apart() -> None:
    """Of 20 classes: 0.06 is in (0, 1/15], 0.12 in (1/15, 2/15], so that their gaps do not cancel."""
    probabilities_NC = np.array([[0.06] + [0.94 / 19] * 19, [0.12] + [0.88 / 19] * 19])
    found = expected_calibration_error(np.log(probabilities_NC), np.array([0, 1]))
    assert found == pytest.approx((0.94 + 0.12) / 2)


def test_likelihood_is_the_mean_log_probability_of_the_labels() -> None:
    found = negative_log_likelihood(log_odds([0.9, 0.2]), np.array([0, 0]))
    assert found == pytest.approx(-(log(0.9) + log(0.2)) / 2, rel=1e-12)


def test_extreme_logits_stay_finite() -> None:
    logits_NC, other_NC = np.array([[1e4, -1e4, 0.0]]), np.array([[-1e4, 1e4, 0.0]])
    assert np.isfinite(kl_divergence(logits_NC, other_NC, temperature=1.0))
    assert negative_log_likelihood(logits_NC, np.array([1])) == pytest.approx(2e4)


def test_networks_of_different_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"student logits are \(2, 3\), teacher logits \(2, 4\)"):
        agreement(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="temperature = 0: must be above 0"):
        kl_divergence(np.zeros((2, 3)), np.zeros((2, 3)), temperature=0)
