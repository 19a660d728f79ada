"""The runs of a reproduction's directory: those that are there, and how another one is trained and written."""

import time
from pathlib import Path
from typing import cast, final

import torch
from rich.console import Console
from torch import Tensor

from study.errors import StageFailedError
from trainables.checkpoints import load_state, save_state, save_weights
from trainables.hardware.device import device_name
from trainables.hinton2015 import Experiment, Hinton2015Recipe, fingerprints, plan
from trainables.hinton2015_results import ExperimentResult
from trainables.hinton2015_runs import (
    DEVICE,
    Images,
    SoftTargets,
    best_shift,
    count_errors,
    errors_at,
    soft_targets,
    start,
)
from trainables.models import num_parameters
from trainables.resumption import ResumableTraining
from trainables.teacher_outputs import Split
from trainables.training import DistillationRun, TrainingDivergedError
from trainables.verification import versions
from trainables.whole_files import read_record, write_record


@final
class Runs:
    """The runs of one directory. A result is written last: where it stands, weights and soft targets are whole."""

    def __init__(self, recipe: Hinton2015Recipe, directory: Path, images: Images, console: Console) -> None:
        self._recipe = recipe
        self._directory = directory
        self._images = images
        self._console = console
        self._versions = versions()
        self._last_read: tuple[Path, SoftTargets] | None = None

    def stored(self, experiment: Experiment) -> ExperimentResult | None:
        """The result that is there.

        Raises:
            ValueError: it cannot be read, or is of other settings or versions.
        """
        path = self._path(experiment, "json")
        result = read_record(path, ExperimentResult)
        if result is not None and result.fingerprint != self._fingerprint(experiment):
            raise ValueError(
                f"{path}: is of other settings or versions ({_in_words(result.versions)}): "
                "choose another --dir, or delete it and what was taught by it"
            )
        return result

    def run(self, experiment: Experiment) -> ExperimentResult:
        """Train it, from its last whole epoch where there is one, and write what came of it.

        Raises:
            StageFailedError: its training diverged.
        """
        began = time.perf_counter()
        state = self._path(experiment, "state.pt")
        training = ResumableTraining(self._start(experiment), state, self._fingerprint(experiment))
        where = f"seed {experiment.seed}, {experiment.key}"
        try:
            with self._console.status(where) as status:
                for trained, _ in training.epochs():
                    epochs = experiment.student.training.epochs
                    status.update(f"{where}: epoch {trained.epoch:g} of {epochs}, loss {trained.train_loss:.4f}")
            result = self._result(experiment, training)
        except TrainingDivergedError as error:
            raise StageFailedError(f"{where}: {error}") from error
        weights = {name: tensor.cpu() for name, tensor in training.run.model.state_dict().items()}
        save_weights(self._path(experiment, "safetensors"), weights, metadata={"run": result.fingerprint})
        if any(each.taught_by == experiment.key for each in plan(self._recipe, experiment.seed)):
            targets = soft_targets(training.run)
            tensors = {"train": targets.train_NC, "validation": targets.validation_NC}
            save_state(self._path(experiment, "soft.pt"), tensors)
        write_record(self._path(experiment, "json"), result)
        state.unlink(missing_ok=True)
        seconds = time.perf_counter() - began
        self._console.print(f"{where}: {_errors_in_words(result)}, {seconds:.0f} s", soft_wrap=True)
        return result

    def _start(self, experiment: Experiment) -> DistillationRun:
        teacher = None
        if experiment.taught_by is not None:
            teacher = self._soft_targets(self._other(experiment, experiment.taught_by))
        return start(experiment, self._images, teacher)

    def _result(self, experiment: Experiment, training: ResumableTraining) -> ExperimentResult:
        run, classes = training.run, experiment.shifted_classes
        measured: dict[str, object] = {}
        if experiment.is_twin:
            logits_NC = run.all_logits(Split.VALIDATION)
            labels_N = self._images.for_training(experiment).images[Split.VALIDATION].labels_N
            measured["on_validation"] = count_errors(logits_NC, labels_N)
            if classes:
                measured["on_validation_shifted"] = best_shift(logits_NC, labels_N, classes)
        else:
            test = self._images.test_images()
            logits_NC = run.logits_of(test)
            measured["on_test"] = count_errors(logits_NC, test.labels_N)
            if experiment.shift_chosen_by is not None:
                shift = self._chosen_shift(self._other(experiment, experiment.shift_chosen_by))
                measured["on_test_shifted"] = errors_at(logits_NC, test.labels_N, classes, shift)
                measured["on_test_shifted_by_itself"] = best_shift(logits_NC, test.labels_N, classes)
        return ExperimentResult.model_validate(
            measured
            | {
                "experiment": experiment,
                "fingerprint": self._fingerprint(experiment),
                "num_parameters": num_parameters(run.model),
                "num_images_shown": self._images.num_shown(experiment),
                "train_seconds": training.seconds,
                "num_threads": torch.get_num_threads(),
                "device": device_name(DEVICE),
                "versions": self._versions,
            }
        )

    def _chosen_shift(self, twin: Experiment) -> float:
        result = self.stored(twin)
        if result is None or result.on_validation_shifted is None:
            raise ValueError(f"{self._path(twin, 'json')}: is gone, or chose no shift; the same command makes it again")
        return result.on_validation_shifted.shift

    def _soft_targets(self, teacher: Experiment) -> SoftTargets:
        path = self._path(teacher, "soft.pt")
        if self._last_read is None or self._last_read[0] != path:
            try:
                state = load_state(path)
            except (ValueError, OSError) as error:
                result = self._path(teacher, "json")
                raise ValueError(f"{path}: cannot be read: delete {result} too, and it is trained again") from error
            tensors = [cast("Tensor", state[name]) for name in ("train", "validation")]
            self._last_read = path, SoftTargets(*tensors)
        return self._last_read[1]

    def _other(self, experiment: Experiment, key: str) -> Experiment:
        return next(each for each in plan(self._recipe, experiment.seed) if each.key == key)

    def _fingerprint(self, experiment: Experiment) -> str:
        return fingerprints(plan(self._recipe, experiment.seed), self._recipe, self._versions)[experiment.key]

    def _path(self, experiment: Experiment, suffix: str) -> Path:
        return self._directory / f"seed-{experiment.seed}" / f"{experiment.key}.{suffix}"


def _errors_in_words(result: ExperimentResult) -> str:
    parts = []
    for images, errors in (("validation", result.on_validation), ("test", result.on_test)):
        if errors is not None:
            parts.append(f"{errors.num_wrong} of {errors.num_images:,} {images} images wrong")
    moved = [each for each in (result.on_validation_shifted, result.on_test_shifted) if each is not None]
    parts += [f"{each.errors.num_wrong} with the biases moved by {each.shift:+g}" for each in moved]
    return ", ".join(parts)


def _in_words(named: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in named.items())
