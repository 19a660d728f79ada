"""How long a search will take by measured speeds: those of its profiles, or before them those in the user's cache."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from analysis.wording import duration
from search_spaces.space import SearchSpace
from study.config import StudyConfig
from study.preflight import tried_students
from study.profile_cache import ProfileCache, kept_devices, profiled_batch_sizes, student_trainings
from study.resources import ResourcesConfig
from study.search.slots import num_fitting
from trainables.data.image_arrays import TrainingData
from trainables.hardware.device import device_facts, precision_for, select_device, telemetry_for
from trainables.measurements import ArchitectureProfile, DeviceFacts

CGROUP = Path("/sys/fs/cgroup")
SECONDS_AN_HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class SearchTime:
    """Training time of a search's trials, one after another, at the speeds at which they were measured alone.

    `seconds` is of those trials whose networks are known: of all, where they all are.
    """

    seconds: float
    num_known: int
    num_networks: int

    @property
    def is_whole(self) -> bool:
        """Whether the speed of every network is known."""
        return self.num_known == self.num_networks


@dataclass(frozen=True, slots=True)
class Machine:
    """A device that networks are measured on, with what stands beside it; without a GPU a trial takes CPUs alone."""

    facts: DeviceFacts
    num_cpus: int
    num_gpus: int

    def num_slots(self, resources: ResourcesConfig) -> int:
        """How many trials run on it at once."""
        gpus = resources.unplanned_share if self.facts.kind == "cuda" else 0.0
        num_slots = num_fitting(self.num_cpus, self.num_gpus, cpus=resources.cpus_per_trial, gpus=gpus)
        return min(num_slots, resources.max_concurrent_trials or num_slots)


def this_machine(resources: ResourcesConfig) -> Machine:
    """What a study would run on that starts Ray here; nothing is measured."""
    device = select_device() if resources.uses_gpus else torch.device("cpu")
    facts = device_facts(
        device,
        num_threads=resources.cpus_per_trial,
        precision=precision_for(device, "auto"),
        peak_flops_per_s=None,
        telemetry=telemetry_for(device),
    )
    return Machine(facts, num_cpus(CGROUP), torch.cuda.device_count() if device.type == "cuda" else 0)


def num_cpus(cgroup: Path) -> int:
    """Of this machine; in a container with a quota (cgroup version 2 or 1) no more than that, and at least one."""
    version_2, version_1 = cgroup / "cpu.max", cgroup / "cpu" / "cpu.cfs_quota_us"
    quota, period = "max", "100000"
    if version_2.is_file():
        quota, period = version_2.read_text("ascii").split()
    elif version_1.is_file():
        quota, period = (
            file.read_text("ascii").strip() for file in (version_1, version_1.with_name("cpu.cfs_period_us"))
        )
    count = os.cpu_count() or 1
    return min(count, max(1, int(quota) // int(period))) if quota.isdecimal() else count


def search_time(
    config: StudyConfig, space: SearchSpace, num_images: int, profiles: Mapping[str, ArchitectureProfile]
) -> SearchTime:
    """How long all trials take: each is taken for the mean of students that are tried beforehand.

    Args:
        config: of the study.
        space: of its students.
        num_images: that an epoch shows.
        profiles: by `ModelConfig.key`, those that there are.
    """
    students = tried_students(space, config.seed)
    of_network: dict[str, list[float | None]] = {}
    for each in students:
        profile, training = profiles.get(each.model.key), each.training
        speed = None if profile is None else profile.metrics(training.batch_size).get("train_images_per_s")
        seconds = training.epochs * num_images * each.transfer.share / speed if speed else None
        of_network.setdefault(each.model.key, []).append(seconds)
    known = [[each for each in seconds if each is not None] for seconds in of_network.values() if None not in seconds]
    mean = sum(map(sum, known)) / len(students)
    return SearchTime(mean * config.search.num_trials, len(known), len(of_network))


def time_words(seconds: float, num_slots: int) -> str:
    """Training time for people: of all slots together, and by the clock if they do not slow each other down."""
    by_clock = duration(seconds / num_slots)
    whole = f"about {duration(seconds)} of training by measured speeds, {by_clock} on {num_slots} slots"
    return f"{whole}, if none is stopped"


def kept_words(config: StudyConfig, space: SearchSpace, data: TrainingData, folder: Path, here: Machine) -> list[str]:
    """What the profiles in a cache tell of the search before it: a line for this machine, and one for each known GPU.

    A GPU that earlier studies ran on elsewhere is told in GPU-hours: how many there will be is not known. What was
    measured under another torch is left out, for the study would measure it again.

    Args:
        config: of the study.
        space: of its students.
        data: its images.
        folder: the user's cache.
        here: this machine.
    """
    ours, resources = here.facts, config.resources
    lines = []
    found, num_slots = _kept_time(config, space, data, folder, ours), here.num_slots(resources)
    if found.num_known and num_slots:
        lines.append(f"the search on this machine ({ours.name}): {_told(found, time_words(found.seconds, num_slots))}")
    for facts in kept_devices(folder) if resources.uses_gpus else ():
        is_other = facts.kind == "cuda" and (ours.kind, ours.name) != (facts.kind, facts.name)
        if is_other and facts.versions.get("torch") == torch.__version__:
            found = _kept_time(config, space, data, folder, facts)
            if found.num_known:
                lines.append(f"the search on {facts.name}: {_told(found, _gpu_words(found.seconds, resources))}")
    return lines or ["hours of the search are told once its networks have been measured: none of them is known here"]


def _kept_time(
    config: StudyConfig, space: SearchSpace, data: TrainingData, folder: Path, facts: DeviceFacts
) -> SearchTime:
    batch_sizes = profiled_batch_sizes(config, space)
    shape, num_threads = data.input_shape, config.resources.cpus_per_trial
    trainings = student_trainings(config, space, len(data.train))
    cache = ProfileCache(folder, facts, config.profile, batch_sizes, shape, data.num_classes, num_threads, trainings)
    kept = {model.key: cache.get(model) for model in space.architectures()}
    known = {key: profile for key, profile in kept.items() if profile is not None}
    return search_time(config, space, len(data.train), known)


def _told(found: SearchTime, words: str) -> str:
    measured = f"{found.num_known} of {found.num_networks} networks"
    if found.is_whole:
        return f"{words} (speeds of {measured}, measured before)"
    return f"{words}, for the students of {measured} that were measured before; the others are told once they have been"


def _gpu_words(seconds: float, resources: ResourcesConfig) -> str:
    """Of a card alone: at the least, where the trials that share it do not slow each other down, and one by one."""
    hours, num_at_once = seconds / SECONDS_AN_HOUR, int(1.0 / resources.unplanned_share)
    together = f"{hours / num_at_once:.2g} where {num_at_once} at once do not slow each other down"
    return f"about {hours:.2g} GPU-hours of training by measured speeds, {together}, if none is stopped"
