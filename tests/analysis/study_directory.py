"""Builds study directories as the driver would leave them: records as JSON, trials in an Optuna journal."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from math import exp, log2
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from analysis.results import StudyResults
from tests.profiles import num_parameters, profile, training
from trainables.config import LossConfig, ModelConfig, OptimizerConfig, StudentConfig, TrainingConfig
from trainables.measurements import ProfilesRecord
from trainables.records import (
    BREAKS_ATTRIBUTE,
    DUPLICATE_ATTRIBUTE,
    FACTS_ATTRIBUTE,
    METRICS_ATTRIBUTE,
    OBJECTIVES_ATTRIBUTE,
    ORIGIN_ATTRIBUTE,
    PAUSED_ATTRIBUTE,
    REASON_ATTRIBUTE,
    SLOT_ATTRIBUTE,
    SPANS_ATTRIBUTE,
    STUDENT_ATTRIBUTE,
    RungDecision,
    StudyRecord,
    TeacherRecord,
    decision_attribute,
    epoch_attribute,
)
from trainables.study_paths import StudyPaths

OBJECTIVES = ("validation_accuracy", "latency_p50_ms_batch1")
WIDTHS = (1, 2, 4, 8, 16)
NUM_VALIDATION_IMAGES = 5_000
CREATED_AT = datetime(2025, 5, 5, 12, 0, tzinfo=UTC)
TEACHER_ACCURACY = 0.993

_DISTRIBUTIONS: dict[str, optuna.distributions.BaseDistribution] = {
    "width": CategoricalDistribution(WIDTHS),
    "method": CategoricalDistribution(("labels", "kd", "attention")),
    "temperature": FloatDistribution(1.0, 16.0, log=True),
    "alpha": FloatDistribution(0.0, 1.0),
    "learning_rate": FloatDistribution(5e-4, 2e-2, log=True),
    "batch_size": CategoricalDistribution((64, 128, 256)),
}


@dataclass(frozen=True)
class MadeTrial:
    """A trial to be stored. `objectives` are told to Optuna where the state is "complete"."""

    width: int = 4
    method: str = "labels"
    temperature: float | None = None
    alpha: float | None = None
    state: str = "complete"
    accuracy: float | None = 0.97
    latency_ms: float | None = 0.2
    num_epochs: int = 3
    duplicate_of: int | None = None
    reason: str | None = None
    slot: int | None = 0
    spans: Sequence[tuple[float, float | None]] = ()
    learning_rate: float = 2e-3
    batch_size: int = 128
    family: str = "cnn"
    origin: str | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    full_epochs: int = 3
    told_at: Sequence[float] | None = None
    """Epochs of its reports, whole or not; None: each of the first `num_epochs`."""
    seconds: tuple[float, float] | None = None
    """Of training for one epoch, and of one evaluation."""
    decisions: Sequence[RungDecision] = ()
    paused_at_epoch: float | None = None
    breaks: str | None = None

    @property
    def student(self) -> StudentConfig:
        options = {"temperature": self.temperature, "alpha": self.alpha}
        known: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        optimizer = OptimizerConfig(learning_rate=self.learning_rate)
        training = TrainingConfig(epochs=self.full_epochs, batch_size=self.batch_size, optimizer=optimizer)
        return StudentConfig(model=self.model, loss=LossConfig(name=self.method, options=known), training=training)

    @property
    def model(self) -> ModelConfig:
        return ModelConfig(name=self.family, options={"width": self.width})

    @property
    def parameters(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in _DISTRIBUTIONS}
        return {name: value for name, value in values.items() if value is not None}


def write_study(
    root: Path,
    trials: Sequence[MadeTrial],
    *,
    name: str = "demo",
    objectives: tuple[str, ...] = OBJECTIVES,
    teacher: bool = True,
    profiles: bool = True,
    has_gpu: bool = False,
    config: dict[str, Any] | None = None,
) -> Path:
    """Write a study directory of exactly these trials, numbered in their order, and return it."""
    paths = StudyPaths(root)
    paths.teacher.folder.mkdir(parents=True, exist_ok=True)
    record = StudyRecord(
        name=name,
        created_at=CREATED_AT,
        objectives=objectives,
        config=study_config(name, objectives) if config is None else config,
        fingerprint="0123456789abcdef",
        versions={"kd-study": "0.1.0", "torch": "2.14.0", "optuna": "5.0.0"},
    )
    paths.study_json.write_text(record.model_dump_json(), encoding="utf-8")
    if teacher:
        paths.teacher.record.write_text(teacher_record().model_dump_json(), encoding="utf-8")
    if profiles:
        paths.profiles_json.write_text(profiles_record(trials, has_gpu=has_gpu).model_dump_json(), encoding="utf-8")
    store_trials(JournalStorage(JournalFileBackend(str(paths.journal))), name, trials, objectives)
    return root


def study_config(name: str = "demo", objectives: Sequence[str] = OBJECTIVES) -> dict[str, Any]:
    return {
        "name": name,
        "objectives": list(objectives),
        "storage": None,
        "dataset": {"name": "mnist", "num_validation_images": NUM_VALIDATION_IMAGES},
        "space": {"name": "mnist_cnn", "options": {}},
        "search": {"num_trials": 32},
    }


def store_trials(
    storage: optuna.storages.BaseStorage | str, name: str, trials: Sequence[MadeTrial], objectives: Sequence[str]
) -> None:
    """Create the Optuna study `name` in `storage` and add the trials to it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions: list[Literal["minimize", "maximize"]] = [
        "maximize" if each in {"validation_accuracy", "train_images_per_s"} else "minimize" for each in objectives
    ]
    study = optuna.create_study(storage=storage, study_name=name, directions=directions)
    study.set_user_attr(OBJECTIVES_ATTRIBUTE, list(objectives))
    for trial in trials:
        study.add_trial(frozen_trial(trial, objectives))


