"""How the numbers came to be: what the report says about devices, drift and dates."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from analysis.report_measured import measured
from analysis.report_tables import measured_table
from analysis.results import StudyResults, read_study
from tests.analysis.study_directory import MadeTrial, write_study
from tests.verifications import verification
from trainables.records import OutputsRecord
from trainables.study_paths import StudyPaths
from trainables.verified import Role
from trainables.whole_files import write_record


def test_measuring_is_told_with_device_runs_and_what_is_unknown(realistic_study: Path) -> None:
    text = " ".join(measured(read_study(realistic_study)))
    assert "Example CPU (cpu, 1 thread, float32), 70 GFLOP/s" in text
    assert "batch 1, 8 and 64" in text
    assert "700 runs" in text
    assert "at most 0.8 %" in text
    assert "2 measurements of 18 did not settle" in text
    assert "GPU utilisation is unknown" in text
    assert "Energy is unknown" in text


def test_measuring_on_a_gpu_does_not_speak_of_a_missing_one(tmp_path: Path) -> None:
    text = " ".join(measured(read_study(write_study(tmp_path, [MadeTrial()], has_gpu=True))))
    assert "Example GPU (cuda" in text
    assert "no GPU" not in text


def energy_words(folder: Path, *told: tuple[float | None, float | None, float | None]) -> str:
    """Of trials with these joules of the board, of their own, and of nobody."""
    names = ("shared_board_energy_joules", "shared_energy_joules", "shared_energy_residual_joules")
    trials = [MadeTrial(metrics=dict(zip(names, each, strict=True))) for each in told]
    return " ".join(each for each in measured(read_study(write_study(folder, trials, has_gpu=True))) if "board" in each)


def test_energy_of_trials_beside_each_other_is_told_as_a_model_with_what_is_nobody_s(tmp_path: Path) -> None:
    text = energy_words(tmp_path, (1_000.0, 200.0, 400.0), (500.0, 100.0, 300.0), (None, None, None))
    assert "shared out by a model" in text
    assert "In the last epochs of these trials 40 to 60 % were nobody's." in text
    assert "unknown" not in text


def test_energy_that_could_not_be_split_for_all_trials_is_counted_with_the_reasons(tmp_path: Path) -> None:
    text = energy_words(tmp_path, (1_000.0, None, 400.0), (500.0, 100.0, 200.0), (500.0, None, None))
    assert "40 % were nobody's" in text
    assert "Of 3 trials with a known energy of the board, 1 have one of their own" in text


def test_a_board_that_drew_nothing_has_no_share_to_tell(tmp_path: Path) -> None:
    assert "%" not in energy_words(tmp_path, (0.0, None, 0.0))


def test_a_study_without_the_energy_of_a_board_says_nothing_of_it(realistic_study: Path, tmp_path: Path) -> None:
    assert "nobody" not in " ".join(measured(read_study(realistic_study)))
    assert energy_words(tmp_path, (None, None, None)) == ""


def test_unmeasured_study_says_so(tmp_path: Path) -> None:
    text = " ".join(measured(read_study(write_study(tmp_path, [MadeTrial()], profiles=False))))
    assert "have not been measured yet" in text


def test_drift_is_explained_with_the_wall_time_it_was_taken_from(realistic_study: Path) -> None:
    text = " ".join(measured(read_study(realistic_study)))
    assert "reference network runs at its undisturbed speed" in text
    assert "wall time as observed is p50 x (1 + drift)" in text


def test_profile_older_than_the_study_is_called_kept(tmp_path: Path) -> None:
    """The fixture measures in the moment in which the study is created."""
    results = read_study(write_study(tmp_path, [MadeTrial(width=2), MadeTrial(width=8)]))
    rows = [(name, "2025-05-05 12:00 UTC", "this study") for name in ("width 2", "width 8", "teacher")]
    assert list(measured_table(results).rows) == rows
    later = results.record.model_copy(update={"created_at": results.record.created_at + timedelta(seconds=1)})
    assert {row[2] for row in measured_table(replace(results, record=later)).rows} == {"an earlier study, kept"}


def words_of(results: StudyResults) -> str:
    (text,) = (each for each in measured(results) if "reference point" in each)
    return text


# On the front: 0.9 at 1 ms and 0.98 at 2 ms. Beaten: 0.8 at 3 ms.
THREE = [
    MadeTrial(width=width, accuracy=a, latency_ms=ms) for width, a, ms in ((1, 0.9, 1.0), (2, 0.98, 2.0), (4, 0.8, 3.0))
]


def test_reference_point_is_told_with_what_another_would_give(tmp_path: Path) -> None:
    """From (0.782, 3.2) a box of 0.198 x 2.2; from the front's own (0.892, 2.1) one of 0.088 x 1.1."""
    text = words_of(read_study(write_study(tmp_path, [*THREE, MadeTrial(state="pruned", accuracy=0.1)])))
    assert "measured from 78.20 % validation accuracy and 3.2 ms p50 latency at batch 1, the reference point" in text
    assert "the worst value of each objective among the 3 finished trials, moved outward by 10 % of its range" in text
    assert "The front does not depend on it" in text
    first = (0.118 * 2.2 + 0.08 * 1.2) / (0.198 * 2.2)
    second = (0.008 * 1.1 + 0.08 * 0.1) / (0.088 * 1.1)
    assert f"it is {100 * first:.1f} % of the box" in text
    assert f"would be {100 * second:.1f} % from the worst values on the front" in text
    assert "(89.20 % validation accuracy and 2.1 ms p50 latency at batch 1)" in text


