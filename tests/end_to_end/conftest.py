"""One finished study for every test that only looks at it, made by the command line in a process of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

SMALL = (
    "search.num_trials=6",
    "dataset.max_train_images=600",
    "dataset.num_validation_images=100",
    "space.options.widths=[1, 2]",
    "teacher.training.epochs=1",
)

# Of a study whose numbers nobody looks at, as the end of its TOML.
QUICK_PROFILE = """
[profile]
inference_batch_sizes = [1]
seconds_per_batch_size = 0.1
seconds_per_training_batch_size = 0.1
max_attempts = 1
"""


# Whoever runs the tests in the background has told them to ignore Ctrl-C, and what they start with them.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from study.cli import main
main()
"""


@dataclass(frozen=True)
class FinishedStudy:
    """A study's directory, and what the command line printed."""

    directory: Path
    output: str


def kd_study(*arguments: str) -> list[str]:
    """The command line as a list, run by this very interpreter; Ctrl-C reaches it, as from a terminal."""
    return [sys.executable, "-c", PROGRAM, *arguments]


def overrides(fields: Sequence[str]) -> list[str]:
    return [part for field in fields for part in ("--set", field)]


def environment() -> dict[str, str]:
    """As a user without a terminal has it, and without a browser: the pictures of a report take ten seconds."""
    return {**os.environ, "COLUMNS": "200", "BROWSER_PATH": "/no/browser"}


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line, to its end."""
    command = kd_study(*arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment())


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    """To be looked at only: where tests run in several processes, all of them have the same one."""
    folder = tmp_path_factory.getbasetemp() / "finished"
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = tmp_path_factory.getbasetemp().parent / "finished"
    folder.mkdir(exist_ok=True)
    directory, printed = folder / "study", folder / "output.txt"
    with FileLock(folder / "lock"):
        if not printed.exists():
            command = kd_study("run", "smoke", "--dir", str(directory), *overrides(SMALL))
            shutil.rmtree(directory, ignore_errors=True)  # of another process, whose study failed
            result = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=300, env=environment(), cwd=folder
            )
            assert result.returncode == 0, result.stderr
            printed.write_text(result.stdout, encoding="utf-8")
    return FinishedStudy(directory, printed.read_text(encoding="utf-8"))
