"""Every number a trial may report, declared once: its name, unit and direction. Signs flip in `as_minimized` alone."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Direction(StrEnum):
    """Which way a metric gets better; the values are Optuna's own."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


class Source(StrEnum):
    """How a number came to be, which decides whether it may steer a search."""

    TRAINING = "training"  # computed from the student itself, whatever else ran
    ISOLATED = "isolated"  # measured in `profile`, alone on the device
    SHARED = "shared"  # sampled while other trials ran on the same device: shown, never an objective


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a trial. `unit` is "" for a pure number; a fraction lies in [0, 1]."""

    name: str
    label: str
    unit: str
    direction: Direction
    source: Source

    @property
    def axis_title(self) -> str:
        """Label and unit, as an axis shows them."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


def _declare(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


_UP, _DOWN = Direction.MAXIMIZE, Direction.MINIMIZE

METRICS = _declare(
    Metric("validation_accuracy", "validation accuracy", "fraction", _UP, Source.TRAINING),
    Metric("validation_nll", "validation negative log-likelihood", "nats", _DOWN, Source.TRAINING),
    Metric("validation_agreement", "agreement with the teacher on validation", "fraction", _UP, Source.TRAINING),
    Metric("train_loss", "training loss", "nats", _DOWN, Source.TRAINING),
    Metric("num_method_parameters", "parameters of the method beside the network", "", _DOWN, Source.TRAINING),
    Metric("num_parameters", "parameters", "", _DOWN, Source.ISOLATED),
    Metric("forward_flops_per_image", "forward work per image", "FLOP", _DOWN, Source.ISOLATED),
    Metric("train_images_per_s", "training speed, alone on the device", "images/s", _UP, Source.ISOLATED),
    Metric("train_mfu_fraction", "model FLOPs utilisation in training", "fraction", _UP, Source.ISOLATED),
    Metric("gpu_utilization_fraction", "GPU utilisation in training", "fraction", _UP, Source.ISOLATED),
    Metric("cpu_utilization_fraction", "CPU utilisation in training", "fraction", _UP, Source.ISOLATED),
    Metric("peak_memory_mib", "peak device memory in training", "MiB", _DOWN, Source.ISOLATED),
    Metric("energy_joules_per_image", "energy per trained image", "J", _DOWN, Source.ISOLATED),
    Metric("train_seconds", "seconds of this epoch's training", "s", _DOWN, Source.SHARED),
    Metric("evaluation_seconds", "seconds of this epoch's evaluation", "s", _DOWN, Source.SHARED),
    Metric("shared_cpu_utilization_fraction", "CPU utilisation, shared", "fraction", _UP, Source.SHARED),
    Metric("shared_gpu_utilization_fraction", "GPU utilisation, shared", "fraction", _UP, Source.SHARED),
    Metric("shared_train_mfu_fraction", "model FLOPs utilisation in training, shared", "fraction", _UP, Source.SHARED),
    Metric("process_gpu_utilization_fraction", "GPU utilisation of the trial alone", "fraction", _UP, Source.SHARED),
    Metric("num_co_tenants", "other trials on the device", "", _DOWN, Source.SHARED),
    Metric("num_gpu_co_tenants", "other processes on the GPU, mean of its samples", "", _DOWN, Source.SHARED),
    Metric("shared_board_energy_joules", "energy of the whole board in this epoch", "J", _DOWN, Source.SHARED),
    Metric("shared_energy_joules", "the trial's part of the board's energy, by a model", "J", _DOWN, Source.SHARED),
    Metric("shared_energy_residual_joules", "nobody's part of the board's energy", "J", _DOWN, Source.SHARED),
    Metric("process_gpu_memory_mib", "GPU memory of the trial's process", "MiB", _DOWN, Source.SHARED),
    Metric("process_memory_mib", "resident memory of the trial's process", "MiB", _DOWN, Source.SHARED),
)

NEEDS_GPU = frozenset({"gpu_utilization_fraction", "peak_memory_mib", "energy_joules_per_image"})

_LATENCY = re.compile(r"latency_(p50|p90|p99)_ms_batch([1-9][0-9]*)")


def metric(name: str, own: Iterable[Metric] = ()) -> Metric:
    """The metric called `name`; latencies exist for every percentile (50, 90, 99) and inference batch size.

    Args:
        name: of the metric.
        own: those that a study has beside them (`StudyConfig.own_metrics`, `StudyRecord.own_metrics`).

    Raises:
        ValueError: there is no such metric; the message lists all that there are.
    """
    known = METRICS | _declare(*own)
    if name in known:
        return known[name]
    match = _LATENCY.fullmatch(name)
    if match is None:
        allowed = ", ".join([*known, "latency_p50_ms_batch<N>", "latency_p90_ms_batch<N>", "latency_p99_ms_batch<N>"])
        raise ValueError(f'unknown metric "{name}": allowed are {allowed}')
    percentile, batch_size = match.groups()
    return Metric(name, f"{percentile} latency at batch {batch_size}", "ms", Direction.MINIMIZE, Source.ISOLATED)


def is_metric(name: str, own: Iterable[Metric] = ()) -> bool:
    """Whether `name` is a metric's, one of a study's `own` among them."""
    return name in METRICS or _LATENCY.fullmatch(name) is not None or any(each.name == name for each in own)


def latency_name(percentile: int, batch_size: int) -> str:
    """Name of a latency metric, for example ``latency_p50_ms_batch1``."""
    return f"latency_p{percentile}_ms_batch{batch_size}"


def latency_batch_size(name: str) -> int | None:
    """The inference batch size in a latency metric's name; None for every other metric."""
    match = _LATENCY.fullmatch(name)
    return int(match.group(2)) if match else None


def as_minimized(values: NDArray[np.float64], metrics: Sequence[Metric]) -> NDArray[np.float64]:
    """The same points with every column turned so that less is better; its own inverse.

    Args:
        values: shape (points, metrics), in the metrics' own units.
        metrics: one for each column.
    """
    signs = np.array([-1.0 if each.direction is Direction.MAXIMIZE else 1.0 for each in metrics])
    turned: NDArray[np.float64] = np.asarray(values, dtype=np.float64) * signs
    return turned
