"""What a study tells Prometheus: each number declared once, and read from the driver's view of the study. No Ray.

Nothing is tagged by trial: a study of 5,000 trials would leave Prometheus tens of thousands of series that end after
minutes, and Ray's agent, where nobody scrapes it, would keep them all. What differs by trial is tagged by *slot*, of
which there are as many as trials run at once, and `kd_study_slot_trial` says which trial holds it. Prometheus'
`count_values` turns that number into a label when it is asked: so `grafana.json` shows accuracy and loss by trial.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from analysis.hypervolume import hypervolume, study_reference
from analysis.pareto import candidates, values_of
from analysis.stopping import asked_students, epochs_left, epochs_trained
from trainables.config import StudentConfig, TransferConfig
from trainables.metrics import Metric, Source, metric
from trainables.records import StatusRecord, TrialRecord, TrialState

ImagesPerEpoch = Callable[[TransferConfig], int]

# 1, 2, 5, 10, ... images/s: from a large network on a busy core to a small one on a whole GPU.
SPEED_BUCKETS = tuple(float(step * 10**power) for power in range(6) for step in (1, 2, 5))


@dataclass(frozen=True, slots=True)
class Series:
    """A number that is told: Ray exports it as `ray_<name>`. `unit` is "" for a count."""

    name: str
    description: str
    unit: str
    tags: tuple[str, ...]

    @property
    def help(self) -> str:
        """Description and unit, as the metrics endpoint shows them."""
        return f"{self.description} ({self.unit})" if self.unit else self.description


@dataclass(frozen=True, slots=True)
class Reading:
    """A value of a `Series`, with one text for each of its tags."""

    name: str
    value: float
    tags: Mapping[str, str]


def _declare(*series: Series) -> dict[str, Series]:
    return {each.name: each for each in series}


STUDY, SLOT = ("study",), ("study", "slot")

GAUGES = _declare(
    Series("kd_study_stage", "1 for the stage that the study is at", "", (*STUDY, "stage")),
    Series("kd_study_trials", "trials by state, as `kd-study status` counts them", "", (*STUDY, "state")),
    Series("kd_study_target_trials", "trials that the study is to have", "", STUDY),
    Series("kd_study_front_students", "students on the front so far", "", STUDY),
    Series(
        "kd_study_hypervolume",
        "volume that the front dominates, from the worst value of each objective, moved outward by 10 % of its range",
        "product of the objectives' units",
        STUDY,
    ),
    Series(
        "kd_study_epochs", "epochs trained; saved by early stopping; lost to failures; still open", "", (*STUDY, "kind")
    ),
    Series("kd_study_seconds_left", "time until the search ends, at its pace so far", "s", STUDY),
    Series("kd_study_device_share_fraction", "share of the cluster's devices that trials hold", "", (*STUDY, "device")),
    Series("kd_study_slot_trial", "number of the trial that runs on the slot", "", SLOT),
    Series("kd_study_slot_epoch", "epochs that the slot's trial has been trained for", "", SLOT),
    Series("kd_study_slot_objective", "objectives of the slot's trial that training moves", "", (*SLOT, "objective")),
    Series("kd_study_slot_train_loss", "training loss of the slot's trial in its last epoch", "nats", SLOT),
    Series("kd_study_slot_images_per_second", "training speed of the slot's trial in its last epoch", "images/s", SLOT),
    Series(
        "kd_study_slot_utilization_fraction",
        "utilisation of its device beside its neighbours, as the slot's trial saw it",
        "",
        (*SLOT, "device"),
    ),
)
SPEEDS = Series("kd_study_epoch_images_per_second", "training speed of each epoch", "images/s", (*STUDY, "method"))


@dataclass(frozen=True, slots=True)
class StudyView:
    """What the driver knows of its study at one moment.

    Args:
        study: the study's directory, which is its own alone where a name may be given twice.
        status: of this moment.
        trials: all of them.
        objectives: of the study.
        devices: how many of "GPU" and "CPU" the cluster has, of those that it has.
        held_by: how much of each a student's trial holds.
        images_per_epoch: how many images an epoch shows of such a transfer set.
    """

    study: str
    status: StatusRecord
    trials: Sequence[TrialRecord]
    objectives: Sequence[Metric]
    devices: Mapping[str, float]
    held_by: Callable[[StudentConfig], Mapping[str, float]]
    images_per_epoch: ImagesPerEpoch


def readings(view: StudyView) -> list[Reading]:
    """Every gauge that has a value now; what is unknown is left out."""
    found = [*_of_study(view), *(each for trial in running(view) for each in _of_slot(view, trial))]
    return [Reading(name, value, {"study": view.study, **tags}) for name, value, tags in found if value is not None]


def running(view: StudyView) -> list[TrialRecord]:
    """The trials that hold a slot, one a slot: of two, as after a crash, the one that began later.

    What an earlier driver left running holds none until this one has begun it again.
    """
    launched = view.status.started_at.timestamp()
    holders: dict[int, TrialRecord] = {}
    for trial in sorted(filter(_is_at_work, view.trials), key=lambda each: each.spans[-1][0]):
        if trial.slot is not None and trial.spans[-1][0] >= launched:
            holders[trial.slot] = trial
    return [holders[slot] for slot in sorted(holders)]


def images_per_second(trial: TrialRecord, place: int, images_per_epoch: ImagesPerEpoch) -> float | None:
    """Training speed over the trial's `place`-th report, which may cover a part of an epoch; None: not known."""
    report = trial.epochs[place]
    reached, seconds = report.get("epoch"), report.get("train_seconds")
    before = (trial.epochs[place - 1].get("epoch") or 0.0) if place else 0.0
    if trial.student is None or reached is None or not seconds:
        return None
    return (reached - before) * images_per_epoch(trial.student.transfer) / seconds


