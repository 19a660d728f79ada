"""Signals, sent to processes that wait as a driver does: the first ends in good order, the second at once."""

import signal
import subprocess
import sys

import pytest

DRIVER = """
import signal, sys, time
from pathlib import Path
from rich.console import Console
from study.interrupts import Interrupts
ignores = sys.argv[1] == "background"  # as a shell's background job; whoever runs the tests may be one
signal.signal(signal.SIGINT, signal.SIG_IGN if ignores else signal.default_int_handler)
try:
    with Interrupts(Path("studies/mine"), Console()):
        if sys.argv[1] == "tune":  # which ends by itself when it is told by SIGUSR1's handler
            asked = []
            signal.signal(signal.SIGUSR1, lambda *_: asked.append(1))
            print("ready", flush=True)
            while not asked:
                time.sleep(0.01)
            print("told", flush=True)
            time.sleep(float(sys.argv[2]))
            sys.exit(0)
        print("ready", flush=True)
        time.sleep(30)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    time.sleep(float(sys.argv[2]))
    sys.exit(7)
"""


def driver(kind: str, seconds: float = 0.0) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", DRIVER, kind, str(seconds)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def number(request: pytest.FixtureRequest) -> signal.Signals:
    return signal.Signals(request.param)


def test_first_signal_raises_where_tune_does_not_run(number: signal.Signals) -> None:
    waiting = driver("other")
    waiting.send_signal(number)
    out, errors = waiting.communicate(timeout=20)
    assert (waiting.returncode, out) == (7, "interrupted\n")
    assert "once more leaves at once" in errors


def test_first_signal_lets_tune_end_while_it_runs(number: signal.Signals) -> None:
    waiting = driver("tune")
    waiting.send_signal(number)
    out, _ = waiting.communicate(timeout=20)
    assert (waiting.returncode, out) == (0, "told\n")


def test_second_signal_leaves_at_once_and_says_how_to_go_on(number: signal.Signals) -> None:
    waiting = driver("tune", seconds=30)
    waiting.send_signal(number)
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "told\n"
    waiting.send_signal(signal.SIGINT)
    _, errors = waiting.communicate(timeout=10)
    assert waiting.returncode == 130
    assert errors.splitlines()[-1] == "kd-study: interrupted: kd-study resume studies/mine goes on"


def test_ctrl_c_that_is_not_meant_for_the_process_is_not_heard_and_sigterm_is() -> None:
    waiting = driver("background")
    waiting.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(timeout=0.5)
    waiting.send_signal(signal.SIGTERM)
    out, _ = waiting.communicate(timeout=20)
    assert (waiting.returncode, out) == (7, "interrupted\n")
