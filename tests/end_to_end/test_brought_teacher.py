"""A study under a teacher that another study trained, brought as a file."""

from pathlib import Path

from analysis.results import read_study
from tests.end_to_end.conftest import SMALL, FinishedStudy, overrides, run
from trainables.records import TrialState
from trainables.study_paths import StudyPaths


def test_study_under_a_brought_teacher_is_one_under_the_same_teacher(tmp_path: Path, finished: FinishedStudy) -> None:
    """It is not trained, and stands for the same outputs; its file may go once the study has it."""
    weights = tmp_path / "teacher.safetensors"
    weights.write_bytes(StudyPaths(finished.directory).teacher.weights.read_bytes())
    teacher = f'teacher={{model={{name="cnn", options={{width=8}}}}, weights="{weights}"}}'
    others = [each for each in SMALL if not each.startswith("teacher.")]
    fields = [*others, teacher, "verify.max_students=1", "verify.seeds=1"]
    result = run("run", "smoke", "--dir", str(tmp_path / "study"), *overrides(fields))
    assert result.returncode == 0, result.stderr
    assert f"brought from {weights} (SHA-256 " in result.stdout
    theirs, ours = read_study(finished.directory), read_study(tmp_path / "study")
    assert ours.teacher is not None
    assert theirs.teacher is not None
    assert ours.teacher.validation_accuracy == theirs.teacher.validation_accuracy
    assert [trial.state for trial in ours.trials] == [TrialState.COMPLETE] * 6
    assert ours.profiles is not None
    assert ours.profiles.teacher.trainings == ()
    assert ours.verification is not None
    assert "trained elsewhere and brought" in StudyPaths(tmp_path / "study").report_html.read_text("utf-8")
    weights.unlink()
    again = run("resume", str(tmp_path / "study"))
    assert again.returncode == 0, again.stderr
