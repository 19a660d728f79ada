"""Profiles kept for the user, by architecture, device, versions and settings: a second study does not measure again."""

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, final

from study.config import library_versions
from trainables.config import Frozen, ModelConfig
from trainables.hardware.settings import ProfileSettings
from trainables.measurements import ArchitectureProfile, DeviceFacts
from trainables.whole_files import read_record, write_record

logger = logging.getLogger(__name__)
_Record = TypeVar("_Record", bound=Frozen)

FORMAT = 1  # raise it when what a profile means changes
MOMENTARY = frozenset({"clock_mhz", "temperature_celsius"})  # of the moment, not of the device


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
    ) -> None:
        self._folder = folder / "profiles"
        versions = {name: text for name, text in device.versions.items() if name not in MOMENTARY}
        self._conditions = {
            "format": FORMAT,
            "kd-study": library_versions()["kd-study"],
            "device": [device.kind, device.name, device.num_threads, device.precision],
            "versions": versions,
            "settings": settings.model_dump(mode="json", exclude={"reuse"}),
            "training_batch_sizes": sorted(training_batch_sizes),
            "images": [*input_shape, num_classes],
            "num_training_threads": num_training_threads,
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
