"""Training speed at one batch size, alone on the device: images/s, the share of the peak, memory and energy."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from trainables.hardware import latency_statistics as statistics
from trainables.hardware.device import fixed_num_threads, synchronize
from trainables.hardware.energy import MIN_ENERGY_WINDOW_S
from trainables.hardware.settings import ProfileSettings
from trainables.hardware.telemetry import Reading, Telemetry, cpu_utilization_fraction, mean_of_known
from trainables.measurements import TrainingMeasurement

Clock = Callable[[], int]  # nanoseconds, monotonic

MIN_BLOCKS = 5

_READING_PERIOD_S = 0.5  # NVML takes milliseconds, in which the device is idle: seldom enough not to show
_NVML_PERIOD_S = 1.0  # NVML's utilisation is of up to the last second: that long a warm-up leaves nothing else in it
_BLOCKS = 16
_WARM_UP_SHARE = 0.2
_MIN_WARM_UP_STEPS = 2
_FIRST_STEPS = 3  # compiling takes place in the first, recording a graph in the second, the third replays it
_BYTES_PER_MIB = 1024.0**2


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen while training: images and seconds of each block, and the readings from before it to after it."""

    block_images: tuple[int, ...]
    block_seconds: tuple[float, ...]
    readings: tuple[Reading, ...]
    seconds: float  # from the first reading to the last


def mfu_fraction(flops_per_image: float, images_per_s: float, peak_flops_per_s: float | None) -> float | None:
    """Model FLOPs utilisation (Chowdhery et al. 2022, PaLM): useful FLOP/s over the peak; None without a peak."""
    return None if peak_flops_per_s is None else flops_per_image * images_per_s / peak_flops_per_s


def shared_mfu_fraction(isolated: Mapping[str, float | None], *, num_images: int, seconds: float) -> float | None:
    """Model FLOPs utilisation of a student that is trained beside others, by its work.

    Of the same network, alone, at the same batch size, ``mfu = flops_per_image * images_per_s / peak``: work and peak
    are those of the profile, and the speed alone is another. As there, work is the network's own forward and backward
    pass: what a method does beside it, or a teacher that is run, is time without work.

    Args:
        isolated: metrics from the profile, `train_mfu_fraction` and `train_images_per_s` among them.
        num_images: trained on.
        seconds: that it took.

    Returns:
        None where the profile has no peak, or did not train at this batch size.
    """
    alone, images_per_s = isolated.get("train_mfu_fraction"), isolated.get("train_images_per_s")
    if alone is None or not images_per_s or seconds <= 0.0:
        return None
    return alone * (num_images / seconds) / images_per_s


def energy_joules_per_image(
    begin: Reading, end: Reading, *, seconds: float, num_images: int, idle_watts: float | None
) -> float | None:
    """Energy above idle of one trained image.

    Args:
        begin: reading at the start of the window.
        end: reading at its end.
        seconds: length of the window.
        num_images: trained within it.
        idle_watts: of the board when nothing runs.

    Returns:
        Joules; None where the board does not count, idle is unknown, the window is shorter than 2 s, or the board drew
        no more than at idle (then the difference is noise).
    """
    if begin.energy_joules is None or end.energy_joules is None or idle_watts is None:
        return None
    above_idle = end.energy_joules - begin.energy_joules - idle_watts * seconds
    return above_idle / num_images if seconds >= MIN_ENERGY_WINDOW_S and above_idle > 0.0 else None


