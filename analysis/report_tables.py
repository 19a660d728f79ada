"""The report's tables, as text cells: the front, labels against teacher by size, the cheapest by accuracy, versions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis.findings import (
    ACCURACY,
    PARAMETERS,
    accuracy,
    cheapest_by_level,
    compare_by_size,
    counting_noise,
    latency_of,
    method_pairs,
    num_by_state,
)
from analysis.pareto import cost_metric
from analysis.results import StudyResults
from analysis.students import LABELS_METHOD, Sizes, method, method_title, model_key, sizes, title
from analysis.wording import moment_text, parameter_text, points, times_cost, value_text
from trainables.measurements import ArchitectureProfile
from trainables.metrics import Direction, latency_batch_size
from trainables.records import TrialRecord

UNKNOWN = "-"
# Facts of a trial that say nothing about its numbers.
_PRIVATE_FACTS = frozenset({"pid"})


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under named columns; the first column names its row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def front_table(results: StudyResults) -> Table:
    """The students on the front, from the best to the worst cost, with their parameters."""
    named, front = sizes(results), results.front
    parameters = [name for name in _parameter_names(front) if not _repeats_identity(front, name, named)]
    shown = list(dict.fromkeys([*results.objectives, *results.record.own_metrics, PARAMETERS]))
    batch_sizes = {size for each in results.objectives if (size := latency_batch_size(each.name)) is not None}
    rows = []
    for trial in front:
        values = [value_text(each, trial.metrics.get(each.name)) for each in shown]
        options = [
            parameter_text(trial.parameters[name]) if name in trial.parameters else UNKNOWN for name in parameters
        ]
        cells = [str(trial.number), named.labels[model_key(trial) or ""], method_title(method(trial)), *values]
        if batch_sizes:
            cells.append(_settled_text(results, trial, batch_sizes))
        if results.teacher is not None:
            cells.append(points(accuracy(trial) - results.teacher.validation_accuracy))
        rows.append((*cells, *options))
    against = ["against the teacher"] if results.teacher is not None else []
    settled = ["latency settled"] if batch_sizes else []
    columns = ("trial", named.axis_title, "method", *(each.label for each in shown), *settled, *against, *parameters)
    return Table("Students that no other student beats in all objectives", columns, tuple(rows))


def _settled_text(results: StudyResults, trial: TrialRecord, batch_sizes: Iterable[int]) -> str:
    """Whether all the latencies among the objectives settled for this student's network."""
    measured = [latency_of(results, trial, batch_size) for batch_size in batch_sizes]
    if any(each is not None and not each.is_stable for each in measured):
        return "no"
    return UNKNOWN if None in measured else "yes"


def _parameter_names(trials: Sequence[TrialRecord]) -> list[str]:
    return list(dict.fromkeys(name for trial in trials for name in trial.parameters))


def _repeats_identity(trials: Sequence[TrialRecord], name: str, named: Sizes) -> bool:
    """Whether a parameter only says again what the columns of size and method say."""
    texts = [parameter_text(trial.parameters.get(name)) for trial in trials]
    labels = [named.labels[model_key(trial) or ""] for trial in trials]
    return texts in (labels, [method(trial) for trial in trials])


def size_table(results: StudyResults) -> Table:
    """Best labels-only against best distilled student at each size, with what the difference is worth."""
    named, num_images = sizes(results), results.num_validation_images
    rows = []
    for each in compare_by_size(results):
        limit = None if num_images is None else each.noise(num_images)
        rows.append(
            (
                named.labels[each.model_key],
                _best_text(each.best.get(LABELS_METHOD), each.num_labels),
                _best_text(each.distilled, each.num_distilled),
                UNKNOWN if each.gain is None else points(each.gain),
                UNKNOWN if limit is None else f"{100 * limit:.2f} points",
                each.verdict(num_images).value,
            )
        )
    columns = (named.axis_title, "best labels only", "best distilled", "difference", "counting noise", "verdict")
    caption = "Best of labels against best of teacher, validation accuracy at one training seed"
    return Table(caption, columns, tuple(rows))


def _best_text(trial: TrialRecord | None, num_trials: int) -> str:
    return UNKNOWN if trial is None else f"{100 * accuracy(trial):.2f} % (trial {trial.number}, best of {num_trials})"


