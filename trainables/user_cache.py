"""The user's cache folder: what is slow to make and may be made again, kept from one study to the next."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`KD_STUDY_CACHE`, else the user's cache folder (XDG base directories)."""
    named = os.environ.get("KD_STUDY_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kd-study"