def frozen_trial(made: MadeTrial, objectives: Sequence[str]) -> optuna.trial.FrozenTrial:
    parameters = made.parameters
    metrics = _metrics(made)
    values = [metrics[each] or 0.0 for each in objectives] if made.state == "complete" else None
    attributes: dict[str, Any] = {
        STUDENT_ATTRIBUTE: made.student.model_dump(mode="json"),
        ORIGIN_ATTRIBUTE: made.origin or ("baseline" if made.method == "labels" else "search"),
        SLOT_ATTRIBUTE: made.slot,
        SPANS_ATTRIBUTE: [list(span) for span in made.spans],
        FACTS_ATTRIBUTE: {"host": "node-1", "pid": "4711", "device": "Example CPU", "torch": "2.14.0"},
        DUPLICATE_ATTRIBUTE: made.duplicate_of,
        REASON_ATTRIBUTE: made.reason,
        PAUSED_ATTRIBUTE: made.paused_at_epoch,
        BREAKS_ATTRIBUTE: made.breaks,
    }
    if made.state == "complete":
        attributes[METRICS_ATTRIBUTE] = metrics
    told_at = range(1, made.num_epochs + 1) if made.told_at is None else made.told_at
    for before, epoch in pairwise((0.0, *told_at)):
        left = told_at[-1] - epoch if made.state == "complete" else made.full_epochs - epoch
        accuracy = None if made.accuracy is None else 1.0 - (1.0 - made.accuracy) * exp(0.6 * left)
        told = metrics | {"epoch": epoch, "validation_accuracy": accuracy}
        if made.seconds is not None:
            told |= {"train_seconds": made.seconds[0] * (epoch - before), "evaluation_seconds": made.seconds[1]}
        attributes[epoch_attribute(epoch)] = told
    attributes |= {decision_attribute(each.epoch): each.model_dump(mode="json") for each in made.decisions}
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState[made.state.upper()],
        params=parameters,
        distributions={each: _DISTRIBUTIONS[each] for each in parameters},
        values=values,
        user_attrs={key: value for key, value in attributes.items() if value is not None},
    )


def _metrics(made: MadeTrial) -> dict[str, float | None]:
    nll = None if made.accuracy is None else 3.2 * (1.0 - made.accuracy)
    return {
        "validation_accuracy": made.accuracy,
        "validation_nll": nll,
        "num_parameters": float(num_parameters(made.width)),
        "latency_p50_ms_batch1": made.latency_ms,
        "gpu_utilization_fraction": None,
        **made.metrics,
    }


def teacher_record() -> TeacherRecord:
    return TeacherRecord(
        model=ModelConfig(name="cnn", options={"width": 32}),
        num_parameters=num_parameters(32),
        validation_accuracy=TEACHER_ACCURACY,
        validation_nll=0.022,
        epochs=6,
        train_seconds=214.0,
        fingerprint="fedcba9876543210",
    )


