"""Which device and precision a trial runs on, and what must be kept beside a number measured there."""

import contextlib
import gc
import platform
from collections.abc import Iterator
from pathlib import Path

import torch

from trainables.config import Precision, RequestedPrecision
from trainables.hardware.gpu_share import memory_share
from trainables.hardware.nvml import open_telemetry
from trainables.hardware.telemetry import Telemetry
from trainables.measurements import DeviceFacts

_FIRST_CAPABILITY_WITH_TENSOR_FLOATS = (8, 0)  # Ampere: bfloat16 and TF32
_BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")  # of x86 and ARM: without them torch emulates it, slowly


def select_device() -> torch.device:
    """The first visible CUDA device, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def precision_for(device: torch.device, requested: RequestedPrecision) -> Precision:
    """The precision to train in: "auto" is bfloat16 autocast on a CUDA device that computes in it, float32 elsewhere.

    On a CPU float32 is what a seed's bits are promised in: there bfloat16 is for whoever asks for it.

    Raises:
        ValueError: bfloat16 is asked of a device that does not have it.
    """
    if requested == "auto":
        return "bfloat16" if has_tensor_floats(device) else "float32"
    if requested == "bfloat16" and not (has_tensor_floats(device) or _has_bfloat16_instructions(device)):
        raise ValueError(
            f'precision = "bfloat16", but device {device} ({device_name(device)}) has no bfloat16 units: '
            'allowed here are "auto" and "float32"; bfloat16 needs a CUDA device of compute capability 8.0 or newer, '
            "or a CPU with its instructions (AVX-512 BF16, AMX, ARM's BF16)"
        )
    return requested


def has_tensor_floats(device: torch.device) -> bool:
    """Whether it is a CUDA device whose tensor cores compute in bfloat16, and in TF32."""
    if device.type != "cuda":
        return False
    return torch.cuda.get_device_capability(device) >= _FIRST_CAPABILITY_WITH_TENSOR_FLOATS


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


def take_share(device: torch.device, *, cpus: float, gpus: float, context_mib: float | None = None) -> None:
    """Make this process one of several on a device: so many CPU threads, and of a GPU's memory no more than its share.

    A process that has trained before is left as a new one would be: its allocator's cache and peaks are emptied.

    Args:
        device: what the process computes on.
        cpus: threads, at least one.
        gpus: fraction of the GPU, in (0, 1]; 0 on a CPU.
        context_mib: of its memory that the process takes beside its allocator's, within its share; None: not measured.
    """
    torch.set_num_threads(max(1, int(cpus)))
    share = memory_share(device, gpus, context_mib)
    if share is not None:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.set_per_process_memory_fraction(share.allocator_fraction)


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
def tensor_float_products(device: torch.device, *, allowed: bool) -> Iterator[None]:
    """Let float32 convolutions and products on a GPU be of TF32 inside the context, or not; of no effect elsewhere."""
    if device.type != "cuda":
        yield
        return
    kinds = torch.backends.cudnn.conv, torch.backends.cuda.matmul  # type: ignore[attr-defined] # torch's types lack it
    before = [kind.fp32_precision for kind in kinds]
    for kind in kinds:
        kind.fp32_precision = "tf32" if allowed else "ieee"
    try:
        yield
    finally:
        for kind, precision in zip(kinds, before, strict=True):
            kind.fp32_precision = precision


@contextlib.contextmanager
def fixed_num_threads(num_threads: int) -> Iterator[None]:
    """Let torch compute on that many CPU threads inside the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _has_bfloat16_instructions(device: torch.device) -> bool:
    has = torch.cpu.get_capabilities()
    return device.type == "cpu" and any(has.get(name, False) for name in _BFLOAT16_INSTRUCTIONS)
