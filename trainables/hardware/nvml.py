"""NVML, the board's own numbers, through nvidia-ml-py: each call that the board refuses is an unknown, not an error."""

import logging
import os
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pynvml

from trainables.hardware.board_processes import (
    UtilizationSample,
    busy_by_pid,
    new_samples,
    num_others,
    utilization_fraction,
)
from trainables.hardware.telemetry import CpuTelemetry, Reading, Telemetry, host_pid, visible_device

_logger = logging.getLogger(__name__)

_BYTES_PER_MIB = 1024.0**2
_T = TypeVar("_T")


class NvmlTelemetry:
    """One board and this process on it."""

    def __init__(self, handle: object, pid: int | None) -> None:
        """Read `handle`, an NVML device; `pid` is this process as the host numbers it, None if unknown."""
        self._handle = handle
        self._pid = pid
        self._process = CpuTelemetry()
        self._last_seen_us = time.time_ns() // 1000

    def read(self) -> Reading:
        """Look now, at the process and at the board."""
        own = self._process.read()
        utilization = _known(lambda: pynvml.nvmlDeviceGetUtilizationRates(self._handle).gpu / 100.0)
        millijoules = _known(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        samples, processes = self._samples(), self._processes()
        return Reading(
            cpu_seconds=own.cpu_seconds,
            resident_memory_mib=own.resident_memory_mib,
            gpu_utilization_fraction=utilization,
            process_gpu_utilization_fraction=utilization_fraction(samples or (), pid=self._pid),
            process_gpu_memory_mib=self._memory_mib(processes or ()),
            num_gpu_co_tenants=num_others(
                None if processes is None else [each.pid for each in processes], pid=self._pid
            ),
            busy_by_pid=None if samples is None else busy_by_pid(samples),
            pid=self._pid,
            energy_joules=None if millijoules is None else millijoules / 1000.0,
        )

    def facts(self) -> dict[str, str]:
        """Driver and highest clock; and clock and temperature now, which differ from one measurement to the next."""
        handle = self._handle
        asked: dict[str, Callable[[], object]] = {
            "driver": pynvml.nvmlSystemGetDriverVersion,
            "max_clock_mhz": lambda: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM),
            "clock_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
            "temperature_celsius": lambda: pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU),
        }
        answers = {name: _known(ask) for name, ask in asked.items()}
        return {name: str(answer) for name, answer in answers.items() if answer is not None}

    def _samples(self) -> list[UtilizationSample] | None:
        """Of all processes, those that came since the last call; none while no process runs a kernel."""
        after_us = self._last_seen_us
        try:
            told = pynvml.nvmlDeviceGetProcessUtilization(self._handle, after_us)
        except pynvml.NVMLError as error:
            return [] if error.value == pynvml.NVML_ERROR_NOT_FOUND else None
        samples = [UtilizationSample(each.pid, each.timeStamp, each.smUtil) for each in told]
        self._last_seen_us = max([after_us, *(each.at_us for each in samples)])
        return new_samples(samples, after_us=after_us)

    def _processes(self) -> list[Any] | None:
        """Those with a compute context: the clients of MPS where there are any, whose server else stands for them."""
        # By version: without it, a driver that lacks the function is told of by an error that is no NVMLError.
        clients: list[Any] | None = _known(lambda: pynvml.nvmlDeviceGetMPSComputeRunningProcesses_v3(self._handle))
        return clients or _known(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses_v3(self._handle))

    def _memory_mib(self, processes: Iterable[Any]) -> float | None:
        used = [each.usedGpuMemory for each in processes if each.pid == self._pid]
        return used[0] / _BYTES_PER_MIB if used and used[0] is not None else None


def open_telemetry(cuda_index: int | None) -> Telemetry:
    """Telemetry of a CUDA device, or of the process alone where there is none, or none that NVML can name.

    Args:
        cuda_index: as in ``torch.device("cuda", index)``, counted among ``CUDA_VISIBLE_DEVICES``; None for a CPU.
    """
    if cuda_index is None:
        return CpuTelemetry()
    visible_devices = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        pynvml.nvmlInit()
        handle = _find(visible_device(cuda_index, visible_devices))
    except pynvml.NVMLError as error:
        _logger.warning("NVML is not usable (%s): GPU utilisation and energy are unknown", error)
        return CpuTelemetry()
    if handle is None:
        shown = "not set" if visible_devices is None else f'"{visible_devices}"'
        _logger.warning(
            "no board can be told to be cuda:%d (CUDA_VISIBLE_DEVICES %s): GPU utilisation and energy are unknown; "
            "CUDA_DEVICE_ORDER=PCI_BUS_ID, or UUIDs, settle which it is",
            cuda_index,
            shown,
        )
        return CpuTelemetry()
    return NvmlTelemetry(handle, host_pid())


def _find(device: int | str | None) -> object | None:
    """The NVML device of that number or UUID; None where it cannot be told."""
    boards = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    if isinstance(device, str):  # a slice (MIG-...) has no utilisation of its own and is no board
        named = [board for board in boards if str(pynvml.nvmlDeviceGetUUID(board)).startswith(device)]
        return named[0] if len(named) == 1 else None
    if device is None or device >= len(boards):
        return None
    # NVML counts along the PCI bus, CUDA from the fastest on: the same unless the boards differ.
    same_order = os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    return boards[device] if same_order or len({pynvml.nvmlDeviceGetName(board) for board in boards}) == 1 else None


def _known(ask: Callable[[], _T]) -> _T | None:
    try:
        return ask()
    except pynvml.NVMLError:
        return None
