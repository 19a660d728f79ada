"""Plausible profiles of networks of a given width, for tests."""

from datetime import UTC, datetime
from math import log2

from trainables.config import ModelConfig
from trainables.measurements import ArchitectureProfile, DeviceFacts, LatencyMeasurement, TrainingMeasurement

MEASURED_AT = datetime(2025, 5, 5, 12, 0, tzinfo=UTC)


def num_parameters(width: int) -> int:
    return 500 * width + 18 * width * width


def profile(model: ModelConfig, width: int, latency_ms: float, *, has_gpu: bool = False) -> ArchitectureProfile:
    latencies = [(1, latency_ms), (8, latency_ms * (1 + 0.25 * width**0.7)), (64, latency_ms * (1 + 2.0 * width**0.7))]
    return ArchitectureProfile(
        model=model,
        num_parameters=num_parameters(width),
        forward_flops_per_image=4e4 * width**1.7,
        latencies=tuple(latency(batch_size, median) for batch_size, median in latencies),
        trainings=tuple(training(width, batch_size, has_gpu=has_gpu) for batch_size in (64, 128, 256)),
        device=DeviceFacts(
            kind="cuda" if has_gpu else "cpu",
            name="Example GPU" if has_gpu else "Example CPU",
            num_threads=1,
            precision="float32",
            peak_flops_per_s=70e9,
            versions={"torch": "2.14.0", "python": "3.11.9"},
        ),
        measured_at=MEASURED_AT,
        seconds=3.5,
    )


def architecture_profile(model: ModelConfig, *, batch_sizes: tuple[int, ...] = (64, 128)) -> ArchitectureProfile:
    """A profile whose training speed is 5,000 images/s at every batch size."""
    trainings = tuple(
        training(1, batch_size).model_copy(update={"images_per_s": 5_000.0}) for batch_size in batch_sizes
    )
    return profile(model, 1, 0.2).model_copy(update={"trainings": trainings})


def latency(batch_size: int, median_ms: float) -> LatencyMeasurement:
    return LatencyMeasurement(
        batch_size=batch_size,
        num_runs=700,
        p50_ms=median_ms,
        p90_ms=1.06 * median_ms,
        p99_ms=1.22 * median_ms,
        p50_low_ms=0.985 * median_ms,
        p50_high_ms=1.02 * median_ms,
        p90_bound_ms=1.08 * median_ms,
        p99_bound_ms=1.4 * median_ms,
        relative_iqr_fraction=0.012,
        reference_drift_fraction=0.008,
        num_attempts=1,
        is_stable=batch_size != 8 or median_ms < 0.4,
    )


def training(width: int, batch_size: int, *, has_gpu: bool = False) -> TrainingMeasurement:
    mfu = min(0.6, 0.03 * width**0.85 * (batch_size / 64) ** 0.3)
    flops = 1.2e5 * width**1.7
    return TrainingMeasurement(
        batch_size=batch_size,
        images_per_s=mfu * 70e9 / flops,
        relative_iqr_fraction=0.015,
        is_stable=True,
        flops_per_image=flops,
        mfu_fraction=mfu,
        cpu_utilization_fraction=min(0.99, 0.88 + 0.02 * log2(width)),
        gpu_utilization_fraction=min(0.98, 0.5 + 0.1 * log2(width)) if has_gpu else None,
        peak_memory_mib=40.0 + width * batch_size / 64 if has_gpu else None,
        energy_joules_per_image=None,
    )
