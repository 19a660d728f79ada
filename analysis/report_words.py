"""What the report says in plain words: what was asked, and what was found."""

from collections.abc import Sequence

from analysis.findings import (
    ACCURACY,
    PARAMETERS,
    Verdict,
    accuracy,
    binomial_standard_error,
    compare_by_size,
    finished,
    front_neighbours,
    latency_at,
    latency_of,
    latency_resolution,
    method_pairs,
    num_by_state,
    smallest_within,
)
from analysis.pareto import cost_metric
from analysis.report_stopping import stopping_asked, stopping_words
from analysis.report_teacher import taught_by
from analysis.results import StudyResults
from analysis.students import method, model_key, sizes, title
from analysis.timeline import SearchClock, closed_spans
from analysis.wording import count, duration, listed, moment_text, points, times, times_cost, value_text
from trainables.metrics import Direction, Metric, latency_batch_size
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
        kept = [f"{name} {bound}" for name, bound in search.get("constraints", {}).items()]
        sentences += [f"They had to keep {listed(kept)}."] if kept else []
        sentences += [*_evidence_words(results), *stopping_asked(search)]
    return [" ".join([*sentences, *taught_by(results)])]


def _evidence_words(results: StudyResults) -> list[str]:
    evidence = results.record.evidence
    if evidence is None:
        return []
    students = count(evidence.num_students, "student")
    told = f"{students} of study {evidence.study} ({moment_text(evidence.created_at)})"
    return [f"The sampler was told beforehand of {told}; none of them counts here."]


def found(results: StudyResults) -> list[str]:
    """The findings that a person acts on, each in a sentence or two, most important first."""
    sentences = [progress(results)]
    if not finished(results):
        nothing = "There is no front yet: it needs a trial that ran its full budget."
        return [*sentences, nothing, *stopping_words(results)]
    return [
        *sentences,
        *_front_words(results),
        *latency_words(results),
        *_teacher_words(results),
        *_distillation_words(results),
        *stopping_words(results),
        *noise(results),
    ]


def progress(results: StudyResults) -> str:
    """How many trials came to what."""
    counts = num_by_state(results)
    num_trials = sum(counts.values())
    if num_trials == 0:
        return "No trial has started yet."
    complete = counts[TrialState.COMPLETE]
    num_paused = sum(trial.is_paused for trial in results.trials)
    told = {"paused": num_paused} | {words: counts[state] for state, words in _STATE_WORDS.items()}
    told[_STATE_WORDS[TrialState.RUNNING]] -= num_paused
    others = [f"{number} {words}" for words, number in told.items() if number]
    text = f"{complete} of {count(num_trials, 'trial')} ran the full budget"
    text += f" ({listed(others)})." if others else "."
    num_duplicates = sum(trial.duplicate_of is not None for trial in results.trials)
    if num_duplicates:
        text += f" {count(num_duplicates, 'proposal')} repeated an earlier trial and took its values without training."
    text += _constraint_text(results)
    spans = [span for each in closed_spans(results.trials).values() for span in each]
    if spans:
        clock = SearchClock.over(spans)
        text += f" The search has taken {duration(clock.seconds(max(span.end for span in spans)))}."
    if counts[TrialState.RUNNING] or counts[TrialState.WAITING]:
        text = f"The search is not over, this is its state so far. {text}"
    return text


def _constraint_text(results: StudyResults) -> str:
    """Proposals that were known to break a constraint, and students that turned out to."""
    num_refused = sum(trial.is_refused and trial.duplicate_of is None for trial in results.trials)
    num_broken = sum(trial.breaks is not None and trial.counts for trial in results.trials)
    text = ""
    if num_refused:
        known = count(num_refused, "proposal was", "proposals were")
        text += f" {known} known to break a constraint and not trained."
    if num_broken:
        text += f" {count(num_broken, 'student')} turned out to break a constraint: not on the front."
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


def latency_words(results: StudyResults) -> list[str]:
    """How far each latency that is an objective can be trusted; nothing where it settled and tells all neighbours."""
    texts = [_trust_text(results, each) for each in results.objectives if latency_batch_size(each.name) is not None]
    return [text for text in texts if text]


