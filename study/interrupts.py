"""Ctrl-C and SIGTERM: the first ends a study in good order, the second ends its process at once."""

import os
import signal
from pathlib import Path
from types import FrameType
from typing import final

from rich.console import Console

from study.errors import EXIT_INTERRUPTED

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # `ray job stop` sends the latter


def how_to_go_on(directory: Path) -> str:
    """What a driver says last when it was asked to end."""
    return f"interrupted: kd-study resume {directory} goes on"


@final
class Interrupts:
    """Use as a context manager: within, a first signal ends the study in good order, a second one ends the process.

    In good order: KeyboardInterrupt is raised, or Tune is told to end while it runs. At once: it is what a kill would
    do, so that nothing stored is lost, with a word about how to go on. A signal that the process was told to ignore
    (Ctrl-C, in a shell's background job) stays ignored.
    """

    def __init__(self, directory: Path, console: Console) -> None:
        self._directory = directory
        self._console = console
        self._num_received = 0
        self._before = {number: signal.getsignal(number) for number in SIGNALS}

    def was_asked(self) -> bool:
        """Whether a signal came; Tune may have had nothing left to end."""
        return self._num_received > 0

    def install(self) -> None:
        """Listen; again, where another library has put handlers of its own in the meantime, as Ray does."""
        for number, handler in self._before.items():
            if handler is not signal.SIG_IGN or number is signal.SIGTERM:
                signal.signal(number, self._on_signal)

    def __enter__(self) -> "Interrupts":
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        self._num_received += 1
        if self._num_received > 1:
            self._console.show_cursor()
            os.write(2, f"kd-study: {how_to_go_on(self._directory)}\n".encode())
            os._exit(EXIT_INTERRUPTED)
        os.write(2, b"\nkd-study: ending in good order; once more leaves at once\n")
        end_tune = signal.getsignal(signal.SIGUSR1)  # Tune's own wish to end in good order, while it runs
        if not callable(end_tune):
            raise KeyboardInterrupt
        end_tune(signum, frame)
