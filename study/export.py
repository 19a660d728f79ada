"""What `kd-study export` takes from a study: which weights of a trial, what their card says, and images to check on."""

import platform
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor

from analysis.results import StudyResults, read_study
from analysis.verified import Verified
from study.config import parse_config
from trainables import data as datasets
from trainables.data.image_arrays import TrainingData
from trainables.data.split import split
from trainables.data.views import DeviceImages
from trainables.export import ExportCard, export_student
from trainables.metrics import Source, is_metric, metric
from trainables.own_metrics import declared_name, metric_on_test
from trainables.records import TrialRecord
from trainables.registry import make_importable
from trainables.study_paths import StudyPaths
from trainables.verification import preprocessing_of
from trainables.verified import Role, VerifiedRun

NUM_CHECKED_IMAGES = 1_000


def export(directory: Path, trial_number: int, out: Path, *, role: Role = Role.STUDENT) -> ExportCard:
    """Write a trial's student into the folder `out` as safetensors, card and program.

    Of a verified trial it is the retraining with the highest validation accuracy (the test images choose nothing), so
    that the test accuracy of these very weights is known; of any other trial, the weights of the search.

    Args:
        directory: of the study.
        trial_number: of a trial that ran its full budget.
        out: a folder that is new or empty.
        role: whether to take the trial's own student, or the partner that it was verified beside.

    Returns:
        The card as written.

    Raises:
        ValueError: there is no such study, finished trial or verified partner, or `out` holds something.
    """
    results = read_study(directory)
    make_importable(results.record.import_folder)
    trial = _finished_trial(results, trial_number)
    dataset = parse_config(results.record.config, str(StudyPaths(directory).study_json)).dataset
    data = split(datasets.load(dataset), dataset)
    verified, paths = _best_retraining(results, trial_number, role), StudyPaths(directory)
    if verified is None and role is Role.PARTNER:
        raise ValueError(f"trial {trial_number} was not verified beside a partner: there is none to export")
    student = trial.student if verified is None else verified.student
    if student is None:
        raise ValueError(f"trial {trial_number} was never configured: there is nothing to export")
    weights = paths.student_weights(trial_number) if verified is None else paths.verified_weights(verified.fingerprint)
    card = ExportCard(
        study=results.record.name,
        trial=trial_number,
        weights_of=str(weights.relative_to(paths.root)),
        student=student,
        preprocessing=preprocessing_of(data),
        metrics=_metrics(results, trial, verified),
        versions={"python": platform.python_version()}
        | {name: metadata.version(name) for name in ("kd-study", "torch", "safetensors")},
        num_checked_images=0,
        largest_logit_difference=0.0,
    )
    return export_student(card, weights, _validation_images(data), out)


def _finished_trial(results: StudyResults, number: int) -> TrialRecord:
    trials = {trial.number: trial for trial in results.trials}
    trial = trials.get(number)
    if trial is not None and trial.duplicate_of is not None:
        raise ValueError(f"trial {number} repeats trial {trial.duplicate_of} and was not trained: export that one")
    if trial is None or not trial.may_stand_on_a_front:
        allowed = ", ".join(str(each.number) for each in results.trials if each.may_stand_on_a_front) or "none yet"
        state = "does not exist" if trial is None else f"is {trial.state.value}"
        raise ValueError(f"--trial {number} {state}: allowed are those that ran their full budget, {allowed}")
    return trial


def _best_retraining(results: StudyResults, number: int, role: Role) -> VerifiedRun | None:
    """By validation accuracy, never by the test images; None where the trial was not verified."""
    runs = () if results.verification is None else results.verification.runs
    roles = {Role.STUDENT, Role.BEST} if role is Role.STUDENT else {role}
    trained = [run for run in runs if run.trial == number and run.role in roles and run.on_test is not None]
    return max(trained, key=lambda run: (run.validation_accuracy or 0.0, -run.seed_index), default=None)


def _metrics(results: StudyResults, trial: TrialRecord, verified: VerifiedRun | None) -> dict[str, float | None]:
    """All that is known of these weights; over all seeds where they were verified, under names that say so."""
    if verified is None or verified.on_test is None:
        return trial.metrics
    isolated = {
        name: value
        for name, value in trial.metrics.items()
        if is_metric(name) and metric(name).source is Source.ISOLATED
    }
    own = {
        "validation_accuracy": verified.validation_accuracy,
        "test_accuracy": verified.on_test.accuracy,
        "test_nll": verified.on_test.nll,
        "test_agreement": verified.on_test.agreement,
        **{
            metric_on_test(each).name: verified.on_test.own.get(declared_name(each))
            for each in results.record.own_metrics
        },
    }
    runs = () if results.verification is None else results.verification.runs
    own_runs = tuple(run for run in runs if (run.trial, run.role) == (verified.trial, verified.role))
    estimate = Verified(trial, verified.role, own_runs).estimate()
    over_seeds: dict[str, float | None] = {}
    if estimate is not None:
        over_seeds = {
            "test_accuracy_mean_over_seeds": estimate.mean,
            "test_accuracy_low_over_seeds": estimate.low,
            "test_accuracy_high_over_seeds": estimate.high,
            "num_seeds": float(estimate.num_values),
        }
    return {**own, **over_seeds, **isolated}


def _validation_images(data: TrainingData) -> Tensor:
    images = DeviceImages(data.validation, mean_C=data.mean_C, std_C=data.std_C, device=torch.device("cpu"))
    return images.normalized(torch.arange(min(NUM_CHECKED_IMAGES, len(images)))).contiguous()
