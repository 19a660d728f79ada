"""What is done again and again while a driver waits for its trials, in a thread of its own."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import final

SECONDS_BETWEEN_BEATS = 5.0

logger = logging.getLogger(__name__)


@final
class Heartbeat:
    """Use as a context manager: within, every action is run at once and then every few seconds.

    One that fails is logged the first time, tried again at the next beat, and keeps neither the others nor the study.
    """

    def __init__(self, actions: Sequence[Callable[[], None]], seconds: float = SECONDS_BETWEEN_BEATS) -> None:
        self._actions = actions
        self._seconds = seconds
        self._failed: set[Callable[[], None]] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            for action in self._actions:
                self._try(action)
            if self._ended.wait(self._seconds):
                return

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:
            if action not in self._failed:
                logger.warning("what is shown of the study may be old", exc_info=True)
            self._failed.add(action)
