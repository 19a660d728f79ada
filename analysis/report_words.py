"""What the report says in plain words: what was asked, what was found, how each number came to be."""

from collections.abc import Sequence

from analysis.findings import (
    ACCURACY,
    PARAMETERS,
    SizeComparison,
    accuracy,
    binomial_standard_error,
    compare_by_size,
    finished,
    num_by_state,
    smallest_within,
)
from analysis.pareto import cost_metric
from analysis.results import StudyResults
from analysis.students import Sizes, sizes, title
from analysis.timeline import SearchClock, closed_spans
from analysis.wording import count, duration, listed, points, significant, value_text
from trainables.measurements import ArchitectureProfile, DeviceFacts
from trainables.metrics import Direction
from trainables.records import TrialRecord, TrialState

WITHIN_TEACHER = 0.005
_STATE_WORDS = {
    TrialState.PRUNED: "stopped early",
    TrialState.FAILED: "failed",
    TrialState.RUNNING: "still running",
    TrialState.WAITING: "waiting",
}


def asked(results: StudyResults) -> list[str]:
    """What the study looked for, and in what."""
    wanted = [
        f"{'highest' if each.direction is Direction.MAXIMIZE else 'lowest'} {each.label} ({each.name})"
        for each in results.objectives
    ]
    config = results.record.config
    sentences = [f"Students were searched for the {listed(wanted)}."]
    space, search = config.get("space"), config.get("search")
    if isinstance(space, dict) and isinstance(search, dict):
        number = count(search["num_trials"], "trial")
        sentences.append(f'{number} of the space "{space["name"]}" were asked for.')
    if results.teacher is not None:
        teacher = results.teacher
        sentences.append(
            f"The teacher is {teacher.model.key}, trained on the labels for {count(teacher.epochs, 'epoch')} "
            f"in {duration(teacher.train_seconds)}."
        )
    return [" ".join(sentences)]


def found(results: StudyResults) -> list[str]:
    """The findings that a person acts on, each in a sentence or two, most important first."""
    sentences = [progress(results)]
    if not finished(results):
        return [*sentences, "There is no front yet: it needs a trial that ran its full budget."]
    return [
        *sentences,
        *_front_words(results),
        *_teacher_words(results),
        *_distillation_words(results),
        *noise(results),
    ]


def progress(results: StudyResults) -> str:
    """How many trials came to what."""
    counts = num_by_state(results)
    num_trials = sum(counts.values())
    if num_trials == 0:
        return "No trial has started yet."
    complete = counts[TrialState.COMPLETE]
    others = [f"{counts[state]} {words}" for state, words in _STATE_WORDS.items() if counts[state]]
    text = f"{complete} of {count(num_trials, 'trial')} ran the full budget"
    text += f" ({listed(others)})." if others else "."
    num_duplicates = sum(trial.duplicate_of is not None for trial in results.trials)
    if num_duplicates:
        text += f" {count(num_duplicates, 'proposal')} repeated an earlier trial and took its values without training."
    spans = [span for each in closed_spans(results.trials).values() for span in each]
    if spans:
        clock = SearchClock.over(spans)
        text += f" The search has taken {duration(clock.seconds(max(span.end for span in spans)))}."
    if counts[TrialState.RUNNING] or counts[TrialState.WAITING]:
        text = f"The search is not over, this is its state so far. {text}"
    return text


def _front_words(results: StudyResults) -> list[str]:
    front, named = results.front, sizes(results)
    if not front:
        return ["There is no front yet: no finished trial knows all the objectives."]
    ends = [front[0], front[-1]] if len(front) > 1 else [front[0]]
    described = [f"{title(trial, named)} with {_objectives_text(results, trial)}" for trial in ends]
    stand = "stands" if len(front) == 1 else "stand"
    where = f"from {described[0]} to {described[1]}" if len(described) == 2 else described[0]
    return [f"{count(len(front), 'student')} {stand} on the front: {where}."]


