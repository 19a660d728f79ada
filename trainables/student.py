"""One trial as Ray Tune sees it: a student that trains a step at a time, in a process used again and again."""

import math
import time
from pathlib import Path
from typing import Any, cast

import torch
from ray import tune

from trainables import logit_metrics
from trainables.config import TrialAssignment
from trainables.data.image_arrays import TrainingData
from trainables.hang_limit import ended_when_hanging
from trainables.hardware.device import select_device, take_share, telemetry_for
from trainables.hardware.gpu_share import memory_share, why_failed
from trainables.hardware.telemetry import Sampler
from trainables.hardware.training_speed import shared_mfu_fraction
from trainables.kept_state import KeptState
from trainables.own_metrics import on_validation
from trainables.patience import Patience
from trainables.run_start import student_run
from trainables.shared_objects import shared
from trainables.teacher_outputs import Split, Teacher, TeacherArrays
from trainables.training import DeviceData, DistillationRun, TrainingDivergedError

Report = dict[str, Any]


class StudentTrial(tune.Trainable):
    """Trains the students it is given, one after the other; images and teacher outputs stay on its device.

    What would fail again (a loss that is not finite, too little memory, a wrong option) is reported as `failure`; all
    else ends the process, a step that hangs too, and the search starts the trial again from its checkpoint.
    """

    _data: DeviceData | None  # once a process
    _run: DistillationRun | None
    _reports: list[Report]
    _untold: list[Report]  # results of earlier epochs that the driver may not have stored

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the first student, with the images and the teacher of all."""
        self.begin_with(config, *shared(config["inputs"]))

    def begin_with(self, config: dict[str, Any], data: TrainingData, teacher: TeacherArrays) -> None:
        """Begin the first student; its first step takes the data to the device, which may be too small for them."""
        with ended_when_hanging(config["max_step_s"]):
            self._device = select_device() if config["gpus"] > 0 else torch.device("cpu")
            self._telemetry = telemetry_for(self._device)
        self._given = data
        self._data = None
        self._teacher = Teacher(teacher, self._device, input_shape=data.input_shape, num_classes=data.num_classes)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another student in the same process."""
        self._begin(new_config)
        return True

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """The share of a device that the assignment names."""
        return tune.PlacementGroupFactory([{"CPU": config["cpus"], "GPU": config["gpus"]}])

    def step(self) -> Report:
        """Train until the next report is due, and measure; after the last epoch, leave the weights."""
        if self._untold:
            return self._untold.pop(0)
        try:
            with ended_when_hanging(self._assignment.max_step_s):
                if self._run is None:
                    self._run = self._resumed_run()
                run = self._run
                if self._untold:
                    return self._untold.pop(0)
                report = self._epoch(run)
        except (TrainingDivergedError, torch.OutOfMemoryError, ValueError) as error:
            return self._report({"epoch": None}, failure=self._why(error))
        self._reports.append(report)
        self._patience.run(lambda: self._keep(run))  # under no limit: a store that is away is no trial's fault
        return report

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to add: each epoch ends with the trial's own checkpoint, written whole, in the study directory."""

    def load_checkpoint(self, checkpoint: object) -> None:
        """See `save_checkpoint`; the first step reads the trial's own checkpoint."""

    def cleanup(self) -> None:
        """Let go of the student."""
        self._run = None

    def __repr__(self) -> str:
        student = self._assignment.student
        return f"Student {self._assignment.number}: {student.model.key} {student.loss.name}"

    def _begin(self, config: dict[str, Any]) -> None:
        self._assignment = TrialAssignment.model_validate(config)
        self._run = None
        self._reports = []
        self._untold = []
        assigned = self._assignment
        self._kept = KeptState(Path(assigned.checkpoint), Path(assigned.weights))
        self._patience = Patience(f"the state of trial {assigned.number}", assigned.patience_s)
        take_share(self._device, cpus=assigned.cpus, gpus=assigned.gpus, context_mib=assigned.context_mib)

    def _keep(self, run: DistillationRun) -> None:
        """Leave the state after an epoch on the store; after the last one the weights, and these first."""
        self._kept.check(len(self._reports))
        if run.is_finished:
            weights = {name: tensor.cpu() for name, tensor in run.model.state_dict().items()}
            self._kept.save_weights(weights, {"trial": str(self._assignment.number)})
        self._kept.save(run.state_dict(), self._reports)

    def _why(self, error: Exception) -> str:
        """What became of the student, so that it is read without this process's log."""
        return why_failed(error, memory_share(self._device, self._assignment.gpus, self._assignment.context_mib))

    def _resumed_run(self) -> DistillationRun:
        metrics = [logit_metrics.build(each) for each in self._assignment.metrics]
        assigned = self._assignment
        if self._data is None:
            self._data = DeviceData(self._given, self._device)
        run = student_run(assigned.student, self._data, self._teacher, metrics, assigned.execution)
        state = self._kept.load(self._device)
        if state is not None:
            run.load_state_dict(cast("dict[str, object]", state["run"]))
            self._reports = cast("list[Report]", state["reports"])
            # The driver may have died before it stored the newest epochs: they are told again, not trained again.
            num_told = self._assignment.num_stored_reports
            if run.is_finished:  # the last report is told in any case: it ends the trial
                num_told = min(num_told, len(self._reports) - 1)
            self._untold = self._reports[num_told:]
        return run

    def _next_report(self) -> float:
        """The first moment to report, in epochs, that comes after the last report."""
        reached = self._reports[-1]["epoch"] if self._reports else 0.0
        return min([math.floor(reached) + 1.0, *(each for each in self._assignment.report_at if each > reached)])

    def _epoch(self, run: DistillationRun) -> Report:
        assigned, started = self._assignment, time.perf_counter()
        with Sampler(self._telemetry, num_threads=torch.get_num_threads(), idle_watts=assigned.idle_watts) as sampler:
            trained = run.run_until(self._next_report())
            trained_at = time.perf_counter()
            evaluated = run.evaluate(Split.VALIDATION)
        return self._report(
            {
                "epoch": trained.epoch,
                "train_loss": trained.train_loss,
                "num_method_parameters": float(run.num_method_parameters),
                "validation_accuracy": evaluated.accuracy,
                "validation_nll": evaluated.nll,
                "validation_agreement": evaluated.agreement,
                **{on_validation(name): value for name, value in evaluated.own.items()},
                "train_seconds": trained_at - started,
                "evaluation_seconds": time.perf_counter() - trained_at,
                "shared_train_mfu_fraction": shared_mfu_fraction(
                    assigned.isolated, num_images=trained.num_images, seconds=trained_at - started
                ),
                **sampler.averages(),
            },
            finished=run.is_finished,
        )

    def _report(self, metrics: Report, *, finished: bool = False, failure: str | None = None) -> Report:
        """A result that holds every metric, objectives that training does not touch among them."""
        return {
            **self._assignment.isolated,
            **metrics,
            "number": self._assignment.number,
            "finished": finished,
            "failure": failure,
            "device": str(self._device),
            "done": finished or failure is not None,
        }
