"""What the operating system and the board say while something runs. Whatever they do not say is None, never 0."""

import contextlib
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import psutil

from trainables.hardware.energy import drawn_joules, split_energy

_logger = logging.getLogger(__name__)

_BYTES_PER_MIB = 1024.0**2
_JOIN_TIMEOUT_S = 2.0
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # Linux's PROC_PID_INIT_INO


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at this process and its device. Counters only grow; a fraction is of the recent past."""

    cpu_seconds: float | None = None  # of all threads of this process, since it began
    resident_memory_mib: float | None = None
    gpu_utilization_fraction: float | None = None  # some kernel ran, whoever's, over the last 1/6 to 1 s
    process_gpu_utilization_fraction: float | None = None  # since the last reading
    process_gpu_memory_mib: float | None = None
    num_gpu_co_tenants: int | None = None  # other processes on the GPU
    busy_by_pid: Mapping[int, float] | None = None  # since the last reading, in sampling periods; empty: none was seen
    pid: int | None = None  # this process in `busy_by_pid`
    energy_joules: float | None = None  # of the whole board, since the driver was loaded


class Telemetry(Protocol):
    """A source of readings. None of its methods raises."""

    def read(self) -> Reading:
        """Look now."""
        ...

    def facts(self) -> dict[str, str]:
        """What of the device is worth keeping beside a number measured on it."""
        ...


class CpuTelemetry:
    """This process alone, on a machine without a GPU or without NVML."""

    def __init__(self) -> None:
        self._process = psutil.Process()

    def read(self) -> Reading:
        """CPU time by the process's own clock (psutil's has steps of 10 ms), memory by psutil."""
        resident_mib: float | None = None
        with contextlib.suppress(psutil.Error, OSError):
            resident_mib = self._process.memory_info().rss / _BYTES_PER_MIB
        return Reading(cpu_seconds=time.process_time(), resident_memory_mib=resident_mib)

    def facts(self) -> dict[str, str]:
        """Nothing beyond what `device_facts` knows itself."""
        return {}


def host_pid(namespace: Path = Path("/proc/self/ns/pid")) -> int | None:
    """This process as NVML numbers it; None inside a container, where NVML's numbers are the host's.

    There newer drivers give some of their numbers in the container's own way, and others in the host's.

    Args:
        namespace: the link that Linux names a process's PID namespace by.
    """
    try:
        name = str(namespace.readlink())
    except OSError:
        return None
    return os.getpid() if name == _INITIAL_PID_NAMESPACE else None


def visible_device(index: int, visible_devices: str | None) -> int | str | None:
    """What the `index`-th device that CUDA shows is: its number, its UUID (or the beginning of it), or None.

    Args:
        index: as in ``torch.device("cuda", index)``.
        visible_devices: the value of ``CUDA_VISIBLE_DEVICES``, None where it is not set. As in the CUDA runtime, the
            list ends at the first entry that is no device.
    """
    if visible_devices is None:
        return index
    listed: list[int | str] = []
    for entry in (text.strip() for text in visible_devices.split(",")):
        if entry.isdecimal():
            listed.append(int(entry))
        elif entry.startswith(("GPU-", "MIG-")):
            listed.append(entry)
        else:
            break
    return listed[index] if index < len(listed) else None


def mean_of_known(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are known; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def cpu_utilization_fraction(begin: Reading, end: Reading, *, seconds: float, num_threads: int) -> float | None:
    """Process CPU time over wall time and threads. Above 1 where more threads ran than the trial was given.

    Args:
        begin: reading at the start of the window.
        end: reading at its end.
        seconds: length of the window.
        num_threads: that the trial may use.
    """
    if begin.cpu_seconds is None or end.cpu_seconds is None or seconds <= 0.0:
        return None
    return (end.cpu_seconds - begin.cpu_seconds) / (seconds * num_threads)


def energies(
    begin: Reading, readings: Sequence[Reading], *, seconds: float, idle_watts: float | None
) -> dict[str, float | None]:
    """The shared metrics of energy in a window: the board's, this process's by `split_energy`, and nobody's.

    This process's is None, not 0, where it was not seen running, though it was: in a window too short for the board's
    samples, say.

    Args:
        begin: reading at the start of the window.
        readings: all after it, the last one at the end.
        seconds: length of the window.
        idle_watts: of the board when nothing runs.
    """
    end = readings[-1]
    board = drawn_joules(begin.energy_joules, end.energy_joules, seconds=seconds)
    told = [each.busy_by_pid for each in readings if each.busy_by_pid is not None]
    busy = Counter[int]()
    for each in told:
        busy.update(each)
    split = split_energy(board, idle_watts=idle_watts, seconds=seconds, busy_by_pid=busy if told else None)
    return {
        "shared_board_energy_joules": board,
        "shared_energy_joules": None if split is None or end.pid is None else split.joules_by_pid.get(end.pid),
        "shared_energy_residual_joules": None if split is None else split.residual_joules,
    }


class Sampler:
    """Reads telemetry in the background and averages it, over an epoch, say.

    A context manager, entered once. Its thread is a daemon and stops within one reading. Whatever telemetry does, no
    exception of its own ever reaches the trial: a reading that fails is an unknown one.

    Args:
        telemetry: to be read, by one sampler at a time.
        num_threads: that the trial may use.
        interval_s: between two readings.
        idle_watts: of the board when nothing runs; None: unknown, and with it whose its energy was.
        clock: monotonic, in s.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        num_threads: int,
        interval_s: float = 0.5,
        idle_watts: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._telemetry = telemetry
        self._num_threads = num_threads
        self._interval_s = interval_s
        self._idle_watts = idle_watts
        self._clock = clock
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="telemetry", daemon=True)
        self._has_failed = False
        self._readings: list[Reading] = []
        self._begin, self._began_at = Reading(), clock()

    def __enter__(self) -> Self:
        self._begin, self._began_at = self._read(), self._clock()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(_JOIN_TIMEOUT_S)

    def averages(self) -> dict[str, float | None]:
        """The shared metrics since the last call (or since entering), by their names in `trainables.metrics`."""
        end, now = self._read(), self._clock()
        with self._lock:
            readings, self._readings = [*self._readings, end], []
        begin, seconds = self._begin, now - self._began_at
        self._begin, self._began_at = end, now
        return {
            "shared_cpu_utilization_fraction": cpu_utilization_fraction(
                begin, end, seconds=seconds, num_threads=self._num_threads
            ),
            "shared_gpu_utilization_fraction": mean_of_known([each.gpu_utilization_fraction for each in readings]),
            "process_gpu_utilization_fraction": mean_of_known(
                [each.process_gpu_utilization_fraction for each in readings]
            ),
            "num_gpu_co_tenants": mean_of_known([each.num_gpu_co_tenants for each in readings]),
            **energies(begin, readings, seconds=seconds, idle_watts=self._idle_watts),
            "process_gpu_memory_mib": mean_of_known([each.process_gpu_memory_mib for each in readings]),
            "process_memory_mib": mean_of_known([each.resident_memory_mib for each in readings]),
        }

    def _sample(self) -> None:
        while not self._stop.wait(self._interval_s):
            reading = self._read()
            with self._lock:
                self._readings.append(reading)

    def _read(self) -> Reading:
        try:
            return self._telemetry.read()
        except Exception:
            if not self._has_failed:
                self._has_failed = True
                _logger.warning("telemetry failed; its numbers are unknown", exc_info=True)
            return Reading()
