"""How much memory this process holds, by kind, and the most it has held since watching began. Linux alone."""

import threading
from dataclasses import dataclass, fields
from pathlib import Path
from typing import final

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
FORGET_PEAK = "5"  # proc(5): VmHWM begins again at what is resident now
BYTES_PER_MB = 1e6
INTERVAL_S = 0.005


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in MB (10^6 bytes): its peak as the kernel keeps it, and what it is made of now."""

    VmHWM: float
    VmRSS: float
    RssAnon: float
    RssFile: float
    RssShmem: float


def parse(status: str) -> Memory:
    """Read the text of /proc/<pid>/status, whose "kB" are 1024 bytes."""
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return Memory(**{field.name: int(lines[field.name].split()[0]) * 1024 / BYTES_PER_MB for field in fields(Memory)})


@final
class MemoryWatch:
    """Looks every 5 ms from a thread of its own: the kernel keeps the peak of the whole, but not of its kinds."""

    def __init__(self) -> None:
        CLEAR_REFS.write_text(FORGET_PEAK, encoding="ascii")  # imports may have held more than they kept
        self._start = self._look()
        self._peak_private, self._peak_shared = 0.0, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._thread.start()

    def growth(self) -> dict[str, float]:
        """The most that was held above what was held when watching began, in MB: in all, private, shared.

        The parts have their peaks at different moments: they need not add up to the whole.
        """
        now = self._look()
        return {
            "all": now.VmHWM - self._start.VmRSS,
            "private": self._peak_private,
            "shared": self._peak_shared,
            "before": self._start.VmRSS,
        }

    def stop(self) -> None:
        """Watch no longer."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        start = self._start
        while not self._stop.wait(INTERVAL_S):
            now = self._look()
            private = now.RssAnon + now.RssFile - start.RssAnon - start.RssFile
            self._peak_private = max(self._peak_private, private)
            self._peak_shared = max(self._peak_shared, now.RssShmem - start.RssShmem)

    def _look(self) -> Memory:
        return parse(STATUS.read_text(encoding="ascii"))