def profiles_record(trials: Sequence[MadeTrial], *, has_gpu: bool = False) -> ProfilesRecord:
    """Profiles of the trials' models, at the latency of the first trial of each, and of the teacher."""
    students = {}
    for trial in trials:
        if trial.latency_ms is not None and trial.model.key not in students:
            students[trial.model.key] = profile(trial.model, trial.width, trial.latency_ms, has_gpu=has_gpu)
    teacher = profile(ModelConfig(name="cnn", options={"width": 32}), 32, 1.2, has_gpu=has_gpu)
    return ProfilesRecord(fingerprint="0011223344556677", teacher=teacher, students=students)


def with_latency(results: StudyResults, width: int, **changed: Any) -> StudyResults:
    """The same study, with all the latency measurements of the students of this width changed."""
    assert results.profiles is not None
    students = dict(results.profiles.students)
    key = ModelConfig(name="cnn", options={"width": width}).key
    latencies = tuple(each.model_copy(update=changed) for each in students[key].latencies)
    students[key] = students[key].model_copy(update={"latencies": latencies})
    return replace(results, profiles=results.profiles.model_copy(update={"students": students}))


def realistic_trials(num_trials: int = 32, *, seed: int = 7) -> list[MadeTrial]:
    """A search as it goes: a labels-only baseline for each width, then both methods; some stopped, failed, repeated."""
    random = np.random.default_rng(seed)
    made: list[MadeTrial] = []
    free_at = [CREATED_AT.timestamp() + 60.0] * 2
    for number in range(num_trials):
        width = WIDTHS[number] if number < len(WIDTHS) else int(random.choice(WIDTHS))
        is_kd = number >= len(WIDTHS) and bool(random.random() < 0.65)
        slot = int(np.argmin(free_at))
        start = free_at[slot] + 0.3 + (3_600.0 if number == 20 else 0.0)
        if number == 20:
            free_at = [start, start]
        state, num_epochs, reason = "complete", 3, None
        if number > len(WIDTHS) and number % 6 == 0:
            state, num_epochs, reason = "pruned", 1 + number % 2, "dominated at its rung"
        if number == 15:
            state, num_epochs, reason = "fail", 1, "training loss is not finite after epoch 2"
        if number >= num_trials - 2:
            state, num_epochs = "running", number % 2
        temperature = float(np.exp(random.uniform(0.0, np.log(16.0)))) if is_kd else None
        alpha = float(random.uniform(0.05, 0.98)) if is_kd else None
        seconds = num_epochs * (4.0 + 1.2 * width**0.7) * float(random.uniform(0.9, 1.2))
        end = None if state == "running" else start + seconds
        is_duplicate = number == 23
        made.append(
            MadeTrial(
                width=width,
                method="kd" if is_kd else "labels",
                temperature=temperature,
                alpha=alpha,
                state=state,
                accuracy=_plausible_accuracy(width, temperature, alpha, float(random.normal())),
                latency_ms=LATENCIES_MS[width],
                num_epochs=0 if is_duplicate else num_epochs,
                duplicate_of=3 if is_duplicate else None,
                reason=reason,
                slot=None if is_duplicate else slot,
                spans=() if is_duplicate else ((start, end),),
                learning_rate=float(np.exp(random.uniform(np.log(5e-4), np.log(2e-2)))),
                batch_size=int(random.choice([64, 128, 256])),
                metrics={"train_mfu_fraction": training(width, 128).mfu_fraction},
            )
        )
        if not is_duplicate:
            free_at[slot] = start + seconds
    return made


LATENCIES_MS = {1: 0.074, 2: 0.081, 4: 0.102, 8: 0.171, 16: 0.39}


def _plausible_accuracy(width: int, temperature: float | None, alpha: float | None, noise: float) -> float:
    error = {1: 0.066, 2: 0.034, 4: 0.022, 8: 0.0135, 16: 0.0098}[width]
    if temperature is not None and alpha is not None:
        error *= 1.0 - 0.45 * alpha * exp(-((log2(temperature) - 2.0) ** 2))
    return round((1.0 - error * (1.0 + 0.06 * noise)) * NUM_VALIDATION_IMAGES) / NUM_VALIDATION_IMAGES
