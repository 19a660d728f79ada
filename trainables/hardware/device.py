"""Which device and precision a trial runs on, and what must be kept beside a number measured there."""

import contextlib
import gc
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch

from trainables.hardware.nvml import open_telemetry
from trainables.hardware.telemetry import Telemetry
from trainables.measurements import DeviceFacts

Precision = Literal["float32", "bfloat16"]

_FIRST_CAPABILITY_WITH_BFLOAT16 = (8, 0)  # Ampere


def select_device() -> torch.device:
    """The first visible CUDA device, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def precision_for(device: torch.device, requested: Literal["auto", "float32", "bfloat16"]) -> Precision:
    """The precision to train in: "auto" is bfloat16 autocast on a CUDA device that computes in it, float32 elsewhere.

    Raises:
        ValueError: bfloat16 is asked of a device that does not have it.
    """
    if requested == "float32":
        return "float32"
    if _has_bfloat16(device):
        return "bfloat16"
    if requested == "bfloat16":
        raise ValueError(
            f'precision = "bfloat16", but device {device} ({device_name(device)}) has no bfloat16 units: '
            'allowed here are "auto" and "float32"; bfloat16 needs a CUDA device of compute capability 8.0 or newer'
        )
    return "float32"


def device_name(device: torch.device) -> str:
    """The model name of the board or the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name(Path("/proc/cpuinfo"))


def cpu_name(cpuinfo: Path) -> str:
    """The processor's model name from Linux's cpuinfo; where that has none, the platform's word for it."""
    with contextlib.suppress(OSError):
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            field, _, value = line.partition(":")
            if field.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine() or "unknown processor"


def take_share(device: torch.device, *, cpus: float, gpus: float) -> None:
    """Make this process one of several on a device: so many CPU threads, and of a GPU's memory no more than its share.

    A process that has trained before is left as a new one would be: its allocator's cache and peaks are emptied.

    Args:
        device: what the process computes on.
        cpus: threads, at least one.
        gpus: fraction of the GPU, in (0, 1]; 0 on a CPU.
    """
    torch.set_num_threads(max(1, int(cpus)))
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.set_per_process_memory_fraction(min(1.0, gpus or 1.0))


def telemetry_for(device: torch.device) -> Telemetry:
    """NVML and this process on a CUDA device, this process alone on a CPU."""
    if device.type != "cuda":
        return open_telemetry(None)
    return open_telemetry(torch.cuda.current_device() if device.index is None else device.index)


def device_facts(
    device: torch.device,
    *,
    num_threads: int,
    precision: Precision,
    peak_flops_per_s: float | None,
    telemetry: Telemetry,
) -> DeviceFacts:
    """All that a measurement's reader needs to know of where it was made.

    On CUDA `versions` also holds `clock_mhz` and `temperature_celsius` at the moment of the call, where NVML gives
    them: leave these two out of anything that is compared.

    Args:
        device: the one measured on.
        num_threads: CPU threads of the measurement.
        precision: of the measurement.
        peak_flops_per_s: from `peaks.measured_peak_flops_per_s` in the same precision.
        telemetry: from `telemetry_for(device)`.
    """
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    if device.type == "cuda":
        versions["cuda"] = str(torch.version.cuda)
        versions["cudnn"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    return DeviceFacts(
        kind=device.type,
        name=device_name(device),
        num_threads=num_threads,
        precision=precision,
        peak_flops_per_s=peak_flops_per_s,
        versions=versions | telemetry.facts(),
    )


def synchronize(device: torch.device) -> None:
    """Wait until the device is idle; on a CPU it already is."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class CudaEvents:
    """The device's own stopwatch: a context that marks its stream before and after what is queued inside."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.current_stream(device)
        self._begin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        self._end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]

    def __enter__(self) -> None:
        self._begin.record(self._stream)

    def __exit__(self, *error: object) -> None:
        self._end.record(self._stream)

    @property
    def elapsed_ms(self) -> float:
        """Between the two marks, once the device is synchronised."""
        return float(self._begin.elapsed_time(self._end))


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The autocast context of a precision: bfloat16, or none at all."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


@contextlib.contextmanager
def fixed_num_threads(num_threads: int) -> Iterator[None]:
    """Let torch compute on that many CPU threads inside the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _has_bfloat16(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= _FIRST_CAPABILITY_WITH_BFLOAT16
