"""What the report says of the verification, in words and in its table."""

import re
from dataclasses import replace
from pathlib import Path

from analysis.report_verified import verified_table, verified_words
from analysis.results import read_study
from tests.analysis.study_directory import realistic_trials, write_study
from tests.analysis.test_verified import LARGE, LARGE_LABELS, SMALL, SMALL_KD, P, S, results, usual
from tests.verifications import Sides, verification


def test_before_the_verification_it_says_that_the_test_images_were_not_read(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path, realistic_trials()))
    assert verified_words(study) == ["The test images have not been read: no student has been verified."]
    assert verified_table(study).rows == ()


def test_it_says_whether_distillation_helped_and_how_sure_that_is(tmp_path: Path) -> None:
    """The small student loses a point in each of three seeds, the large one gains 0.3: both are beyond the seeds."""
    text = " ".join(verified_words(usual(tmp_path)))
    assert "2 students of the front" in text
    assert "3 fresh seeds" in text
    assert "10,000 test images" in text
    assert "the teacher reaches 99.30 %" in text
    assert "helped at width 8 (trial 1), +0.30 points" in text
    assert "hurt at width 2 (trial 0), -1.00 points" in text
    assert "Over all 2 pairs the mean is -0.35 points" in text
    assert "p is of the paired t test, corrected for 2 comparisons (Holm), and below 0.05 it is decided" in text


def test_what_is_beyond_its_own_seeds_but_not_beyond_two_comparisons_is_not_decided(tmp_path: Path) -> None:
    """Differences of -1, -1, -0.5 points: t = 5 on 2 degrees, p 0.0377 by itself, 0.0755 as one of two."""
    sides: Sides = {
        (0, S): (SMALL.student, [0.97, 0.95, 0.96]),
        (0, P): (SMALL_KD, [0.96, 0.94, 0.955]),
        (1, S): (LARGE.student, [0.988, 0.984, 0.985]),
        (1, P): (LARGE_LABELS, [0.985, 0.986, 0.984]),
    }
    two = " ".join(verified_words(results(tmp_path / "two", verification(sides))))
    assert "is not decided at width 2 (trial 0), -0.83 points (95 % interval -1.55 to -0.12), p 0.0755" in two
    alone = {key: sides[key] for key in ((0, S), (0, P))}
    one = " ".join(verified_words(results(tmp_path / "one", verification(alone))))
    assert "hurt at width 2 (trial 0), -0.83 points (95 % interval -1.55 to -0.12), p 0.0377" in one
    assert "Holm" not in one


def test_it_says_how_little_so_few_seeds_resolve(tmp_path: Path) -> None:
    """Three seeds whose differences deviate by 1 point: 3.264 deviations, and 4.625 at half the level, for two pairs.

    Both are of the closed form that `test_power_of_three_pairs_is_that_of_its_closed_form` holds.
    """
    sides: Sides = {(0, S): (SMALL.student, [0.96, 0.96, 0.96]), (0, P): (SMALL_KD, [0.95, 0.96, 0.97])}
    record = verification(sides)
    text = " ".join(verified_words(results(tmp_path / "one", record)))
    assert "3 seeds find a true difference four times in five only if it is at least 3.26 points. Not decided" in text
    row = verified_table(results(tmp_path / "table", record)).rows[0]
    assert row[7:9] == ("1", "3.26")
    both = {**sides, (1, S): (LARGE.student, [0.97, 0.98, 0.99]), (1, P): (LARGE_LABELS, [0.98, 0.98, 0.98])}
    text = " ".join(verified_words(results(tmp_path / "two", verification(both))))
    assert "at least 3.26 points, pair by pair; 4.62 points where all 2 comparisons are to hold together" in text


def test_differences_that_seeds_do_not_tell_are_not_decided(tmp_path: Path) -> None:
    sides: Sides = {(0, S): (SMALL.student, [0.97, 0.96, 0.95]), (0, P): (SMALL_KD, [0.96, 0.97, 0.955])}
    text = " ".join(verified_words(results(tmp_path, verification(sides))))
    assert "is not decided at width 2 (trial 0)" in text
    assert "helped at" not in text
    assert "hurt at" not in text
    assert "Over all" not in text  # of one pair


def test_one_seed_decides_nothing(tmp_path: Path) -> None:
    sides: Sides = {(0, S): (SMALL.student, [0.97]), (0, P): (SMALL_KD, [0.90])}
    text = " ".join(verified_words(results(tmp_path, verification(sides))))
    assert "is not decided at width 2 (trial 0), -7.00 points (one seed)." in text
    assert "One seed tells nothing of how much seeds differ" in text
    assert "p is of" not in text


def test_partner_that_is_better_is_named_beside_its_student(tmp_path: Path) -> None:
    sides: Sides = {(1, S): (LARGE.student, [0.983, 0.984]), (1, P): (LARGE_LABELS, [0.988, 0.989])}
    text = " ".join(verified_words(results(tmp_path, verification(sides))))
    assert re.search(r"Less sure to be beaten by none: trial 1 \([0-3] %, its partner (9[7-9]|100) %\)", text)


def test_failed_runs_are_named_with_their_reason(tmp_path: Path) -> None:
    sides: Sides = {(0, S): (SMALL.student, [0.97, None]), (0, P): (SMALL_KD, [0.96, 0.95])}
    text = " ".join(verified_words(results(tmp_path, verification(sides))))
    assert "1 run failed and is left out: trial 0 (student, seed 2): TrainingDivergedError" in text


def test_front_that_has_moved_since_is_said_so(tmp_path: Path) -> None:
    better = replace(SMALL, accuracy=0.99, latency_ms=0.05)
    study = read_study(write_study(tmp_path, [SMALL, LARGE, better]))
    sides: Sides = {(0, S): (SMALL.student, [0.97, 0.96]), (0, P): (SMALL_KD, [0.96, 0.95])}
    text = " ".join(verified_words(replace(study, verification=verification(sides))))
    assert "the front has moved: trial 0 is no longer on it" in text


def test_table_shows_each_student_beside_its_partner(tmp_path: Path) -> None:
    table = verified_table(usual(tmp_path))
    roles = [(row[0], row[2], row[3]) for row in table.rows]
    assert roles == [
        ("0", "on the front", "labels only"),
        ("0", "partner", "kd (distilled)"),
        ("1", "on the front", "kd (distilled)"),
        ("1", "partner", "labels only"),
    ]
    assert table.rows[0][4].startswith("96.00 % (93.5")  # 0.96 -+ 4.303 * 0.01 / sqrt(3)
    assert table.rows[0][5] == "97.00 %"  # as the search saw it
    assert table.rows[1][5] == "-"
    assert {len(row) for row in table.rows} == {len(table.columns)}
