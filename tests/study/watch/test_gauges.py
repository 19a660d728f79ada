"""Readings on their way to Ray, with instruments that remember."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray
from rich.console import Console

from study import store as stores
from study.cluster import TrialResources
from study.progress import Progress
from study.watch.gauges import Gauges, Instruments, ray_instruments
from study.watch.readings import GAUGES, SPEEDS
from tests.factories import study_config
from tests.study.watch.views import OBJECTIVES, epochs, trial
from trainables.records import TrialState

TWO_CPUS = TrialResources(cpus=2, gpus=0.25, num_slots=4)


class Remembering:
    """A gauge and a histogram in one."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, dict[str, str]]] = []

    def set(self, value: float, tags: dict[str, str]) -> None:
        self.seen.append((value, tags))

    def observe(self, value: float, tags: dict[str, str]) -> None:
        self.seen.append((value, tags))


class Watched:
    """Gauges of a study whose epochs show 1,000 images."""

    def __init__(self, progress: Progress, resources: TrialResources = TWO_CPUS) -> None:
        self.gauges = {name: Remembering() for name in GAUGES}
        self.speeds = Remembering()
        self.watcher = Gauges(
            progress,
            "/studies/a",
            OBJECTIVES,
            resources,
            lambda _: 1_000,
            Instruments(dict(self.gauges), self.speeds),
        )
        progress.tell_changes_to(self.watcher.tell)
        self.progress = progress


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0, "memory": 1e9})
    with stores.create(tmp_path, study_config()) as store:
        yield Watched(Progress(store.paths, store.record, Console(file=io.StringIO()), 4))


def test_beat_sets_what_is_known(watched: Watched) -> None:
    watched.progress.stage("search", "")
    watched.watcher.beat()
    assert watched.gauges["kd_study_stage"].seen == [(1.0, {"study": "/studies/a", "stage": "search"})]
    assert watched.gauges["kd_study_target_trials"].seen == [(4.0, {"study": "/studies/a"})]
    assert watched.gauges["kd_study_slot_trial"].seen == []


def test_planned_shares_of_a_gpu_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half and an eighth of the cluster's two GPUs."""
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0, "GPU": 2.0})
    began_s = 10**9  # after the launch, which is now
    at_work = [trial(number, TrialState.RUNNING, began_s=began_s, slot=number) for number in (0, 1)]
    students = [each.student for each in at_work if each.student is not None]
    small = students[1].model_copy(update={"training": students[1].training.model_copy(update={"batch_size": 1})})
    at_work[1] = at_work[1].model_copy(update={"student": small})
    sizes = ((student.model.key, student.training.batch_size) for student in (students[0], small))
    shares = dict(zip(sizes, (0.5, 0.125), strict=True))
    resources = TrialResources(cpus=1, gpus=0.125, num_slots=8, num_gpus=2, is_planned=True, shares=shares)
    with stores.create(tmp_path, study_config()) as store:
        unplanned = replace(resources, gpus=0.25, shares={})
        watched = Watched(Progress(store.paths, store.record, Console(file=io.StringIO()), 4), unplanned)
        watched.progress.gpu_share = resources.share  # planned after the watch began
        watched.progress.show_trials(at_work, 4)
        watched.watcher.beat()
    told = {tags["device"]: value for value, tags in watched.gauges["kd_study_device_share_fraction"].seen}
    assert told == {"GPU": 0.3125, "CPU": 0.25}


def test_share_is_of_what_the_cluster_has(watched: Watched) -> None:
    """It has no GPU: nothing is said of one."""
    began_s = 10**9  # after the launch, which is now
    at_work = trial(0, TrialState.RUNNING, began_s=began_s), trial(1, TrialState.RUNNING, began_s=began_s, slot=1)
    watched.progress.show_trials(at_work, 4)
    watched.watcher.beat()
    shares = watched.gauges["kd_study_device_share_fraction"].seen
    assert shares == [(0.5, {"study": "/studies/a", "device": "CPU"})]


def test_speed_of_each_epoch_is_observed_once(watched: Watched) -> None:
    for numbers in ((1.0,), (1.0, 2.0), (1.0, 2.0, 3.0, 4.0)):
        watched.progress.show_trials([], 4)
        watched.progress.show_trials([trial(0, TrialState.RUNNING, method="kd", epochs=epochs(*numbers))], 4)
    assert watched.speeds.seen == [(500.0, {"study": "/studies/a", "method": "kd"})] * 4


def test_epochs_of_an_earlier_launch_are_not_observed_again(watched: Watched) -> None:
    watched.progress.show_trials([trial(0, TrialState.RUNNING, epochs=epochs(1.0, 2.0))], 4)
    watched.progress.show_trials([trial(0, TrialState.RUNNING, epochs=epochs(1.0, 2.0, 3.0))], 4)
    assert len(watched.speeds.seen) == 1


def test_rays_instruments_are_declared_as_the_readings_are() -> None:
    instruments = ray_instruments()
    assert instruments.gauges.keys() == GAUGES.keys()
    for name, gauge in instruments.gauges.items():
        info = gauge.info  # type: ignore[attr-defined]
        assert (info["name"], info["tag_keys"]) == (name, GAUGES[name].tags)
        assert info["description"]
    assert instruments.speeds.info["tag_keys"] == SPEEDS.tags  # type: ignore[attr-defined]
