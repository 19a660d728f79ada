"""The report on the verification: whether distillation helped on the test images, by how much, and how sure that is."""

from collections.abc import Sequence

from analysis.comparisons import SIGNIFICANT, p_text, resolvable_difference
from analysis.report_tables import UNKNOWN, Table
from analysis.results import StudyResults
from analysis.statistics import Estimate
from analysis.students import method_title, sizes
from analysis.verified import (
    TEST_ACCURACY,
    Verified,
    VerifiedPair,
    corrected_p_values,
    distinct_pairs,
    nondominated_probabilities,
    overall_gain,
    teacher_on_test,
    verified_pairs,
)
from analysis.wording import count, estimate_text, gain_text, listed, value_text
from trainables.verified import Role

_SURE = 0.9


def verified_words(results: StudyResults) -> list[str]:
    """What the test images say, most important first; one sentence where they have not been read."""
    pairs, record, teacher = verified_pairs(results), results.verification, teacher_on_test(results)
    if record is None or teacher is None or not record.runs:
        return ["The test images have not been read: no student has been verified."]
    if not pairs:
        return [
            "No student of the front was verified, only the best of each kind: see the ranking or the curves below."
        ]
    front = {trial.number for trial in results.front}
    has_partners = any(pair.partner for pair in pairs)
    beside = ", each beside a partner that differs in method alone," if has_partners else ""
    what = (
        f"{count(len(pairs), 'student')} of the front{beside} {'was' if len(pairs) == 1 else 'were'} trained again "
        f"with {count(record.num_seeds, 'fresh seed')} and read once on the {teacher.num_images:,} test images, where "
        f"{'the last assistant' if results.assistants else 'the teacher'} reaches "
        f"{value_text(TEST_ACCURACY, teacher.accuracy)}."
    )
    left = [str(number) for number in record.trials if number not in front]
    if left:
        what += f" Since then the front has moved: trial {listed(left)} is no longer on it."
    return [what, *_gain_words(results, pairs), *_ahead_words(results), *_selection_words(pairs), *_failures(pairs)]


def _gain_words(results: StudyResults, pairs: Sequence[VerifiedPair]) -> list[str]:
    """Pair by pair, for a mean over sizes may hide that they differ; then the mean."""
    compared = [pair for pair in distinct_pairs(pairs) if pair.gain is not None]
    overall = overall_gain(compared)
    if overall is None:
        return ["No student could be compared with a partner, so that nothing can be said about what the teacher gave."]
    named, p_values = sizes(results), corrected_p_values(compared)
    texts: dict[str, list[str]] = {"helped at": [], "hurt at": [], "is not decided at": []}
    for pair in compared:
        if pair.gain is not None:
            name, p_value = named.name(pair.student.student.model.key), p_values[pair.configurations]
            texts[_outcome(pair.gain, p_value)].append(
                f"{name} (trial {pair.student.trial.number}), {gain_text(pair.gain)}{_p_addition(p_value)}"
            )
    parts = "; it ".join(f"{words} {'; '.join(each)}" for words, each in texts.items() if each)
    text = f"Distillation {parts}."
    if len(compared) > 1:
        text += f" Over all {len(compared)} pairs the mean is {gain_text(overall)}."
    if overall.low is not None:
        text += (
            f" Intervals are of the mean over {count(overall.num_values, 'seed')}, by Student's t, each by itself; p "
            f"is of the paired t test{_correction(compared)}, and below {SIGNIFICANT:g} it is decided. The teacher, "
            "the split and these very test images are taken as given."
        )
    return [text, *_resolution_words(compared)]


def _outcome(gain: Estimate, p_value: float | None) -> str:
    if p_value is None or p_value >= SIGNIFICANT:
        return "is not decided at"
    return "helped at" if gain.mean > 0.0 else "hurt at"


def _p_addition(p_value: float | None) -> str:
    return "" if p_value is None else f", {p_text(p_value)}"


def _correction(compared: Sequence[VerifiedPair]) -> str:
    return f", corrected for {len(compared)} comparisons (Holm)" if len(compared) > 1 else ""


def _resolution_words(compared: Sequence[VerifiedPair]) -> list[str]:
    """What so few seeds cannot show: "not decided" is no "nothing there"."""
    gains = [pair.gain for pair in compared if pair.gain is not None]
    alone = [each for gain in gains if (each := _resolvable(gain)) is not None]
    together = [each for gain in gains if (each := _resolvable(gain, len(gains))) is not None]
    if not alone:
        return ["One seed tells nothing of how much seeds differ: more of them are needed to decide anything."]
    seeds = listed(sorted({str(gain.num_values) for gain in gains if gain.num_values > 1}))
    text = (
        f"As they spread, {seeds} seeds find a true difference four times in five only if it is at least "
        f"{_range_text(alone)}"
    )
    if len(gains) > 1:
        text += f", pair by pair; {_range_text(together)} where all {len(gains)} comparisons are to hold together"
    return [f"{text}. Not decided does not say that there is none."]