def pair_table(results: StudyResults) -> Table:
    """The students that differ in method alone: their paired difference, with what it is worth."""
    named, num_images = sizes(results), results.num_validation_images
    rows = []
    for pair in method_pairs(results):
        noise = None if num_images is None else counting_noise(pair.distilled, pair.labels, num_images)
        rows.append(
            (
                named.labels[model_key(pair.labels) or ""],
                method(pair.distilled),
                *(f"{100 * accuracy(each):.2f} % (trial {each.number})" for each in (pair.labels, pair.distilled)),
                points(pair.gain),
                UNKNOWN if noise is None else f"{100 * noise:.2f} points",
                pair.verdict(num_images).value,
            )
        )
    columns = (named.axis_title, "method", "labels only", "distilled", "difference", "counting noise", "verdict")
    return Table("Pairs that differ in method alone, validation accuracy", columns, tuple(rows))


def level_table(results: StudyResults) -> Table:
    """The cheapest student at each round accuracy that was reached; by its parameters where no objective is a cost."""
    cost, named = cost_metric(results.objectives), sizes(results)
    if cost.direction is Direction.MAXIMIZE:
        cost = PARAMETERS
    theirs = results.teacher_metrics.get(cost.name)
    rows = []
    for level in cheapest_by_level(results, cost):
        its = level.trial.metrics.get(cost.name)
        ratio = times_cost(cost, theirs, its) if theirs and its else UNKNOWN
        rows.append(
            (
                f"{100 * level.accuracy:g} %",
                title(level.trial, named),
                value_text(ACCURACY, accuracy(level.trial)),
                value_text(cost, its),
                ratio,
            )
        )
    columns = ("accuracy of at least", "cheapest student", "its accuracy", cost.label, "than the teacher")
    return Table(f"The student with the lowest {cost.label} for an accuracy", columns, tuple(rows))


def state_table(results: StudyResults) -> Table:
    """Trials by state, duplicates apart."""
    rows = [(state.value, str(number)) for state, number in num_by_state(results).items() if number]
    num_duplicates = sum(trial.duplicate_of is not None for trial in results.trials)
    if num_duplicates:
        rows.append(("duplicate, not trained", str(num_duplicates)))
    return Table("Trials by state", ("state", "trials"), tuple(rows))


def measured_table(results: StudyResults) -> Table:
    """When each architecture was measured, and whether that was before this study was created."""
    rows = []
    if results.profiles is not None:
        named = sizes(results)
        students = results.profiles.students
        rows = [_measured_row(named.name(key), students[key], results) for key in named.labels if key in students]
        rows.append(_measured_row("teacher", results.profiles.teacher, results))
    return Table("When each network was measured", ("network", "measured", "by"), tuple(rows))


def _measured_row(name: str, profile: ArchitectureProfile, results: StudyResults) -> tuple[str, ...]:
    is_kept = profile.measured_at < results.record.created_at
    return name, moment_text(profile.measured_at), "an earlier study, kept" if is_kept else "this study"


def versions_table(results: StudyResults) -> Table:
    """Versions and facts: of the study, of the profiles, and of the trials, each that occurred."""
    sources = [("study", results.record.versions)]
    if results.profiles is not None:
        sources += [("profile", each.device.versions) for each in results.profiles.students.values()]
        sources.append(("profile", results.profiles.teacher.device.versions))
    sources += [("trials", trial.facts) for trial in results.trials]
    seen: dict[tuple[str, str], dict[str, None]] = {}
    for where, facts in sources:
        for name, text in ((name, text) for name, text in facts.items() if name not in _PRIVATE_FACTS):
            seen.setdefault((name, where), {})[text] = None
    merged = _merged({key: ", ".join(texts) for key, texts in seen.items()})
    return Table("Versions and hardware, as recorded", ("what", "recorded by", "value"), merged)


def _merged(texts: dict[tuple[str, str], str]) -> tuple[tuple[str, ...], ...]:
    """One row where several sources say the same of one thing."""
    rows: dict[tuple[str, str], list[str]] = {}
    for (name, where), text in texts.items():
        rows.setdefault((name, text), []).append(where)
    return tuple((name, ", ".join(wheres), text) for (name, text), wheres in sorted(rows.items()))
