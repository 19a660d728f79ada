"""How the report's numbers came to be, in plain words: accuracy, latency with its drift and its noise, training."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.hypervolume import box_fraction, reference_point, study_reference
from analysis.pareto import candidates, values_of
from analysis.report_executions import execution_words
from analysis.results import StudyResults
from analysis.wording import count, listed, significant, size_text, times, value_text
from trainables.measurements import ArchitectureProfile, DeviceFacts
from trainables.metrics import Metric

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

_ENERGY = (
    "A board counts its energy as a whole. Of what it drew while a trial trained and was evaluated "
    "(shared_board_energy_joules), that above its idle power is shared out by a model: to each process seen on it, by "
    "the time for which its kernels were seen running, and that is the trial's energy (shared_energy_joules). The rest "
    "is nobody's (shared_energy_residual_joules): idle power, and all of it where no process was seen. A second of "
    "kernels costs the same in this model, whoever's they are, and what a process drew that was not seen falls to the "
    "others. Each trial's energy is of its own window: those of trials beside each other do not add up to the board's."
)

_FROM_THE_FRONT = "the worst values on the front, moved outward by 10 % of its ranges"
_STORED = "it was stored with the study, so that it stays the same as trials are added."
_CHOSEN = (
    "the worst value of each objective among the {}, moved outward by 10 % of its range. It is chosen anew as trials "
    "finish, and those that were stopped early are not among them."
)


def measured(results: StudyResults) -> list[str]:
    """How each number was measured, and on what."""
    validation = (
        "Accuracy is the share of validation images classified correctly after the last epoch; the validation images "
        "were cut from the training images and never trained on. Only trials that ran their full budget are compared."
    )
    grown = [*_outputs_words(results), *_reference_words(results)]
    if results.profiles is None:
        return [validation, *grown, "Latency and utilisation have not been measured yet."]
    profiles = [*results.profiles.students.values(), results.profiles.teacher]
    devices = list(dict.fromkeys(_device_text(profile.device) for profile in profiles))
    alone = f"Every architecture was measured alone on its device: {'; '.join(devices)}."
    students = [training for each in results.profiles.students.values() for training in each.trainings]
    executions = execution_words(students, profiles[0].device)
    training = [*_training_words(profiles), *executions, *_energy_words(results)]
    return [validation, *grown, alone, *_latency_words(profiles), *training]


def _outputs_words(results: StudyResults) -> list[str]:
    """How students were told their teacher's logits on augmented views; nothing where none learned from these alone."""
    outputs = results.outputs
    if outputs is None:
        return []
    live = f"The teacher was run beside the {'other ' if outputs.num_views else ''}students of the search"
    live += " that learn from its logits on augmented views."
    if not outputs.num_views:
        return [live]
    fewer = times(outputs.replaced_passes, outputs.num_views, "fewer", "more")
    text = (
        f"The teacher's logits on the students' augmented views were stored before the search, for "
        f"{count(outputs.num_views, 'view')} of every training image ({size_text(outputs.num_bytes)}), and looked up "
        f"by the students that learn from nothing else of it: {fewer} passes of the teacher over the images than "
        "beside each of them, trained to its end. These students share one training seed, and with it their views; "
        "what they look up is what the teacher would say there, but for rounding."
    )
    if results.verification is not None:
        is_stored = results.record.config.get("teacher", {}).get("outputs") == "stored"
        how = "they were stored for each seed" if is_stored else "the teacher was run beside the students"
        text += f" Verification trains with fresh seeds, whose views are others: there {how}."
    return [text, *([live] if outputs.live_passes else [])]


def _reference_words(results: StudyResults) -> list[str]:
    """From which point the hypervolume is measured, and what it would be from another."""
    objectives = results.objectives
    known = candidates(results.trials, objectives)
    if not known:
        return []
    values, front_values = values_of(known, objectives), values_of(results.front, objectives)
    reference = study_reference(values, objectives, results.stored_reference)
    others = [] if not reference.is_stored else [("that of the finished trials", reference_point(values, objectives))]
    others.append((_FROM_THE_FRONT, reference_point(front_values, objectives)))
    told = [
        f"{100 * box_fraction(values, objectives, point):.1f} % from {where} ({_point_text(point, objectives)})"
        for where, point in others
    ]
    share = f"{100 * box_fraction(values, objectives, reference.values):.1f} %"
    how = _STORED if reference.is_stored else _CHOSEN.format(count(len(known), "finished trial"))
    text = (
        f"The hypervolume is measured from {_point_text(reference.values, objectives)}, the reference point: {how} "
        f"The front does not depend on it, the hypervolume does: it is {share} of the box between that point and the "
        f"best value of each objective, and would be {listed(told)}. Studies are to be compared from one and the same "
        "point."
    )
    return [text]


def _point_text(point: NDArray[np.float64], objectives: Sequence[Metric]) -> str:
    return listed([f"{value_text(each, value)} {each.label}" for each, value in zip(objectives, point, strict=True)])


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


def _energy_words(results: StudyResults) -> list[str]:
    """How a board's energy was shared out among trials beside each other; nothing where no board counted any."""
    names = ("shared_board_energy_joules", "shared_energy_joules", "shared_energy_residual_joules")
    told = [tuple(trial.metrics.get(name) for name in names) for trial in results.trials]
    counted = [each for each in told if each[0] is not None]
    if not counted:
        return []
    shares = [nobody / board for board, _, nobody in counted if board and nobody is not None]
    text = _ENERGY
    if shares:
        low, high = (f"{100 * share:.0f}" for share in (min(shares), max(shares)))
        text += f" In the last epochs of these trials {low if low == high else f'{low} to {high}'} % were nobody's."
    num_known = sum(own is not None for _, own, _ in counted)
    if num_known < len(counted):
        text += (
            f" Of {count(len(counted), 'trial')} with a known energy of the board, {num_known} have one of their own: "
            "it is unknown where no idle power was measured, where the process was not seen running, and in a "
            "container, in which the board's numbers of processes are the host's (unless it shares them: --pid=host)."
        )
    return [text]
