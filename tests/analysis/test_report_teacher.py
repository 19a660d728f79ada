"""What is said of who teaches: the teacher alone, or the chain down to the students."""

from pathlib import Path

from analysis.report import write_report
from analysis.report_teacher import taught_by
from analysis.results import StudyResults, read_study
from tests.analysis.study_directory import MadeTrial, study_config, teacher_record, write_study
from tests.verifications import verify_front
from trainables.config import LossConfig, ModelConfig
from trainables.study_paths import StudyPaths
from trainables.whole_files import write_record

TRIALS = (MadeTrial(width=2), MadeTrial(width=2, method="kd", temperature=4.0, alpha=0.9, accuracy=0.98))


def study(root: Path, *, num_assistants: int, num_trained: int) -> StudyResults:
    write_study(root, TRIALS, config=study_config() | {"assistants": [{}] * num_assistants})
    for place in range(1, num_trained + 1):
        changed = {
            "model": ModelConfig(name="cnn", options={"width": 16 // place}),
            "loss": LossConfig(name="kd", options={"temperature": 2.0}),
            "validation_accuracy": 0.99 - 0.005 * place,
        }
        write_record(StudyPaths(root).in_chain(place).record, teacher_record().model_copy(update=changed))
    return read_study(root)


def test_teacher_alone_is_the_students_teacher(tmp_path: Path) -> None:
    results = study(tmp_path, num_assistants=0, num_trained=0)
    assert results.students_teacher == results.teacher == teacher_record()
    assert taught_by(results) == ["The teacher is cnn(width=32), trained on the labels for 6 epochs in 4 min."]


def test_teacher_that_was_brought_may_have_seen_the_validation_images(tmp_path: Path) -> None:
    write_study(tmp_path, TRIALS)
    record = teacher_record().model_copy(update={"source": "resnet.pth (SHA-256 0123456789ab...)", "epochs": 0})
    write_record(StudyPaths(tmp_path).teacher.record, record)
    (said,) = taught_by(read_study(tmp_path))
    assert said.startswith("The teacher is cnn(width=32), trained elsewhere and brought: resnet.pth (SHA-256 01")
    assert "may have learned from images that are validation images here" in said


def test_chain_is_told_from_the_top_with_what_each_is_worth(tmp_path: Path) -> None:
    results = study(tmp_path, num_assistants=2, num_trained=2)
    _, chain, agreement = taught_by(results)
    assert chain == (
        "Between it and the students stand assistants: cnn(width=32) (99.30 % on validation), which teaches "
        "cnn(width=16) (by kd(temperature=2.0), 98.50 %), which teaches cnn(width=8) (by kd(temperature=2.0), 98.00 %)."
    )
    assert agreement == "The last one is the students' teacher, and agreement is with it."
    assert results.students_teacher is not None
    assert results.students_teacher.model.key == "cnn(width=8)"


def test_students_have_no_teacher_until_the_chain_is_whole(tmp_path: Path) -> None:
    results = study(tmp_path, num_assistants=2, num_trained=1)
    assert results.students_teacher is None
    assert len(results.assistants) == 1


def test_verification_says_that_it_is_the_assistant_whom_it_read(tmp_path: Path) -> None:
    study(tmp_path, num_assistants=1, num_trained=1)
    page = write_report(verify_front(tmp_path), images=False).read_text("utf-8")
    assert "where the last assistant reaches 99.30 %" in page
    assert "Between it and the students stands an assistant" in page
