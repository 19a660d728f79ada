"""A driver killed once a study has come so far, and the study taken to its end."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from study import store as stores
from tests.end_to_end.conftest import environment, kd_study
from trainables.records import TrialRecord

LONGEST_S = 300.0


def kill_once(is_reached: Callable[[], bool], *arguments: str) -> None:
    """Let the driver work until its moment has come, and no longer.

    Raises:
        AssertionError: it ended before.
    """
    driver = subprocess.Popen(kd_study(*arguments), stdout=subprocess.DEVNULL, env=environment())
    give_up_at = time.monotonic() + LONGEST_S
    while not is_reached() and driver.poll() is None and time.monotonic() < give_up_at:
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL, "it ended before its moment came"


def finished(directory: Path, *arguments: str) -> dict[int, TrialRecord]:
    """The trials once the command has come to its end."""
    subprocess.run(kd_study(*arguments), check=True, stdout=subprocess.DEVNULL, env=environment(), timeout=LONGEST_S)
    with stores.reopen(directory) as store:
        return {record.number: record for record in store.trials()}
