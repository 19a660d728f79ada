"""Latency of one network, alone on its device: warmed up, synchronised, beside a reference that shows the drift."""

import contextlib
import gc
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trainables.config import Precision
from trainables.hardware import latency_statistics as statistics
from trainables.hardware.device import CudaEvents, autocast, fixed_num_threads, synchronize
from trainables.hardware.latency_statistics import Times
from trainables.hardware.settings import ProfileSettings
from trainables.measurements import LatencyMeasurement
from trainables.randomness import generator

Clock = Callable[[], int]  # nanoseconds, monotonic

NUM_RUNS = 662  # from here on p99 has a bound
MIN_RUNS = 30
MIN_WARM_UP_RUNS = 50
MAX_WARM_UP_DRIFT_FRACTION = 0.01
MAX_CANCELLED_DRIFT_FRACTION = 0.10  # beyond, a change of speed is no longer believed to hit every network alike

_BLOCK_MS = 50.0
_MAX_RUNS_PER_BLOCK = 64
_REFERENCE_RUNS = 10
_ANCHOR_GROUPS = 20
_MIN_WARM_UP_RUNS_OUT_OF_TIME = 3
_CLOCK_TOLERANCE = 1.02


@dataclass(frozen=True, slots=True)
class Reference:
    """A fixed small network and how fast it was when the profile began: made once, passed to every measurement.

    All architectures of a profile share the anchor, so each latency stands as if the device had kept that speed.
    """

    forward: Callable[[], object]
    anchor_ms: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """The runs of one attempt, drift cancelled."""

    times_ms: Times
    drift_fraction: float
    clocks_agree: bool

    @property
    def is_stable(self) -> bool:
        """Whether the runs held still, the device kept its speed, and the two clocks do not contradict each other."""
        return (
            statistics.is_stable(self.times_ms)
            and abs(self.drift_fraction) <= MAX_CANCELLED_DRIFT_FRACTION
            and self.clocks_agree
        )


def clocks_agree(host: Times, device: Times | None) -> bool:
    """Whether the host saw the device's work end: its median is not shorter (by 2 %) than that of the CUDA events."""
    return device is None or float(np.median(device)) <= _CLOCK_TOLERANCE * float(np.median(host))


def is_warm(times: Times) -> bool:
    """Whether at least 50 runs were made and the last 25 differ from the 25 before by less than 1 % in their median."""
    if times.size < MIN_WARM_UP_RUNS:
        return False
    half = MIN_WARM_UP_RUNS // 2
    last, before = np.median(times[-half:]), np.median(times[-2 * half : -half])
    return bool(abs(last / before - 1.0) < MAX_WARM_UP_DRIFT_FRACTION)


def runs_per_block(run_ms: float) -> int:
    """How many runs stand between two looks at the reference: about 50 ms of them, 1 to 64."""
    return max(1, min(_MAX_RUNS_PER_BLOCK, math.ceil(_BLOCK_MS / run_ms)))


def make_reference(
    device: torch.device,
    *,
    precision: Precision,
    settings: ProfileSettings,
    anchor_ms: float | None = None,
    clock: Clock = time.perf_counter_ns,
) -> Reference:
    """Build the reference network (two convolutions, 8 images of 16 x 28 x 28) and take its anchor on this device.

    An `anchor_ms` taken earlier on the same device makes latencies of both occasions comparable; None takes it now.
    """
    with torch.random.fork_rng(devices=[]):  # its weights must not move the caller's random stream
        network = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2), nn.ReLU())
    forward = _forward(network, (16, 28, 28), 8, device, precision)
    with _undisturbed(settings.num_threads):
        stopwatch = _Stopwatch(device, clock)
        _warm_up(forward, stopwatch, settings)
        if anchor_ms is None:
            groups = [stopwatch.run(forward, 2 * _REFERENCE_RUNS)[0] for _ in range(_ANCHOR_GROUPS)]
            anchor_ms = statistics.anchor(groups)
    return Reference(forward, anchor_ms)


def measure_latency(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    batch_size: int,
    *,
    device: torch.device,
    precision: Precision,
    settings: ProfileSettings,
    reference: Reference,
    clock: Clock = time.perf_counter_ns,
) -> LatencyMeasurement:
    """Time forward passes of `model` at one batch size, and say how far to trust the result.

    After warm-up at most `settings.max_attempts` attempts are made, each of 662 runs or of
    `settings.seconds_per_batch_size`, whichever ends first, but never fewer than 30 runs. The first stable attempt is
    kept, else the one with the least spread, marked as not stable. Times are the host's, from the call until the device
    is idle again, with the drift of the reference cancelled (`latency_statistics.cancel_drift`). Weights are cast anew
    in each run under bfloat16 autocast, as in any evaluation.

    Args:
        model: moved to `device` and to channels-last in place; its mode (train or eval) is put back.
        input_shape: (channels, height, width) of one image.
        batch_size: images in a forward pass.
        device: where it runs; nothing else may run there.
        precision: "bfloat16" runs under autocast.
        settings: threads, budget, attempts.
        reference: of the same device, precision and thread count.
        clock: monotonic, in ns.
    """
    was_training = model.training
    forward = _forward(model.eval(), input_shape, batch_size, device, precision)
    attempts: list[Attempt] = []
    try:
        with _undisturbed(settings.num_threads):
            stopwatch = _Stopwatch(device, clock)
            block_runs = runs_per_block(_warm_up(forward, stopwatch, settings))
            while len(attempts) < settings.max_attempts and not (attempts and attempts[-1].is_stable):
                attempts.append(_attempt(forward, block_runs, reference, stopwatch, settings))
    finally:
        model.train(was_training)
    best = min(attempts, key=lambda each: (not each.is_stable, statistics.relative_iqr_fraction(each.times_ms)))
    return summarize(best, batch_size=batch_size, num_attempts=len(attempts))