def _objectives_text(results: StudyResults, trial: TrialRecord) -> str:
    return listed([f"{value_text(each, trial.metrics.get(each.name))} {each.label}" for each in results.objectives])


def _teacher_words(results: StudyResults) -> list[str]:
    if results.teacher is None:
        return ["The teacher has not been trained yet, so that nothing can be said about the distance to it."]
    teacher, named = results.teacher, sizes(results)
    reaches = f"The teacher reaches {value_text(ACCURACY, teacher.validation_accuracy)} on validation"
    chosen = smallest_within(results, WITHIN_TEACHER)
    if chosen is None:
        nearest = max(finished(results), key=accuracy)
        gap = 100 * (teacher.validation_accuracy - accuracy(nearest))
        text = f"{reaches}. No student comes within {100 * WITHIN_TEACHER:g} points of it yet; the nearest is "
        return [f"{text}{title(nearest, named)}, {gap:.2f} points below."]
    fewer = teacher.num_parameters / (chosen.metrics[PARAMETERS.name] or 1.0)
    text = (
        f"{reaches}. The smallest student within {100 * WITHIN_TEACHER:g} points of it is {title(chosen, named)}: "
        f"{value_text(ACCURACY, accuracy(chosen))} with 1/{significant(fewer)} of its parameters"
    )
    cost = cost_metric(results.objectives)
    theirs, its = results.teacher_metrics.get(cost.name), chosen.metrics.get(cost.name)
    if cost.direction is Direction.MINIMIZE and cost != PARAMETERS and theirs and its:
        text += f" and 1/{significant(theirs / its)} of its {cost.label}"
    return [f"{text}."]


def _distillation_words(results: StudyResults) -> list[str]:
    compared = [each for each in compare_by_size(results) if each.gain is not None]
    if not compared:
        return []
    named, num_images = sizes(results), results.num_validation_images
    if num_images is None:
        ahead = [named.name(each.model_key) for each in compared if (each.gain or 0.0) > 0.0]
        return [
            f"The best distilled student is ahead of the best labels-only one at {len(ahead)} of {len(compared)} sizes."
        ]
    ahead = [_gain_text(each, named) for each in compared if (each.gain or 0.0) > (each.noise(num_images) or 0.0)]
    behind = [_gain_text(each, named) for each in compared if (each.gain or 0.0) < -(each.noise(num_images) or 0.0)]
    sentences = []
    if ahead:
        sentences.append(f"Distillation is clearly ahead of labels only at {listed(ahead)}.")
    if behind:
        sentences.append(f"{'It' if ahead else 'Distillation'} is clearly behind labels only at {listed(behind)}.")
    rest = len(compared) - len(ahead) - len(behind)
    if rest == len(compared):
        sentences.append(
            "The best distilled and the best labels-only student differ by no more than the noise at "
            f"{'the one size that has' if rest == 1 else f'all {rest} sizes that have'} both."
        )
    elif rest:
        sentences.append(f"At the other {count(rest, 'size')} the difference is within the noise.")
    return [" ".join(sentences)]


def _gain_text(compared: SizeComparison, named: Sizes) -> str:
    return f"{named.name(compared.model_key)} ({points(compared.gain or 0.0)})"


def noise(results: StudyResults) -> list[str]:
    """How large a difference of two accuracies must be to mean something."""
    trials, num_images = finished(results), results.num_validation_images
    if not trials or num_images is None:
        return []
    best = max(map(accuracy, trials))
    error = binomial_standard_error(best, num_images)
    text = (
        f"All accuracies are of {num_images:,} validation images and one training seed, and each best one was picked "
        f"among several, which flatters it. At {100 * best:.1f} % the binomial standard error is {100 * error:.2f} "
        f"points: take differences below that as noise, and those below {200 * 2**0.5 * error:.2f} points (two "
        "standard errors of a difference) as undecided. The test images have not been looked at."
    )
    return [text]


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
    return [text]


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
