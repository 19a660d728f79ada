"""What a driver does again and again, whatever becomes of it."""

import logging
import threading

import pytest

from study.watch.heartbeat import Heartbeat


def test_every_action_is_run_at_once_and_again() -> None:
    beaten = threading.Semaphore(0)
    with Heartbeat([lambda: None, beaten.release], seconds=0.001):
        assert all(beaten.acquire(timeout=10.0) for _ in range(3))


def test_action_that_fails_is_told_once_tried_again_and_keeps_no_other(caplog: pytest.LogCaptureFixture) -> None:
    beaten, tried = threading.Semaphore(0), []

    def fail() -> None:
        tried.append(True)
        raise RuntimeError("no cluster answers")

    with caplog.at_level(logging.WARNING), Heartbeat([fail, beaten.release], seconds=0.001):
        assert all(beaten.acquire(timeout=10.0) for _ in range(3))
    assert len(tried) >= 3
    assert [record.exc_text for record in caplog.records if "no cluster answers" in (record.exc_text or "")]
    assert len(caplog.records) == 1


def test_end_does_not_wait_for_the_next_beat() -> None:
    with Heartbeat([lambda: None], seconds=3600.0):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]