def _trust_text(results: StudyResults, latency: Metric) -> str:
    if results.profiles is None:
        return ""
    named, neighbours = sizes(results), front_neighbours(results, latency)
    profiles = [*results.profiles.students.values(), results.profiles.teacher]
    measured = [each for profile in profiles if (each := latency_at(profile, latency_batch_size(latency.name) or 0))]
    unsettled = [each for each in measured if not each.is_stable]
    sentences = []
    if unsettled:
        spreads = [100 * each.relative_iqr_fraction for each in unsettled]
        drift = 100 * max(abs(each.reference_drift_fraction) for each in unsettled)
        sentences.append(
            f"{len(unsettled)} of the {count(len(measured), 'measurement')} of {latency.label} (students and teacher) "
            f"did not settle: their runs spread by up to {max(spreads):.0f} % (relative interquartile range), and the "
            f"device's speed was off by up to {drift:.0f} %, which is corrected but not to be trusted that far."
        )
        if neighbours:
            resolution = 100 * max(each.resolution_fraction for each in neighbours)
            sentences.append(
                f"Differences in latency below {resolution:.0f} % between neighbours on the front are not to be relied "
                "on, and a student that missed the front by less may belong on it."
            )
    blurred = [
        f"{named.name(model_key(each.faster) or '')} from {named.name(model_key(each.slower) or '')} "
        f"({100 * each.difference_fraction:.1f} % apart)"
        for each in neighbours
        if not each.are_told_apart
    ]
    if blurred:
        sentences.append(f"On the front {latency.label} does not tell {listed(blurred)}.")
    return " ".join(sentences)


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
    fewer = times(teacher.num_parameters, chosen.metrics[PARAMETERS.name] or 1.0, "fewer", "more")
    text = (
        f"{reaches}. The smallest student within {100 * WITHIN_TEACHER:g} points of it is {title(chosen, named)}: "
        f"{value_text(ACCURACY, accuracy(chosen))} with {fewer} parameters"
    )
    cost = cost_metric(results.objectives)
    theirs, its = results.teacher_metrics.get(cost.name), chosen.metrics.get(cost.name)
    if cost.direction is Direction.MINIMIZE and cost != PARAMETERS and theirs and its:
        named_cost = f" ({cost.label})" if latency_batch_size(cost.name) is not None else ""
        doubt = _doubt(results, chosen, cost, theirs / its)
        text += f" and {times_cost(cost, theirs, its)}{named_cost}{doubt}"
    return [f"{text}."]


def _doubt(results: StudyResults, chosen: TrialRecord, cost: Metric, ratio: float) -> str:
    """A clause where the cost is a latency that does not tell the student from the teacher."""
    batch_size = latency_batch_size(cost.name)
    if batch_size is None or results.profiles is None:
        return ""
    measured = (latency_of(results, chosen, batch_size), latency_at(results.profiles.teacher, batch_size))
    if measured[0] is None or measured[1] is None:
        return ""
    resolution = latency_resolution(measured[0], measured[1])
    is_told_apart = max(ratio, 1.0 / ratio) - 1.0 > resolution
    return "" if is_told_apart else f", though the measurements tell only differences above {100 * resolution:.0f} %"


def _distillation_words(results: StudyResults) -> list[str]:
    compared = [each for each in compare_by_size(results) if each.gain is not None]
    if not compared:
        return []
    named, num_images, pairs = sizes(results), results.num_validation_images, method_pairs(results)
    by_pair = [
        (
            pair.verdict(num_images),
            f"{named.name(model_key(pair.labels) or '')} ({method(pair.distilled)}, {points(pair.gain)})",
        )
        for pair in pairs
    ]
    by_best = [
        (each.verdict(num_images), f"{named.name(each.model_key)} ({points(each.gain or 0.0)})") for each in compared
    ]
    sentences = []
    if pairs:
        pairs_text = count(len(pairs), "pair of students differs", "pairs of students differ")
        sentences.append(f"{pairs_text} in method alone, at one training seed: distillation is {_standings(by_pair)}.")
        sentences.append(f"Best against best, at one seed too, it is {_standings(by_best)}.")
    else:
        sentences.append(
            "No two baselines differ in method alone, so that only the best of each method can be compared, at one "
            f"training seed: distillation is {_standings(by_best)}."
        )
    if any(verdict is Verdict.NOT_COMPARABLE for verdict, _ in by_best):
        sentences.append(
            "Best students are compared only where each side had at least two tries and neither more than one try "
            "more than the other."
        )
    return [" ".join(sentences)]


_STANDINGS = {
    Verdict.AHEAD: "ahead by more than counting noise at",
    Verdict.BEHIND: "behind by more than counting noise at",
    Verdict.WITHIN: "within noise at",
    Verdict.UNKNOWN: "different by an unknown share of noise at",
    Verdict.NOT_COMPARABLE: "not comparable at",
}


def _standings(verdicts: Sequence[tuple[Verdict, str]]) -> str:
    """Which of the named comparisons came to what."""
    parts = []
    for verdict, words in _STANDINGS.items():
        texts = [text for each, text in verdicts if each is verdict]
        if texts:
            parts.append(f"{words} {listed(texts)}")
    return "; ".join(parts)


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
        "standard errors of a difference) as undecided. That counts images alone: another training seed moves an "
        "accuracy too, by how much one seed cannot tell."
    )
    return [text]