def test_stored_reference_point_is_told_beside_both_others(tmp_path: Path) -> None:
    results = replace(read_study(write_study(tmp_path, THREE)), stored_reference=(0.5, 5.0))
    text = words_of(results)
    assert "measured from 50.00 % validation accuracy and 5 ms p50 latency at batch 1" in text
    assert "it was stored with the study" in text
    assert "from that of the finished trials (78.20 % validation accuracy" in text
    assert "from the worst values on the front" in text


def test_study_without_finished_trials_has_no_reference_point_to_tell(tmp_path: Path) -> None:
    results = read_study(write_study(tmp_path, [MadeTrial(state="running")]))
    assert "reference point" not in " ".join(measured(results))


def words_on_outputs(folder: Path, outputs: OutputsRecord | None, asked: str = "auto") -> str:
    results = read_study(write_study(folder, [MadeTrial()], config={"teacher": {"outputs": asked}}))
    if outputs is not None:
        write_record(StudyPaths(folder).teacher.outputs, outputs)
        results = read_study(folder)
    return " ".join(each for each in measured(results) if "augmented views" in each)


def test_stored_views_are_told_with_the_passes_that_they_took_the_place_of(tmp_path: Path) -> None:
    stored = OutputsRecord(num_views=240, num_bytes=240 * 45_000 * 100 * 4, replaced_passes=7_200.0, live_passes=0.0)
    text = words_on_outputs(tmp_path, stored)
    assert "stored before the search, for 240 views of every training image (4.0 GiB)" in text
    assert "30 times fewer passes of the teacher over the images than beside each of them" in text
    assert "but for rounding" in text
    assert "run beside" not in text
    assert "Verification" not in text  # there has been none


def test_live_teacher_is_told_too_alone_or_beside_what_is_stored(tmp_path: Path) -> None:
    live = OutputsRecord(num_views=0, num_bytes=0, replaced_passes=0.0, live_passes=9.0)
    told = "The teacher was run beside the students of the search that learn from its logits on augmented views."
    assert words_on_outputs(tmp_path / "live", live) == told
    both = OutputsRecord(num_views=3, num_bytes=99, replaced_passes=9.0, live_passes=9.0)
    assert "run beside the other students of the search" in words_on_outputs(tmp_path / "both", both)


def test_study_that_asked_nothing_of_augmented_views_says_nothing_of_them(tmp_path: Path) -> None:
    assert words_on_outputs(tmp_path, None) == ""


@pytest.mark.parametrize(
    ("asked", "how"), [("auto", "there the teacher was run beside"), ("stored", "there they were stored for each seed")]
)
def test_verification_s_fresh_views_are_told_of(asked: str, how: str, tmp_path: Path) -> None:
    stored = OutputsRecord(num_views=2, num_bytes=99, replaced_passes=9.0, live_passes=0.0)
    words_on_outputs(tmp_path, stored, asked)
    write_record(
        StudyPaths(tmp_path).verification_json, verification({(0, Role.STUDENT): (MadeTrial().student, (0.9,))})
    )
    assert how in " ".join(measured(read_study(tmp_path)))