_Found = tuple[str, float | None, dict[str, str]]


def _of_study(view: StudyView) -> Iterator[_Found]:
    status, asked = view.status, asked_students(view.trials)
    yield "kd_study_stage", 1.0, {"stage": status.stage}
    for state in (*(each.value for each in TrialState), "paused"):  # those that have gone to 0, too
        yield "kd_study_trials", float(status.num_trials.get(state, 0)), {"state": state}
    yield "kd_study_target_trials", float(status.num_target_trials), {}
    yield "kd_study_front_students", float(len(status.front)), {}
    yield "kd_study_hypervolume", _hypervolume(view), {}
    yield "kd_study_seconds_left", status.seconds_left, {}
    yield "kd_study_epochs", sum(map(epochs_trained, asked)), {"kind": "trained"}
    left = epochs_left(asked)
    for kind, state in (("saved", TrialState.PRUNED), ("failed", TrialState.FAILED), ("open", TrialState.RUNNING)):
        yield "kd_study_epochs", left[state], {"kind": kind}
    held = [view.held_by(trial.student) for trial in running(view) if trial.student is not None]
    for device, num_present in view.devices.items():
        share = sum(each[device] for each in held) / num_present
        yield "kd_study_device_share_fraction", share, {"device": device}


def _of_slot(view: StudyView, trial: TrialRecord) -> Iterator[_Found]:
    slot = {"slot": str(trial.slot)}
    yield "kd_study_slot_trial", float(trial.number), slot
    if not trial.epochs:
        yield "kd_study_slot_epoch", 0.0, slot
        return
    last = trial.epochs[-1]
    yield "kd_study_slot_epoch", last.get("epoch"), slot
    yield "kd_study_slot_train_loss", last.get("train_loss"), slot
    for each in shown_objectives(view.objectives):
        yield "kd_study_slot_objective", last.get(each.name), {**slot, "objective": each.name}
    speed = images_per_second(trial, len(trial.epochs) - 1, view.images_per_epoch)
    yield "kd_study_slot_images_per_second", speed, slot
    for device in ("GPU", "CPU"):
        seen = last.get(f"shared_{device.lower()}_utilization_fraction")
        yield "kd_study_slot_utilization_fraction", seen, {**slot, "device": device}


def shown_objectives(objectives: Sequence[Metric]) -> tuple[Metric, ...]:
    """Those that change as a trial is trained; where all are known beforehand, its accuracy."""
    return tuple(each for each in objectives if each.source is Source.TRAINING) or (metric("validation_accuracy"),)


def _hypervolume(view: StudyView) -> float | None:
    """None before a student has finished.

    Once two differ in every objective it never falls: the worst values, and the reference with them, only move outward.
    """
    finished = candidates(view.trials, view.objectives)
    if not finished:
        return None
    values = values_of(finished, view.objectives)
    return hypervolume(values, view.objectives, study_reference(values, view.objectives).values)


def _is_at_work(trial: TrialRecord) -> bool:
    return trial.state is TrialState.RUNNING and not trial.is_paused and bool(trial.spans)
