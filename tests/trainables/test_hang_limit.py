"""A process that hangs ends by itself, also where it holds the interpreter's lock; the others go on."""

import subprocess
import sys
import time

import pytest

from trainables.hang_limit import ended_when_hanging

# PyDLL keeps the interpreter's lock while it is in C: no other Python thread, and no handler of a signal, would run.
HANGS = """
import ctypes
from trainables.hang_limit import ended_when_hanging

def deaf():
    ctypes.PyDLL(None).sleep(600)

with ended_when_hanging(0.5):
    deaf()
"""


def test_process_that_is_stuck_in_c_code_with_the_interpreters_lock_ends_and_says_where() -> None:
    started = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert "in deaf" in ended.stderr
    assert time.monotonic() - started < 30.0


@pytest.mark.parametrize("seconds", [0.2, None])
def test_what_ends_in_time_is_not_ended_later(seconds: float | None) -> None:
    with ended_when_hanging(seconds):
        pass
    time.sleep(0.4)


def test_clock_is_stopped_by_an_exception() -> None:
    with pytest.raises(KeyError, match="early"), ended_when_hanging(0.2):
        raise KeyError("early")
    time.sleep(0.4)
