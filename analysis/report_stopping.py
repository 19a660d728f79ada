"""The report's words and table about early stopping: who was stopped where, and what that saved and may cost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.replayed import ReplayedSearch
from analysis.report_tables import Table
from analysis.results import StudyResults
from analysis.statistics import mean_interval
from analysis.stopping import (
    MIN_ENDED_TO_PROJECT,
    Fate,
    asked_students,
    is_projected,
    rungs,
    spent,
    stopped_at_epoch,
    stopping_decision,
    went_on_after_a_pause,
)
from analysis.students import method, method_title, methods, sizes, title
from analysis.wording import count, duration, listed, significant
from trainables.records import RungDecision, TrialRecord

_UNKNOWN_LOSS = (
    "Whether that cost the front anything this study cannot tell: none of the stopped students was trained to its end."
)
_REPLAY = (
    "kd-study replay RECORDING --into DIR measures it, over students that all ran to their ends: what this search "
    "would have lost there by its early stopping."
)
_ANOTHER = "It was replayed as another search than this study's is now: kd-study replay RECORDING --into DIR renews it."


def stopping_asked(search: Mapping[str, Any]) -> list[str]:
    """What early stopping was asked for, from the search's configuration; nothing where there was none."""
    halving = search.get("halving")
    if search.get("early_stopping") != "pareto_halving" or not isinstance(halving, Mapping):
        return []
    given, first = halving["rungs"], significant(halving["first_rung"])
    where = f"{first} and each doubling of that" if given is None else listed([f"{each:g}" for each in given])
    otherwise = "is paused, and may go on later" if halving["pauses"] else "is stopped"
    spared = "; baselines are spared" if halving["spares_baselines"] else ""
    least = _share(halving["least_gain"])
    text = f"Early stopping is by Pareto halving: after epoch {where} a student goes on while it is expected to add"
    return [f"{text} at least {least} to the hypervolume, and otherwise {otherwise}{spared}."]


def stopping_words(results: StudyResults) -> list[str]:
    """How many students were stopped, what that saved and what it may have cost; nothing where none was judged."""
    if not rungs(results.trials):
        return []
    sentences = [" ".join([_judged_text(results), *_methods_text(results)]), _saved_text(results)]
    if any(stopped_at_epoch(trial) is not None for trial in results.trials):
        replay = [_REPLAY] if results.replayed is None else []
        sentences.append(" ".join([_UNKNOWN_LOSS, *_gain_texts(results), *replay]))
    return [*sentences, *_replayed_words(results)]


def _replayed_words(results: StudyResults) -> list[str]:
    """What the same search lost by stopping where all ends are known; nothing where it was not replayed."""
    replayed = results.replayed
    if replayed is None:
        return []
    searches = replayed.searches
    left_out = mean_interval([each.left_out_fraction for each in searches])
    alike = ", each time alike," if len(searches) > 1 and _are_alike(searches) else ""
    over = f"{count(replayed.num_recorded, 'student')} of {replayed.recording} that all ran to their ends"
    exact = (
        f"{100 * replayed.exact_fraction:.0f} % of those asked for were recorded, the most similar answer for others"
    )
    text = (
        f"Replayed {count(len(searches), 'time')} over {over} ({exact}), this search{alike} left out "
        f"{100 * left_out.mean:.0f} % of the epochs and lost {_lost_text(searches)}; {_front_text(searches)}."
    )
    return [text if replayed.is_of(results.record.config) else f"{text} {_ANOTHER}"]


def _lost_text(searches: Sequence[ReplayedSearch]) -> str:
    lost = mean_interval([each.lost_fraction for each in searches])
    text = f"{_share(lost.mean)} of the hypervolume"
    if lost.low is None or lost.high is None or _are_alike(searches):
        return text
    most = max(each.lost_fraction for each in searches)
    return f"{text} (95 % interval {_share(max(lost.low, 0.0))} to {_share(lost.high)}, at most {_share(most)})"


def _are_alike(searches: Sequence[ReplayedSearch]) -> bool:
    """Whether all went the same way, whatever their seed: then their spread says nothing."""
    return len({(each.epochs, each.lost_fraction, each.stops) for each in searches}) == 1


def _front_text(searches: Sequence[ReplayedSearch]) -> str:
    num_stopped = sum(each.num_front_stopped for each in searches)
    num_asked = num_stopped + sum(each.num_front_found for each in searches)
    if num_asked == 0:
        return "no student of the recorded front was asked for"
    return (
        f"of the recorded front's students, asked for {count(num_asked, 'time')}, {num_stopped} "
        f"({100 * num_stopped / num_asked:.0f} %) were stopped"
    )


def rung_table(results: StudyResults) -> Table:
    """For each rung how many students came to it, and what became of them."""
    rows = []
    for rung in rungs(results.trials):
        by_fate = [str(rung.num_by_fate[each]) for each in Fate]
        rows.append((f"epoch {rung.epoch:g}", str(rung.num_trials), *by_fate))
    fates = [_stopped_words(results) if each is Fate.STOPPED else each.value for each in Fate]
    return Table("What became of the students that came to each rung", ("after", "came", *fates), tuple(rows))


