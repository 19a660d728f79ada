"""The report's words and tables about the ranking of methods: does anything beat tuned distillation?"""

from collections.abc import Mapping, Sequence

from analysis.comparisons import SIGNIFICANT, p_text
from analysis.kinds import kind_names, tries_text
from analysis.ranking import KD_METHOD, Against, Ranked, budgets, over_networks, ranking
from analysis.report_tables import UNKNOWN, Table
from analysis.resolution import resolution_words
from analysis.results import StudyResults
from analysis.students import LABELS_METHOD, Sizes, method_title, sizes
from analysis.wording import count, estimate_text, gain_text, listed, parameter_text

_FAMILY = (
    "all comparisons with kd, or with labels, at single sizes (those over all sizes among themselves); the spread is "
    "that of the differences from kd"
)


def ranking_words(results: StudyResults) -> list[str]:
    """What the ranking says, most important first; nothing where no ranking was asked for."""
    ranked = ranking(results)
    if not ranked:
        return []
    named = sizes(results)
    words = [_budget_text(results)]
    for reference in (KD_METHOD, LABELS_METHOD):
        words += [_network_text(key, row, named, reference) for key, row in ranked.items() if _has(row, reference)]
        words += _overall_words(results, ranked, reference)
    gains = [each.against_kd.gain for row in ranked.values() for each in row if each.against_kd is not None]
    return [*words, *resolution_words(gains, _FAMILY)]


def ranking_tables(results: StudyResults) -> list[Table]:
    """For each network its methods, the best first."""
    named = sizes(results)
    columns = (
        "method", "trial", "its own hyperparameters", "test accuracy (95 % interval)", "validation, in the search",
        "less tuned kd, in points (95 % interval)", "p (Holm)", "less labels only, in points (95 % interval)",
        "p (Holm)",
    )  # fmt: skip
    return [
        Table(
            f"Methods at {named.name(key)}, the best student of each over fresh seeds", columns, tuple(map(_row, row))
        )
        for key, row in ranking(results).items()
    ]


def _row(each: Ranked) -> tuple[str, ...]:
    options = ", ".join(f"{name} {parameter_text(value)}" for name, value in each.best.student.loss.options.items())
    validation = each.best.trial.metrics.get("validation_accuracy")
    return (
        method_title(each.method),
        str(each.best.trial.number),
        options or UNKNOWN,
        estimate_text(each.accuracy),
        UNKNOWN if validation is None else f"{100 * validation:.2f} %",
        *_cells(each.against_kd),
        *_cells(each.against_labels),
    )


def _cells(against: Against | None) -> tuple[str, str]:
    if against is None:
        return UNKNOWN, UNKNOWN
    gain = against.gain
    interval = "" if gain.low is None or gain.high is None else f" ({100 * gain.low:+.2f} to {100 * gain.high:+.2f})"
    p_value = UNKNOWN if against.p_value is None else p_text(against.p_value).removeprefix("p ")
    return f"{100 * gain.mean:+.2f}{interval}", p_value


def _budget_text(results: StudyResults) -> str:
    spent = budgets(results)
    numbers, epochs = {number for number, _ in spent.values()}, {total for _, total in spent.values()}
    seeds = 0 if results.verification is None else results.verification.num_seeds
    text = f"{count(len(spent), 'method')} had "
    kind = listed([name.replace("_", " ") for name in kind_names(results)])
    if len(numbers) == 1 and len(epochs) == 1:
        text += f"the same budget: {count(numbers.pop(), 'student')} and {epochs.pop():g} epochs each"
    else:
        each = [f"{name} {number} students and {total:g} epochs" for name, (number, total) in sorted(spent.items())]
        text += f"unequal budgets: {listed(each)}"
    return (
        f"{text}. Of each {kind} the student with the best validation accuracy, {tries_text(results)}, was "
        f"trained again with {count(seeds, 'fresh seed')}, shared by all methods, and read on the test images."
    )


def _has(row: Sequence[Ranked], reference: str) -> bool:
    return any(each.method == reference for each in row)


def _of(each: Ranked, reference: str) -> Against | None:
    return each.against_kd if reference == KD_METHOD else each.against_labels


def _network_text(key: str, row: Sequence[Ranked], named: Sizes, reference: str) -> str:
    """Who beats the reference on one network, who is beaten, and that the rest is not decided."""
    compared = {each.method: against for each in row if (against := _of(each, reference)) is not None}
    asked = "tuned kd" if reference == KD_METHOD else "labels alone"
    return f"Does anything beat {asked} at {named.name(key)}? {_verdict(compared)}"


def _verdict(compared: Mapping[str, Against]) -> str:
    decided = {name: each for name, each in compared.items() if each.p_value is not None and each.p_value < SIGNIFICANT}
    better = [_named_gain(name, each) for name, each in decided.items() if each.gain.mean > 0.0]
    worse = [_named_gain(name, each) for name, each in decided.items() if each.gain.mean < 0.0]
    others = [name for name in compared if name not in decided]
    parts = [f"Yes: {listed(better)}." if better else "Nothing that these seeds can tell."]
    if worse:
        parts.append(f"Worse: {listed(worse)}.")
    if others:
        best = max(others, key=lambda name: compared[name].gain.mean)
        ahead = _named_gain(best, compared[best])
        names = ahead if len(others) == 1 else f"{len(others)} others, the best of them {ahead}"
        parts.append(f"Not decided: {names}.")
    return " ".join(parts)


def _named_gain(name: str, against: Against) -> str:
    p_value = "" if against.p_value is None else f", {p_text(against.p_value)}"
    return f"{name} by {gain_text(against.gain)}{p_value}"


def _overall_words(results: StudyResults, ranked: Mapping[str, Sequence[Ranked]], reference: str) -> list[str]:
    overall = over_networks(results, reference) if len(ranked) > 1 else {}
    if not overall:
        return []
    asked = "tuned kd" if reference == KD_METHOD else "labels alone"
    return [f"And against {asked} over all {len(ranked)} networks together? {_verdict(overall)}"]
