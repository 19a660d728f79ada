"""The benchmarks' one table: rows are collected over the session, printed at its end and written to KD_BENCH_OUT."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from study.config import library_versions
from tests.benchmarks.scoreboard import Scoreboard
from trainables.hardware.device import cpu_name

TOP = Path(__file__).parents[2]
SCOREBOARD = pytest.StashKey[Scoreboard]()


@pytest.fixture(scope="session")
def scoreboard(pytestconfig: pytest.Config) -> Scoreboard:
    return pytestconfig.stash.setdefault(SCOREBOARD, Scoreboard(conditions()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the table last, whatever became of the tests."""
    board = config.stash.get(SCOREBOARD, None)
    if board is None:
        return
    terminalreporter.section("benchmarks")
    terminalreporter.write_line(board.markdown())
    named = os.environ.get("KD_BENCH_OUT")
    if named:
        Path(named).write_text(board.markdown(), encoding="utf-8")


def conditions() -> str:
    """Where and of what the numbers are."""
    versions = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    command = ["git", "-C", str(TOP), "describe", "--always", "--dirty"]
    commit = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    gpus = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no GPU"
    return (
        f"{cpu_name(Path('/proc/cpuinfo'))}, {os.cpu_count()} CPUs{gpus}, load {os.getloadavg()[0]:.2f} before; "
        f"Python {platform.python_version()}, {versions}; commit {commit.strip() or 'unknown'}; "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    )
