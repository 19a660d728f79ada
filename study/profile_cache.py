"""Profiles kept for the user, by architecture, device, versions and settings: a second study does not measure again."""

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, final

from pydantic import ValidationError

from search_spaces.space import SearchSpace
from study.config import StudyConfig, library_versions
from study.preflight import tried_students
from trainables.config import Frozen, ModelConfig
from trainables.hardware.settings import ProfileSettings, StudentTrainings
from trainables.measurements import ArchitectureProfile, DeviceFacts
from trainables.whole_files import read_record, write_record

logger = logging.getLogger(__name__)
_Record = TypeVar("_Record", bound=Frozen)

FORMAT = 1  # raise it when what a profile means changes
MOMENTARY = frozenset({"clock_mhz", "temperature_celsius"})  # of the moment, not of the device


def profiled_batch_sizes(config: StudyConfig, space: SearchSpace) -> list[int]:
    """At which training is measured: the students' and, of a teacher that is trained here, its own."""
    teacher = config.teacher.training
    return sorted({*space.training_batch_sizes(), *([] if teacher is None else [teacher.batch_size])})


def student_trainings(config: StudyConfig, space: SearchSpace, num_images: int) -> StudentTrainings:
    """What the students' trainings have in common, by some that are tried beforehand.

    Args:
        config: of the study.
        space: of its students.
        num_images: that there are to train on.
    """
    students = tried_students(space, config.seed)
    precisions = {each.training.precision for each in students}
    shown = min(each.training.epochs * round(num_images * each.transfer.share) for each in students)
    steps = 2 ** (max(1, shown).bit_length() - 1)  # the next study is not of that very length
    precision = precisions.pop() if len(precisions) == 1 else "auto"
    return StudentTrainings(precision=precision, num_images=steps)


def kept_devices(folder: Path) -> list[DeviceFacts]:
    """Each device that something in the cache was measured on, once for each set of versions."""
    found: dict[str, DeviceFacts] = {}
    for path in sorted((folder / "profiles").glob("*.json")):
        try:
            facts = DeviceFacts.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):  # a network's profile
            continue
        found.setdefault(json.dumps(_identity(facts), sort_keys=True), facts)
    return list(found.values())


@final
class ProfileCache:
    """One file for each architecture under one device, one set of versions and one way of measuring."""

    def __init__(
        self,
        folder: Path,
        device: DeviceFacts,
        settings: ProfileSettings,
        training_batch_sizes: Sequence[int],
        input_shape: tuple[int, int, int],
        num_classes: int,
        num_training_threads: int,
        trainings: StudentTrainings,
    ) -> None:
        self._folder = folder / "profiles"
        self._conditions = {
            "format": FORMAT,
            "kd-study": library_versions()["kd-study"],
            **_identity(device),
            "settings": settings.model_dump(mode="json", exclude={"reuse", "executions"}),
            "training_batch_sizes": sorted(training_batch_sizes),
            "images": [*input_shape, num_classes],
            "num_training_threads": num_training_threads,
            **_of_executions(device, settings, trainings),
        }

    def reference_ms(self) -> float | None:
        """The reference network's undisturbed time, to which every kept profile is corrected; None: none is kept."""
        kept = self._read(self._path("reference"), DeviceFacts)
        return None if kept is None else kept.reference_ms

    def keep_reference(self, device: DeviceFacts) -> None:
        """Keep the reference's time for all profiles to come."""
        self._write(self._path("reference"), device)

    def get(self, model: ModelConfig) -> ArchitectureProfile | None:
        """The kept profile; None where there is none, or one that cannot be read or is of another reference's time."""
        if not self._may_keep(model):
            return None
        profile = self._read(self._path(model.key), ArchitectureProfile)
        return None if profile is None or profile.device.reference_ms != self.reference_ms() else profile

    def put(self, profile: ArchitectureProfile) -> None:
        """Keep a profile."""
        if self._may_keep(profile.model):
            self._write(self._path(profile.model.key), profile)

    @staticmethod
    def _may_keep(model: ModelConfig) -> bool:
        """A user's own network may change behind its name."""
        return ":" not in model.name

    def _path(self, subject: str) -> Path:
        text = json.dumps({**self._conditions, "subject": subject}, sort_keys=True)
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"

    def _read(self, path: Path, kind: type[_Record]) -> _Record | None:
        try:
            return read_record(path, kind)
        except ValueError as error:
            logger.warning("%s; it is measured again", error)
            return None

    def _write(self, path: Path, record: Frozen) -> None:
        try:
            write_record(path, record)
        except OSError as error:  # the next study measures again, and this one goes on
            logger.warning("%s: cannot be written, the profile is not kept: %s", path, error.strerror)


def _identity(device: DeviceFacts) -> dict[str, object]:
    """What makes two devices one: not what is of the moment."""
    return {
        "device": [device.kind, device.name, device.num_threads, device.precision],
        "versions": {name: text for name, text in device.versions.items() if name not in MOMENTARY},
    }


def _of_executions(device: DeviceFacts, settings: ProfileSettings, trainings: StudentTrainings) -> dict[str, object]:
    """What the ways in which training was tried hang on; nothing where there was but one, as ever."""
    asked: dict[str, object] = {} if trainings.precision == "auto" else {"precision": trainings.precision}
    if device.kind == "cuda" and settings.executions != "fixed":
        asked |= {"executions": settings.executions, "num_images": trainings.num_images}
    return asked
