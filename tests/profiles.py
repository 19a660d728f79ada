"""Measurements as they come out of `profile`, with numbers made up for tests."""

from datetime import UTC, datetime

from trainables.config import ModelConfig
from trainables.measurements import ArchitectureProfile, DeviceFacts, LatencyMeasurement, TrainingMeasurement


def device_facts(*, name: str = "some processor", versions: dict[str, str] | None = None) -> DeviceFacts:
    return DeviceFacts(
        kind="cpu",
        name=name,
        num_threads=1,
        precision="float32",
        peak_flops_per_s=7e10,
        versions=versions or {"torch": "2", "python": "3.11"},
    )


def architecture_profile(
    model: ModelConfig, *, p50_ms: float = 0.2, batch_sizes: tuple[int, ...] = (64, 128)
) -> ArchitectureProfile:
    return ArchitectureProfile(
        model=model,
        num_parameters=1000,
        forward_flops_per_image=1e5,
        latencies=(
            LatencyMeasurement(
                batch_size=1,
                num_runs=662,
                p50_ms=p50_ms,
                p90_ms=1.1 * p50_ms,
                p99_ms=1.5 * p50_ms,
                p50_low_ms=0.99 * p50_ms,
                p50_high_ms=1.01 * p50_ms,
                p90_bound_ms=1.2 * p50_ms,
                p99_bound_ms=2 * p50_ms,
                relative_iqr_fraction=0.01,
                reference_drift_fraction=0.0,
                num_attempts=1,
                is_stable=True,
            ),
        ),
        trainings=tuple(
            TrainingMeasurement(
                batch_size=batch_size,
                images_per_s=5000.0,
                relative_iqr_fraction=0.01,
                is_stable=True,
                flops_per_image=3e5,
                mfu_fraction=0.02,
                cpu_utilization_fraction=0.99,
                gpu_utilization_fraction=None,
                peak_memory_mib=None,
                energy_joules_per_image=None,
            )
            for batch_size in batch_sizes
        ),
        device=device_facts(),
        measured_at=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=3.0,
    )
