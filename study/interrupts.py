"""Ctrl-C and SIGTERM: the first ends a study in good order, the second ends its process at once."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from rich.console import Console

from study.errors import EXIT_INTERRUPTED

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # `ray job stop` sends the latter


def how_to_go_on(directory: Path) -> str:
    """What a driver says last when it was asked to end."""
    return f"interrupted: kd-study resume {directory} goes on"


@contextlib.contextmanager
def interruptible(directory: Path, console: Console) -> Iterator[None]:
    """Within, a first signal raises KeyboardInterrupt, or lets Tune end while it runs; a second one leaves at once.

    Leaving at once loses nothing that was stored: it is what a kill would do, with a word about how to go on. A signal
    that the process was told to ignore (Ctrl-C, in a shell's background job) stays ignored.
    """
    received: list[int] = []

    def on_signal(signum: int, frame: FrameType | None) -> None:
        received.append(signum)
        if len(received) > 1:
            console.show_cursor()
            os.write(2, f"kd-study: {how_to_go_on(directory)}\n".encode())
            os._exit(EXIT_INTERRUPTED)
        os.write(2, b"\nkd-study: ending in good order; once more leaves at once\n")
        end_tune = signal.getsignal(signal.SIGUSR1)  # Tune's own wish to end in good order, while it runs
        if not callable(end_tune):
            raise KeyboardInterrupt
        end_tune(signum, frame)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN or number is signal.SIGTERM:
            signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