def measure_idle_watts(
    telemetry: Telemetry,
    *,
    seconds: float = MIN_ENERGY_WINDOW_S,
    clock: Clock = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> float | None:
    """Power of the board when nothing runs on it; None, at once, where it does not count its energy."""
    begin, began_ns = telemetry.read(), clock()
    if begin.energy_joules is None:
        return None
    sleep(seconds)
    end, ended_ns = telemetry.read(), clock()
    if end.energy_joules is None or ended_ns <= began_ns:
        return None
    return (end.energy_joules - begin.energy_joules) / ((ended_ns - began_ns) / 1e9)


def measure_training(
    step: Callable[[], int],
    *,
    batch_size: int,
    flops_per_image: float,
    peak_flops_per_s: float | None,
    device: torch.device,
    num_threads: int,
    settings: ProfileSettings,
    telemetry: Telemetry,
    idle_watts: float | None,
    clock: Clock = time.perf_counter_ns,
) -> TrainingMeasurement:
    """Run training steps until the window is full, and say what they did to the device.

    Steps are timed in blocks, the device synchronised at both ends of each, so that within a block the device may run
    behind the host as it does in training. Peak memory is that of the caching allocator's tensors, first steps
    included; on a CPU it is None (a process's memory is not the student's).

    Args:
        step: runs one optimiser step on one batch, on `device`, and returns the number of images in it.
        batch_size: images in a batch, for the record.
        flops_per_image: forward and backward, from `peaks.training_flops_per_image`.
        peak_flops_per_s: from `peaks.measured_peak_flops_per_s`; None leaves MFU unknown.
        device: where `step` runs; nothing else may run there.
        num_threads: CPU threads that the trial gets.
        settings: length of the window.
        telemetry: from `device.telemetry_for`.
        idle_watts: from `measure_idle_watts`, once for each device.
        clock: monotonic, in ns.
    """
    on_cuda = device.type == "cuda"
    if on_cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    seconds = settings.seconds_per_training_batch_size
    warm_up_s = max(_WARM_UP_SHARE * seconds, _NVML_PERIOD_S if on_cuda else 0.0)
    window_s = seconds if telemetry.read().energy_joules is None else max(seconds, MIN_ENERGY_WINDOW_S)
    with fixed_num_threads(num_threads):
        step_s = _warm_up(step, device, warm_up_s, clock)
        block_steps = max(1, math.ceil(window_s / _BLOCKS / step_s))
        window = _observe(step, block_steps, device=device, seconds=window_s, telemetry=telemetry, clock=clock)
    return summarize(
        window,
        batch_size=batch_size,
        flops_per_image=flops_per_image,
        peak_flops_per_s=peak_flops_per_s,
        num_threads=num_threads,
        idle_watts=idle_watts,
        peak_memory_mib=torch.cuda.max_memory_allocated(device) / _BYTES_PER_MIB if on_cuda else None,
    )


def measure_speed(
    step: Callable[[], int],
    *,
    device: torch.device,
    num_threads: int,
    seconds: float,
    telemetry: Telemetry,
    clock: Clock = time.perf_counter_ns,
) -> tuple[float, float]:
    """Run training steps for a short time.

    Args:
        step: as that of `measure_training`.
        device: where it runs; nothing else may run there.
        num_threads: CPU threads that the trial gets.
        seconds: of the window.
        telemetry: from `device.telemetry_for`.
        clock: monotonic, in ns.

    Returns:
        Images/s, and the seconds that the first steps took longer than as many of those after them.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
    with fixed_num_threads(num_threads):
        started = clock()
        for _ in range(_FIRST_STEPS):
            step()
        synchronize(device)
        first_s = (clock() - started) / 1e9
        step_s = _warm_up(step, device, _WARM_UP_SHARE * seconds, clock)
        block_steps = max(1, math.ceil(seconds / _BLOCKS / step_s))
        window = _observe(step, block_steps, device=device, seconds=seconds, telemetry=telemetry, clock=clock)
    images_per_s = float(np.median(np.array(window.block_images) / np.array(window.block_seconds)))
    block_s = float(np.median(window.block_seconds))
    return images_per_s, max(0.0, first_s - _FIRST_STEPS * block_s / block_steps)


def summarize(
    window: Window,
    *,
    batch_size: int,
    flops_per_image: float,
    peak_flops_per_s: float | None,
    num_threads: int,
    idle_watts: float | None,
    peak_memory_mib: float | None,
) -> TrainingMeasurement:
    """The record of a window: speed as the median over its blocks, counters from its first reading to its last."""
    rates = np.array(window.block_images) / np.array(window.block_seconds)
    images_per_s = float(np.median(rates))
    begin, end = window.readings[0], window.readings[-1]
    return TrainingMeasurement(
        batch_size=batch_size,
        images_per_s=images_per_s,
        relative_iqr_fraction=statistics.relative_iqr_fraction(rates),
        is_stable=statistics.is_stable(rates),
        flops_per_image=flops_per_image,
        mfu_fraction=mfu_fraction(flops_per_image, images_per_s, peak_flops_per_s),
        cpu_utilization_fraction=cpu_utilization_fraction(begin, end, seconds=window.seconds, num_threads=num_threads),
        gpu_utilization_fraction=mean_of_known([each.gpu_utilization_fraction for each in window.readings]),
        peak_memory_mib=peak_memory_mib,
        energy_joules_per_image=energy_joules_per_image(
            begin, end, seconds=window.seconds, num_images=sum(window.block_images), idle_watts=idle_watts
        ),
    )


def _warm_up(step: Callable[[], int], device: torch.device, seconds: float, clock: Clock) -> float:
    """Run for so long (at least 2 steps); seconds of the shortest step, above 0."""
    shortest_ns, num_steps, deadline = math.inf, 0, clock() + int(seconds * 1e9)
    while num_steps < _MIN_WARM_UP_STEPS or clock() < deadline:
        start = clock()
        step()
        synchronize(device)
        shortest_ns = min(shortest_ns, clock() - start)
        num_steps += 1
    return max(shortest_ns, 1.0) / 1e9


def _observe(
    step: Callable[[], int],
    block_steps: int,
    *,
    device: torch.device,
    seconds: float,
    telemetry: Telemetry,
    clock: Clock,
) -> Window:
    images: list[int] = []
    block_seconds: list[float] = []
    readings = [telemetry.read()]
    began_ns = read_ns = clock()
    while len(images) < MIN_BLOCKS or clock() < began_ns + int(seconds * 1e9):
        start = clock()
        images.append(sum(step() for _ in range(block_steps)))
        synchronize(device)
        block_seconds.append((clock() - start) / 1e9)
        if clock() - read_ns >= int(_READING_PERIOD_S * 1e9):
            readings.append(telemetry.read())
            read_ns = clock()
    readings.append(telemetry.read())
    return Window(tuple(images), tuple(block_seconds), tuple(readings), (clock() - began_ns) / 1e9)