def _stopped_words(results: StudyResults) -> str:
    """A pause without an end and a stop at once come to the same; the word says which it was."""
    decisions = [each for trial in results.trials if (each := stopping_decision(trial)) is not None]
    return "paused for good" if decisions and all(each.action == "pause" for each in decisions) else Fate.STOPPED.value


def _judged_text(results: StudyResults) -> str:
    judged = [trial for trial in results.trials if trial.decisions]
    at_rungs = rungs(judged)
    stopped = [f"{num} after epoch {each.epoch:g}" for each in at_rungs if (num := each.num_by_fate[Fate.STOPPED])]
    num_stopped = sum(stopped_at_epoch(trial) is not None for trial in judged)
    parts = [
        f"{count(num_stopped, 'was', 'were')} {_stopped_words(results)}" + (f" ({listed(stopped)})" if stopped else "")
    ]
    told = {
        "went on after a pause": sum(map(went_on_after_a_pause, judged)),
        "paused now": sum(trial.is_paused for trial in judged),
    }
    parts += [f"{number} {words}" for words, number in told.items() if number]
    where = f"{count(len(judged), 'student')} at {count(len(at_rungs), 'rung')}"
    return f"Early stopping judged {where}: {listed(parts)}."


def _methods_text(results: StudyResults) -> list[str]:
    """How many of each method were stopped, where there are several: what is compared is what was trained in full."""
    asked = asked_students(results.trials)
    num_asked = Counter(map(method, asked))
    num_stopped = Counter(method(trial) for trial in asked if stopped_at_epoch(trial) is not None)
    if len(num_asked) < 2 or not num_stopped:
        return []
    texts = [f"{num_stopped[name]} of {num_asked[name]} of {method_title(name)}" for name in methods(asked)]
    return [f"Stopped were {listed(texts)}; methods are compared by those that were trained in full."]


def _saved_text(results: StudyResults) -> str:
    told = spent(results.trials)
    text = (
        f"All students together were trained for {_epochs(told.trained_epochs)} of the {_epochs(told.full_epochs)} "
        f"epochs that full training of each would have taken: stopping saved {_epochs(told.saved_epochs)} epochs "
        f"({100 * told.saved_epochs / told.full_epochs:.0f} %)"
    )
    others = {"still to be decided": told.open_epochs, "lost to failures": told.failed_epochs}
    text += "".join(f", {_epochs(epochs)} are {words}" for words, epochs in others.items() if epochs)
    if told.seconds is None or told.full_seconds is None:
        return f"{text}. The seconds that it saved are unknown."
    saved = told.full_seconds - told.seconds
    verb = "saved" if saved >= 0.0 else "cost"
    return (
        f"{text}. By each trial's own measured speed it {verb} about {duration(abs(saved))} of "
        f"{duration(told.full_seconds)} of training and validation, summed over trials that ran side by side; the "
        "validations at the rungs are counted, starting a paused student again is not."
    )


def _epochs(epochs: float) -> str:
    return f"{epochs:,.4g}" if epochs < 1e3 else f"{epochs:,.0f}"


def _share(fraction: float) -> str:
    """A share of the hypervolume, which may be small: "0.06 %"."""
    return f"{significant(100 * fraction)} %"


def _gain_texts(results: StudyResults) -> list[str]:
    """The largest expected gain among the stopped, and how many were stopped before anything could be expected."""
    decided = [(each, trial) for trial in results.trials if (each := stopping_decision(trial)) is not None]
    projected = [(each, trial) for each, trial in decided if is_projected(each)]
    texts = []
    if projected:
        largest, trial = max(projected, key=lambda pair: (pair[0].gain_fraction, -pair[1].number))
        texts.append(_largest_text(results, largest, trial))
    num_others = len(decided) - len(projected)
    if num_others:
        texts.append(
            f"{count(num_others, 'of them was', 'of them were')} judged before {MIN_ENDED_TO_PROJECT} that had come to "
            "the rung had ended: nothing could be expected yet, and a place among those that had come decided."
        )
    return texts


def _largest_text(results: StudyResults, decision: RungDecision, trial: TrialRecord) -> str:
    text = (
        f"As far as it can tell: of the stopped, {title(trial, sizes(results))} was expected to add most when it came "
        f"to its last rung, {_share(decision.gain_fraction)} of the hypervolume of the {decision.num_judged} that had "
        f"come there, {decision.num_ended} of them to their end"
    )
    search = results.record.config.get("search")
    halving = search.get("halving") if isinstance(search, Mapping) else None
    asked = f"; {_share(halving['least_gain'])} was asked for" if isinstance(halving, Mapping) else ""
    return f"{text}{asked}."
