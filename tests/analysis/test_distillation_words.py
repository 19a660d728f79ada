"""Distilled against labels only: what may be compared, and what the report dares to say of one seed."""

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.findings import Verdict, compare_by_size, method_pairs
from analysis.report_tables import pair_table, size_table
from analysis.report_words import found
from analysis.results import StudyResults, read_study
from tests.analysis.study_directory import NUM_VALIDATION_IMAGES, MadeTrial, write_study

SEARCHED = MadeTrial(accuracy=0.9, origin="search", learning_rate=1e-3)
KD = MadeTrial(method="kd", temperature=4.0, alpha=0.5, accuracy=0.98)
PARTNER = replace(KD, origin="baseline")


def study(root: Path, *trials: MadeTrial) -> StudyResults:
    return read_study(write_study(root, trials))


def text_of(results: StudyResults) -> str:
    return " ".join(found(results))


@pytest.mark.parametrize(
    ("labels", "distilled", "words", "verdict"),
    [
        (0.97, 0.985, "ahead by more than counting noise at width 4 (+1.50 points).", Verdict.AHEAD),
        (0.985, 0.97, "behind by more than counting noise at width 4 (-1.50 points).", Verdict.BEHIND),
        (0.98, 0.981, "within noise at width 4 (+0.10 points).", Verdict.WITHIN),
    ],
)
def test_bests_of_equally_many_are_compared_at_one_seed(
    tmp_path: Path, labels: float, distilled: float, words: str, verdict: Verdict
) -> None:
    best = [replace(SEARCHED, accuracy=labels), replace(KD, accuracy=distilled)]
    results = study(tmp_path, *best, SEARCHED, replace(KD, accuracy=0.9))
    assert f"at one training seed: distillation is {words}" in text_of(results)
    assert "clearly" not in text_of(results)
    assert size_table(results).rows[0][-1] == verdict.value


def test_a_verdict_beyond_noise_says_that_it_is_of_one_seed() -> None:
    assert all("one seed" in verdict.value for verdict in (Verdict.AHEAD, Verdict.BEHIND))


@pytest.mark.parametrize(
    ("num_labels", "num_distilled", "is_comparable"),
    [(1, 1, False), (1, 2, False), (2, 2, True), (2, 3, True), (3, 2, True), (2, 4, False), (5, 2, False)],
)
def test_unequal_tries_and_single_ones_are_not_comparable(
    tmp_path: Path, num_labels: int, num_distilled: int, is_comparable: bool
) -> None:
    results = study(tmp_path, *[SEARCHED] * num_labels, *[KD] * num_distilled)
    (compared,) = compare_by_size(results)
    assert (compared.verdict(NUM_VALIDATION_IMAGES) is Verdict.AHEAD) is is_comparable
    assert ("not comparable at width 4" in text_of(results)) is not is_comparable
    assert ("Best students are compared only where" in text_of(results)) is not is_comparable


def test_pairs_differ_in_method_alone_and_stand_by_size(tmp_path: Path) -> None:
    trials = [
        MadeTrial(width=8, accuracy=0.97),
        replace(PARTNER, width=8),
        MadeTrial(width=2),
        replace(PARTNER, width=2),
        replace(KD, width=2),
        replace(PARTNER, width=2, method="attention"),
    ]
    pairs = method_pairs(study(tmp_path, *trials))
    assert [(pair.labels.number, pair.distilled.number) for pair in pairs] == [(2, 3), (2, 5), (0, 1)]
    assert pairs[-1].gain == pytest.approx(0.01)


@pytest.mark.parametrize(
    "partner",
    [
        KD,
        replace(PARTNER, width=8),
        replace(PARTNER, batch_size=256),
        replace(PARTNER, learning_rate=1e-3),
        replace(PARTNER, state="pruned"),
        replace(PARTNER, duplicate_of=0),
        MadeTrial(),
    ],
    ids=["searched", "width", "batch size", "learning rate", "pruned", "duplicate", "labels too"],
)
def test_students_that_differ_in_more_than_the_method_are_no_pair(tmp_path: Path, partner: MadeTrial) -> None:
    assert method_pairs(study(tmp_path, MadeTrial(), partner)) == ()


def test_pairs_come_before_the_best_of_each_method(tmp_path: Path) -> None:
    """Counting noise of 0.97 against 0.98 over 5,000 images: 2 sqrt(0.0291 + 0.0196) / sqrt(5,000) = 0.62 points."""
    trials = [
        MadeTrial(width=1, accuracy=0.97),
        replace(PARTNER, width=1, accuracy=0.98),
        MadeTrial(width=2, accuracy=0.98),
        replace(PARTNER, width=2, accuracy=0.97),
        MadeTrial(width=4, accuracy=0.98),
        replace(PARTNER, width=4, accuracy=0.982),
    ]
    results = study(tmp_path, *trials)
    assert (
        "3 pairs of students differ in method alone, at one training seed: distillation is ahead by more than counting "
        "noise at width 1 (kd, +1.00 points); behind by more than counting noise at width 2 (kd, -1.00 points); within "
        "noise at width 4 (kd, +0.20 points). Best against best, at one seed too, it is not comparable at"
    ) in text_of(results)
    first = ("1", "kd", "97.00 % (trial 0)", "98.00 % (trial 1)", "+1.00 points", "0.62 points", Verdict.AHEAD.value)
    assert pair_table(results).rows[0] == first


def test_study_without_pairs_says_so(tmp_path: Path) -> None:
    results = study(tmp_path, MadeTrial(), KD)
    assert "No two baselines differ in method alone" in text_of(results)
    assert pair_table(results).rows == ()
