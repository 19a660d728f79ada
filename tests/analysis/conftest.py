"""A study directory as a search leaves it, built once: tests read it and write beside it."""

import shutil
from pathlib import Path

import pytest

from tests.analysis.study_directory import realistic_trials, write_study
from tests.verifications import verify_front


@pytest.fixture(scope="session")
def realistic_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return verify_front(write_study(tmp_path_factory.mktemp("studies") / "demo", realistic_trials()))


@pytest.fixture
def writable_study(realistic_study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(realistic_study, tmp_path / "demo"))
