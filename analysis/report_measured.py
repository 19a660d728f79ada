"""How the report's numbers came to be, in plain words: accuracy, latency with its drift and its noise, training."""

from collections.abc import Sequence

from analysis.results import StudyResults
from analysis.wording import count, listed, significant
from trainables.measurements import ArchitectureProfile, DeviceFacts

_DRIFT = (
    "Drift is corrected: the reported latency is what the network would take while the reference network runs at its "
    "undisturbed speed, as timed when the profile began. The wall time as observed is p50 x (1 + drift), where drift "
    "is the change of the reference (reference_drift_fraction in profiles.json): positive where the device was slower."
)
_RESOLUTION = (
    "Two latencies count as told apart when they differ by more than the 95 % intervals of their medians reach, added. "
    "Where a measurement did not settle, its interval is moved out each way by the relative interquartile range of its "
    "runs, and the difference between the two drifts is added: a change of speed that both saw alike keeps their order."
)


def measured(results: StudyResults) -> list[str]:
    """How each number was measured, and on what."""
    validation = (
        "Accuracy is the share of validation images classified correctly after the last epoch; the validation images "
        "were cut from the training images and never trained on. Only trials that ran their full budget are compared."
    )
    if results.profiles is None:
        return [validation, "Latency and utilisation have not been measured yet."]
    profiles = [*results.profiles.students.values(), results.profiles.teacher]
    devices = list(dict.fromkeys(_device_text(profile.device) for profile in profiles))
    alone = f"Every architecture was measured alone on its device: {'; '.join(devices)}."
    return [validation, alone, *_latency_words(profiles), *_training_words(profiles)]


def _device_text(device: DeviceFacts) -> str:
    text = f"{device.name} ({device.kind}, {count(device.num_threads, 'thread')}, {device.precision})"
    if device.peak_flops_per_s is not None:
        text += f", {significant(device.peak_flops_per_s / 1e9)} GFLOP/s in a large matrix product"
    return text


def _latency_words(profiles: Sequence[ArchitectureProfile]) -> list[str]:
    latencies = [latency for profile in profiles for latency in profile.latencies]
    if not latencies:
        return []
    runs = [latency.num_runs for latency in latencies]
    unstable = sum(not latency.is_stable for latency in latencies)
    sizes_text = listed([str(size) for size in sorted({latency.batch_size for latency in latencies})])
    drift = max(abs(latency.reference_drift_fraction) for latency in latencies)
    text = (
        f"Latency is the time of one forward pass in evaluation mode at batch {sizes_text}, after warming up, with the "
        f"device synchronised around each of {_range_text(runs)} runs; p50, p90 and p99 are its percentiles. A fixed "
        f"reference network, timed around each measurement, changed by at most {100 * drift:.1f} %."
    )
    if unstable:
        text += f" {count(unstable, 'measurement')} of {len(latencies)} did not settle and must be read with care."
    return [text, _DRIFT, _RESOLUTION]


def _range_text(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _training_words(profiles: Sequence[ArchitectureProfile]) -> list[str]:
    trainings = [training for profile in profiles for training in profile.trainings]
    if not trainings:
        return []
    text = (
        "Training was timed on the share of the device that one trial gets. MFU is the floating-point operations of "
        "the forward and backward pass (a multiply-accumulate counts as 2) over the time and the peak named above."
    )
    if all(training.gpu_utilization_fraction is None for training in trainings):
        text += (
            " There was no GPU, so that GPU utilisation is unknown; CPU utilisation is processor time over wall time "
            "and threads."
        )
    if all(training.energy_joules_per_image is None for training in trainings):
        text += " Energy is unknown on this device."
    return [text]