def _range_text(fractions: Sequence[float]) -> str:
    low, high = (f"{100 * each:.2f}" for each in (min(fractions), max(fractions)))
    return f"{low} points" if low == high else f"{low} to {high} points"


def _resolvable(gain: Estimate | None, num_comparisons: int = 1) -> float | None:
    """The smallest true gain that its seeds resolve at its deviation, as a fraction; None with fewer than two seeds."""
    if gain is None or gain.deviation is None:
        return None
    return resolvable_difference(gain.num_values, gain.deviation, significance=SIGNIFICANT / num_comparisons)


def _ahead_words(results: StudyResults) -> list[str]:
    ahead = nondominated_probabilities(results)
    students = {number: likely for (number, role), likely in ahead.items() if role is Role.STUDENT}
    if not students:
        return []
    sure = [number for number, likely in students.items() if likely >= _SURE]
    texts = []
    if sure:
        named = listed([f"trial {number}" for number in sure])
        texts.append(f"No other verified one beats {named}, partners included, with a probability above 90 %.")
    unsure = []
    for number in students.keys() - set(sure):
        partner = ahead.get((number, Role.PARTNER))
        beside = "" if partner is None else f", its partner {100 * partner:.0f} %"
        unsure.append(f"trial {number} ({100 * students[number]:.0f} %{beside})")
    if unsure:
        texts.append(f"Less sure to be beaten by none: {listed(sorted(unsure))}.")
    return [" ".join(texts)]


def _selection_words(pairs: Sequence[VerifiedPair]) -> list[str]:
    known = [(pair.student, pair.student.estimate()) for pair in pairs]
    gaps = [(side.trial.metrics["validation_accuracy"] or 0.0) - estimate.mean for side, estimate in known if estimate]
    if not gaps:
        return []
    mean = 100 * sum(gaps) / len(gaps)
    shown = (
        f"In the search these students showed {abs(mean):.2f} points {'more' if mean >= 0 else 'less'} on average on"
    )
    why = (
        "choosing the best of many flatters, and the two sets of images differ"
        if mean >= 0
        else "the validation images are the harder ones, by more than choosing the best of many flatters"
    )
    return [f"{shown} the validation images than they now do on the test images: {why}."]


def _failures(pairs: Sequence[VerifiedPair]) -> list[str]:
    failed = [
        f"trial {run.trial} ({run.role}, seed {run.seed_index}): {run.failure}"
        for pair in pairs
        for side in (pair.student, pair.partner)
        if side
        for run in side.runs
        if run.failure is not None
    ]
    if not failed:
        return []
    return [f"{count(len(failed), 'run')} failed and {'is' if len(failed) == 1 else 'are'} left out: {listed(failed)}."]


def verified_table(results: StudyResults) -> Table:
    """Each verified student and its partner: test accuracy over the seeds, what the search saw, and the difference."""
    named, ahead, pairs = sizes(results), nondominated_probabilities(results), verified_pairs(results)
    p_values = corrected_p_values(pairs)
    rows = [
        (
            str(side.trial.number),
            named.labels.get(side.student.model.key, side.student.model.key),
            "on the front" if side.role is Role.STUDENT else "partner",
            method_title(side.method),
            estimate_text(side.estimate()),
            _search_text(side),
            _gain_cell(pair.gain),
            _p_cell(p_values.get(pair.configurations)),
            _points_cell(_resolvable(pair.gain)),
            _likely_text(ahead.get((side.trial.number, side.role))),
        )
        for pair in pairs
        for side in (pair.student, pair.partner)
        if side is not None
    ]
    columns = (
        "trial", named.axis_title, "role", "method", "test accuracy (95 % interval)", "validation, in the search",
        "distilled less labels only, in points (95 % interval)", "p, corrected (Holm)",
        "least difference these seeds resolve, by itself, in points", "beaten by none",
    )  # fmt: skip
    return Table("Verified on the test images, over fresh seeds", columns, tuple(rows))


def _search_text(side: Verified) -> str:
    """The partner was not in the search."""
    return (
        value_text(TEST_ACCURACY, side.trial.metrics["validation_accuracy"]) if side.role is Role.STUDENT else UNKNOWN
    )


def _gain_cell(gain: Estimate | None) -> str:
    if gain is None:
        return UNKNOWN
    interval = "" if gain.low is None or gain.high is None else f" ({100 * gain.low:+.2f} to {100 * gain.high:+.2f})"
    return f"{100 * gain.mean:+.2f}{interval}"


def _p_cell(p_value: float | None) -> str:
    return UNKNOWN if p_value is None else p_text(p_value).removeprefix("p ")


def _points_cell(fraction: float | None) -> str:
    return UNKNOWN if fraction is None else f"{100 * fraction:.2f}"


def _likely_text(likely: float | None) -> str:
    return UNKNOWN if likely is None else f"{100 * likely:.0f} %"
