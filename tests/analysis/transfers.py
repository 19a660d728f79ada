"""Transfer records made by hand, and studies with real weights that one can be computed from, for tests."""

import functools
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analysis.transfer_records import (
    BoundaryTransfer,
    ClassTransfer,
    LayerMatrix,
    Share,
    StudentTransfer,
    TeacherTransfer,
    TransferRecord,
)
from tests.analysis.study_directory import MadeTrial, study_config, write_study
from tests.verifications import on_test, verified_run
from trainables import data as datasets
from trainables import models
from trainables.checkpoints import save_weights
from trainables.config import DatasetConfig, ModelConfig, StudentConfig
from trainables.data.split import split
from trainables.data.views import DeviceImages
from trainables.records import TeacherRecord
from trainables.study_paths import StudyPaths
from trainables.verified import Role, VerificationRecord
from trainables.whole_files import write_record

NUM_IMAGES = 1_000
NUM_MISTAKES = 40
NUM_REAL_IMAGES = 100
DATASET = DatasetConfig(num_validation_images=NUM_REAL_IMAGES, max_train_images=10)
TEACHER_MODEL = ModelConfig(name="cnn", options={"width": 4})


def student_transfer(
    trial: int,
    student: StudentConfig,
    *,
    seed_index: int | None = 1,
    role: Role | None = Role.STUDENT,
    control: str | None = None,
    num_agreeing: int = 900,
    num_on_mistakes: int = 20,
    **changed: Any,
) -> StudentTransfer:
    """A student whose measures are those given; it is told apart by method, trial and seed."""
    layers = LayerMatrix(student_layers=("a", "b"), teacher_layers=("b", "c"), values=((0.1, None), (0.9, 0.3)))
    fields: dict[str, Any] = {
        "weights": name_of(trial, role, seed_index),
        "trial": trial,
        "role": role,
        "seed_index": seed_index,
        "student": student,
        "control": control,
        "accuracy": 0.95,
        "nll_nats": 0.1,
        "ece": 0.01,
        "agreement": Share(num=num_agreeing, total=NUM_IMAGES),
        "agreement_on_mistakes": Share(num=num_on_mistakes, total=NUM_MISTAKES),
        "kl_t1_nats": 0.05,
        "kl_t4_nats": 0.04,
        "rank_correlation": 0.5,
        "cka": layers,
        "attention": layers,
        "boundary": BoundaryTransfer(num_reached=90, mean_distance=2.0, cosine=0.25),
        "classes": (
            ClassTransfer(label=0, num_images=600, accuracy=0.97, agreement=0.9, boundary_distance=1.5),
            ClassTransfer(label=1, num_images=400, accuracy=0.92, agreement=0.8, boundary_distance=None),
        ),
    }
    return StudentTransfer(**fields | changed)


def name_of(trial: int, role: Role | None, seed_index: int | None) -> str:
    return f"verify/{trial}-{role}-{seed_index}.safetensors"


def transfer_record(*students: StudentTransfer, **changed: Any) -> TransferRecord:
    teacher = TeacherTransfer(
        model=TEACHER_MODEL,
        accuracy=1.0 - NUM_MISTAKES / NUM_IMAGES,
        nll_nats=0.03,
        ece=0.004,
        num_mistakes=NUM_MISTAKES,
        boundary=BoundaryTransfer(num_reached=100, mean_distance=3.0, cosine=None),
        classes=(
            ClassTransfer(label=0, num_images=600, accuracy=0.99, agreement=None, boundary_distance=2.5),
            ClassTransfer(label=1, num_images=400, accuracy=0.98, agreement=None, boundary_distance=3.5),
        ),
    )
    fields: dict[str, Any] = {
        "created_at": datetime(2025, 5, 6, tzinfo=UTC),
        "num_images": NUM_IMAGES,
        "num_layer_images": 500,
        "num_boundary_images": 100,
        "teacher": teacher,
        "students": students,
        "seconds": 3.0,
    }
    return TransferRecord(**fields | changed)


def network(model: ModelConfig, seed: int) -> nn.Module:
    """A network with weights of its own, a function of the seed."""
    torch.manual_seed(seed)
    return models.build(model, input_shape=(1, 28, 28), num_classes=10).eval()


@functools.cache
def validation_images() -> DeviceImages:
    data = split(datasets.load(DATASET.name), DATASET)
    return DeviceImages(data.validation, mean_C=data.mean_C, std_C=data.std_C, device=torch.device("cpu"))


def trained_study(root: Path, trials: list[MadeTrial], seeds: Mapping[int, int], **changed: Any) -> Path:
    """A study of small real networks on real images.

    Args:
        root: where.
        trials: of the search.
        seeds: of the weights in `students/`, by trial; others have none.
        changed: fields of the teacher's record.
    """
    config = study_config() | {"dataset": DATASET.model_dump(mode="json")}
    write_study(root, trials, config=config, profiles=False)
    paths, images = StudyPaths(root), validation_images()
    teacher = network(TEACHER_MODEL, 0)
    save_weights(paths.teacher.weights, teacher.state_dict())
    with torch.inference_mode():
        right = teacher(images.normalized(torch.arange(len(images)))).argmax(dim=1) == images.labels_N
    fields: dict[str, Any] = {
        "model": TEACHER_MODEL,
        "num_parameters": 1,
        "validation_accuracy": float(right.double().mean()),
        "validation_nll": 2.3,
        "epochs": 1,
        "train_seconds": 1.0,
        "fingerprint": "f",
    }
    write_record(paths.teacher.record, TeacherRecord(**fields | changed))
    for number, seed in seeds.items():
        save_weights(paths.student_weights(number), network(trials[number].model, seed).state_dict())
    return root


def verify_with_weights(root: Path, sides: list[tuple[int, Role, StudentConfig]], *, num_seeds: int = 2) -> Path:
    """Verified runs of these sides, each with weights of its own and the seed's index as its training seed."""
    paths, runs = StudyPaths(root), []
    for number, role, student in sides:
        for index in range(1, num_seeds + 1):
            training = student.training.model_copy(update={"seed": index})
            run = verified_run(number, role, index, student.model_copy(update={"training": training}), 0.9)
            runs.append(run.model_copy(update={"fingerprint": f"{number}{role}{index}"}))
            weights = network(student.model, 100 * index + len(runs)).state_dict()
            save_weights(paths.verified_weights(runs[-1].fingerprint), weights)
    trials = tuple(dict.fromkeys(number for number, *_ in sides))
    record = VerificationRecord(trials=trials, num_seeds=num_seeds, teacher=on_test(0.9), runs=tuple(runs))
    write_record(paths.verification_json, record)
    return root