def summarize(attempt: Attempt, *, batch_size: int, num_attempts: int) -> LatencyMeasurement:
    """The record of an attempt of at least 6 runs."""
    times = attempt.times_ms
    low, high = statistics.median_interval(times)
    return LatencyMeasurement(
        batch_size=batch_size,
        num_runs=times.size,
        p50_ms=statistics.percentile(times, 50),
        p90_ms=statistics.percentile(times, 90),
        p99_ms=statistics.percentile(times, 99),
        p50_low_ms=low,
        p50_high_ms=high,
        p90_bound_ms=statistics.percentile_bound(times, 90),
        p99_bound_ms=statistics.percentile_bound(times, 99),
        relative_iqr_fraction=statistics.relative_iqr_fraction(times),
        reference_drift_fraction=attempt.drift_fraction,
        num_attempts=num_attempts,
        is_stable=attempt.is_stable,
    )


def _forward(
    model: nn.Module, input_shape: tuple[int, int, int], batch_size: int, device: torch.device, precision: Precision
) -> Callable[[], Tensor]:
    network = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images_NCHW = torch.rand(batch_size, *input_shape, generator=generator(0, "latency"))
    images_NCHW = images_NCHW.to(device=device, memory_format=torch.channels_last)

    def forward() -> Tensor:
        with autocast(device, precision):
            logits_NC: Tensor = network(images_NCHW)
        return logits_NC

    return forward


@contextlib.contextmanager
def _undisturbed(num_threads: int) -> Iterator[None]:
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        with fixed_num_threads(num_threads), torch.inference_mode():
            yield
    finally:
        if was_collecting:
            gc.enable()


@dataclass(frozen=True, slots=True)
class _Stopwatch:
    """Times runs by the host's clock and, on CUDA, by events as well."""

    device: torch.device
    clock: Clock

    def deadline_ns(self, seconds: float) -> int:
        return self.clock() + int(seconds * 1e9)

    def run(self, forward: Callable[[], object], num_runs: int) -> tuple[Times, Times | None]:
        """Times in ms: (runs,) of the host, and (runs,) of the device or None."""
        host_ms = np.empty(num_runs)
        events = CudaEvents(self.device) if self.device.type == "cuda" else None
        device_ms = None if events is None else np.empty(num_runs)
        for run in range(num_runs):
            synchronize(self.device)
            start = self.clock()
            with events or contextlib.nullcontext():
                forward()
            synchronize(self.device)
            host_ms[run] = (self.clock() - start) / 1e6
            if events is not None and device_ms is not None:
                device_ms[run] = events.elapsed_ms
        return host_ms, device_ms


def _warm_up(forward: Callable[[], object], stopwatch: _Stopwatch, settings: ProfileSettings) -> float:
    """Run until warm or for half the budget (at least 3 runs); the median of the last runs, in ms."""
    times: Times = np.empty(0)
    deadline = stopwatch.deadline_ns(settings.seconds_per_batch_size / 2)
    while not is_warm(times) and (times.size < _MIN_WARM_UP_RUNS_OUT_OF_TIME or stopwatch.clock() < deadline):
        times = np.append(times, stopwatch.run(forward, 1)[0])
    return float(np.median(times[-MIN_WARM_UP_RUNS // 2 :]))


def _attempt(
    forward: Callable[[], object],
    block_runs: int,
    reference: Reference,
    stopwatch: _Stopwatch,
    settings: ProfileSettings,
) -> Attempt:
    blocks: list[Times] = []
    on_device: list[Times] = []
    references = [stopwatch.run(reference.forward, _REFERENCE_RUNS)[0]]
    num_runs, deadline = 0, stopwatch.deadline_ns(settings.seconds_per_batch_size)
    while num_runs < MIN_RUNS or (num_runs < NUM_RUNS and stopwatch.clock() < deadline):
        host_ms, device_ms = stopwatch.run(forward, block_runs)
        blocks.append(host_ms)
        if device_ms is not None:
            on_device.append(device_ms)
        references.append(stopwatch.run(reference.forward, _REFERENCE_RUNS)[0])
        num_runs += block_runs
    times_ms, drift_fraction = statistics.cancel_drift(blocks, references, reference.anchor_ms)
    agree = clocks_agree(np.concatenate(blocks), np.concatenate(on_device) if on_device else None)
    return Attempt(times_ms, drift_fraction, agree)
