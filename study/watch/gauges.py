"""The readings as Ray's own metrics, which the agent of the driver's node exports to Prometheus."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final

import ray
from ray.util.metrics import Gauge, Histogram

from study.cluster import TrialResources
from study.progress import Progress
from study.watch.readings import GAUGES, SPEED_BUCKETS, SPEEDS, ImagesPerEpoch, StudyView, images_per_second, readings
from trainables.config import StudentConfig
from trainables.metrics import Metric
from trainables.records import TrialRecord


class _Gauge(Protocol):
    def set(self, value: float, tags: dict[str, str]) -> None: ...


class _Histogram(Protocol):
    def observe(self, value: float, tags: dict[str, str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Instruments:
    """What the readings go to."""

    gauges: Mapping[str, _Gauge]
    speeds: _Histogram


def ray_instruments() -> Instruments:
    """Ray's own, each declared once."""
    gauges = {each.name: Gauge(each.name, each.help, each.tags) for each in GAUGES.values()}
    return Instruments(gauges, Histogram(SPEEDS.name, SPEEDS.help, list(SPEED_BUCKETS), SPEEDS.tags))


def session_folder() -> Path:
    """Where the connected cluster's head keeps what belongs to its session."""
    context = ray.get_runtime_context()
    return Path(context.get_temp_dir(), context.get_session_name())


@final
class Gauges:
    """Sets every gauge at each `beat`, and observes the speed of each epoch that is told.

    Ray exports a gauge once after it was set, and drops it from its endpoint two exports (20 s) later: that is how a
    slot that is free, or a stage that is over, goes, and why a beat must come in every export interval (10 s).
    """

    def __init__(
        self,
        progress: Progress,
        study: str,
        objectives: Sequence[Metric],
        resources: TrialResources,
        images_per_epoch: ImagesPerEpoch,
        instruments: Instruments,
    ) -> None:
        self._progress = progress
        self._study = study
        self._objectives = objectives
        self._resources = resources
        self._images_per_epoch = images_per_epoch
        self._instruments = instruments
        self._num_told: dict[int, int] = {}
        self._is_first = True

    def beat(self) -> None:
        """Set what is known now."""
        present: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        view = StudyView(
            study=self._study,
            status=self._progress.status(),
            trials=self._progress.trials,
            objectives=self._objectives,
            devices={name: present[name] for name in ("GPU", "CPU") if present.get(name)},
            held_by=self._held_by,
            images_per_epoch=self._images_per_epoch,
        )
        for reading in readings(view):
            self._instruments.gauges[reading.name].set(reading.value, dict(reading.tags))

    def tell(self, trials: Sequence[TrialRecord]) -> None:
        """Trials that have changed; those of an earlier launch, which come first, have been observed by it."""
        for trial in trials:
            begin = len(trial.epochs) if self._is_first else self._num_told.get(trial.number, 0)
            for place in range(begin, len(trial.epochs)):
                self._observe(trial, place)
            self._num_told[trial.number] = len(trial.epochs)
        self._is_first = False

    def _held_by(self, student: StudentConfig) -> dict[str, float]:
        gpu_share = self._progress.gpu_share or self._resources.share
        return {"GPU": gpu_share(student), "CPU": float(self._resources.cpus)}

    def _observe(self, trial: TrialRecord, place: int) -> None:
        speed = images_per_second(trial, place, self._images_per_epoch)
        if speed is not None and trial.student is not None:
            tags = {"study": self._study, "method": trial.student.loss.name}
            self._instruments.speeds.observe(speed, tags)
