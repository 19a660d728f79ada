"""Measures what went from a study's teacher to its students, on validation images, and writes it into the study."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from torch import nn

from analysis.report import write_report
from analysis.results import StudyResults, read_study
from analysis.transfer_findings import transfer_table
from analysis.transfer_networks import (
    Observed,
    Sample,
    observe,
    sample_of,
    student_measures,
    teacher_measures,
    teacher_pairs,
)
from analysis.transfer_records import StudentTransfer, TeacherTransfer, TransferRecord
from analysis.transfer_students import AnalysedStudent, analysed_students
from trainables import data as datasets
from trainables import models
from trainables.checkpoints import load_weights
from trainables.config import DatasetConfig, ModelConfig
from trainables.data.split import split
from trainables.registry import make_importable
from trainables.study_paths import StudyPaths
from trainables.whole_files import replacing, write_record

_ACCURACY_TOLERANCE = 0.01


def analyse(results: StudyResults, paths: StudyPaths, progress: Callable[[str], None]) -> TransferRecord:
    """Compare every student that has weights with the teacher.

    Verified students and partners of each seed where there are some, else the finished students of the search.

    Raises:
        ValueError: there is no teacher, no student, or the dataset is not the one that the study saw.
    """
    started = time.perf_counter()
    taught_by, theirs_at = results.students_teacher, paths.in_chain(len(results.assistants))
    if taught_by is None:
        raise ValueError(f"{paths.root}: there is no trained teacher yet to compare students with")
    chosen = analysed_students(results, paths)
    if not chosen:
        raise ValueError(f"{paths.root}: there is no trained student yet: none was verified, none finished the search")
    make_importable(results.record.import_folder)
    config = DatasetConfig.model_validate(results.record.config.get("dataset", {}))
    sample = sample_of(split(datasets.load(config), config))
    teacher = observe(_network(taught_by.model, theirs_at.weights, sample), sample)
    theirs = TeacherTransfer(model=taught_by.model, **teacher_measures(teacher, sample))
    _check_accuracy(theirs.accuracy, taught_by.validation_accuracy, theirs_at.weights)
    students, left_out = [], []
    for number, student in enumerate(chosen, start=1):
        progress(f"{number} of {len(chosen)}: {student.weights}")
        try:
            students.append(_analyse_student(student, teacher, sample, paths))
        except ValueError as error:
            left_out.append(f"{student.weights}: {error}")
    if not students:
        raise ValueError(f"{paths.root}: no student could be analysed: {left_out[0]}")
    return TransferRecord(
        created_at=datetime.now(UTC),
        num_images=len(sample.images),
        num_layer_images=len(sample.layer_indices_M),
        num_boundary_images=len(sample.boundary_indices),
        teacher=theirs,
        students=tuple(students),
        left_out=tuple(left_out),
        seconds=time.perf_counter() - started,
    )


def write_transfer(study_dir: Path, *, images: bool, progress: Callable[[str], None]) -> Path:
    """Analyse a study, write `transfer.json` and `transfer.csv` into it, and renew its report.

    Args:
        study_dir: the study's directory.
        images: whether to draw the PNG files too.
        progress: is told what is being done, line by line.

    Returns:
        Path of the report.

    Raises:
        ValueError: the directory holds no study, or one without teacher or students.
    """
    paths = StudyPaths(study_dir)
    record = analyse(read_study(study_dir), paths, progress)
    with replacing(paths.transfer_csv) as temporary:
        transfer_table(record).to_csv(temporary, index=False)
    write_record(paths.transfer_json, record)
    return write_report(study_dir, images=images)


def _analyse_student(student: AnalysedStudent, teacher: Observed, sample: Sample, paths: StudyPaths) -> StudentTransfer:
    network = _network(student.student.model, paths.root / student.weights, sample)
    observed = observe(network, sample, teacher_pairs(teacher, sample))
    return StudentTransfer(**dict(student), **student_measures(observed, teacher, sample))


def _network(model: ModelConfig, weights: Path, sample: Sample) -> nn.Module:
    network = models.build(model.without_weights, input_shape=sample.input_shape, num_classes=sample.num_classes)
    try:
        network.load_state_dict(load_weights(weights))
    except RuntimeError as error:
        raise ValueError(f"{weights}: its weights do not fit {model.key}") from error
    return network


def _check_accuracy(now: float, then: float, weights: Path) -> None:
    if abs(now - then) > _ACCURACY_TOLERANCE:
        raise ValueError(
            f"{weights}: the teacher reaches {100 * now:.2f} % on the validation images, where the study "
            f"recorded {100 * then:.2f} %: the dataset is not the one that the study saw"
        )
