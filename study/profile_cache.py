"""Profiles kept for the user, by architecture, device, versions and settings: a second study does not measure again."""

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import final

from trainables.config import ModelConfig
from trainables.hardware.settings import ProfileSettings
from trainables.measurements import ArchitectureProfile, DeviceFacts
from trainables.whole_files import write_record

logger = logging.getLogger(__name__)

FORMAT = 1  # raise it when what a profile means changes
MOMENTARY = frozenset({"clock_mhz", "temperature_celsius"})  # of the moment, not of the device


def cache_folder() -> Path:
    """Where profiles are kept: `KD_STUDY_CACHE`, else the user's cache folder (XDG base directories)."""
    named = os.environ.get("KD_STUDY_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kd-study"


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
            "device": [device.kind, device.name, device.num_threads, device.precision],
            "versions": versions,
            "settings": settings.model_dump(mode="json"),
            "training_batch_sizes": sorted(training_batch_sizes),
            "images": [*input_shape, num_classes],
            "num_training_threads": num_training_threads,
        }

    def get(self, model: ModelConfig) -> ArchitectureProfile | None:
        """The kept profile; None where there is none, or one that cannot be read."""
        path = self._path(model)
        try:
            return ArchitectureProfile.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            logger.warning("%s: cannot be read and is measured again: %s", path, error)
            return None

    def put(self, profile: ArchitectureProfile) -> None:
        """Keep a profile."""
        write_record(self._path(profile.model), profile)

    def _path(self, model: ModelConfig) -> Path:
        text = json.dumps({**self._conditions, "model": model.key}, sort_keys=True)
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
