"""Kinds of student: what makes one, and the best of each, trained again over fresh seeds."""

from collections import Counter
from collections.abc import Sequence

from analysis.pareto import candidates
from analysis.results import StudyResults
from analysis.verified import Verified
from analysis.wording import count
from trainables.metrics import METRICS
from trainables.verified import Role, VerifiedRun

METHOD = "method"

Value = bool | int | float | str


def best_of_kind(results: StudyResults) -> list[Verified]:
    """The students that were verified as the best of their kind; empty before the verification, or without any."""
    if results.verification is None:
        return []
    trials = {trial.number: trial for trial in results.trials}
    runs: dict[int, list[VerifiedRun]] = {}
    for run in results.verification.runs:
        if run.role is Role.BEST:
            runs.setdefault(run.trial, []).append(run)
    return [Verified(trials[number], Role.BEST, tuple(each)) for number, each in runs.items()]


def kind_names(results: StudyResults) -> tuple[str, ...]:
    """The parameters that make a kind."""
    return () if results.verification is None else results.verification.best_of


def tries_of_kinds(results: StudyResults) -> list[int]:
    """For each kind that was verified, how many finished students of the search it was chosen from."""
    finished = candidates(results.trials, (METRICS["validation_accuracy"],))
    kinds = Counter(tuple(trial.parameter(name) for name in kind_names(results)) for trial in finished)
    return [kinds[tuple(each.trial.parameter(name) for name in kind_names(results))] for each in best_of_kind(results)]


def tries_text(results: StudyResults) -> str:
    """The same as a reader sees it: "from 10 students", "from 4 to 16 students"."""
    tries = tries_of_kinds(results)
    if not tries:
        return "from no student"
    least, most = min(tries), max(tries)
    return f"from {count(most, 'student')}" if least == most else f"from {least} to {count(most, 'student')}"


def further_names(results: StudyResults) -> tuple[str, ...]:
    """Of the parameters that make a kind those that are neither the method nor an option of the network."""
    best = best_of_kind(results)
    return tuple(name for name in kind_names(results) if name != METHOD and not _is_of_the_network(name, best))


def common_names(results: StudyResults) -> tuple[str, ...]:
    """Of the parameters that make a kind those that every kind has, but for the method."""
    best = best_of_kind(results)
    return tuple(name for name in kind_names(results) if name != METHOD and None not in values_of(name, best))


def values_of(name: str, best: Sequence[Verified]) -> list[Value | None]:
    """The parameter of each student; None where its method has no such parameter."""
    return [each.trial.parameter(name) for each in best]


def is_number(value: Value | None) -> bool:
    """Whether it is a number, which True and False are not here."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_of_the_network(name: str, best: Sequence[Verified]) -> bool:
    return all(each.student.model.options.get(name) == each.trial.parameter(name) for each in best)
