"""Sentences on the students that a teacher taught beside their controls: what the differences are, and how sure."""

from collections.abc import Sequence

from analysis.comparisons import SIGNIFICANT, p_text
from analysis.students import Sizes
from analysis.transfer_comparisons import Excess, Excesses, excesses, largest_first
from analysis.transfer_findings import MEASURES, Configuration, compared, wilson_interval
from analysis.transfer_records import Share, TransferRecord
from analysis.wording import count, gain_text, listed

_MOST_SENTENCES = 8


def against_controls(record: TransferRecord, named: Sizes) -> list[str]:
    """One sentence on each of a few students, classic distillation first, and on how all of them compare."""
    excess = excesses(record)
    found = largest_first(compared(record), excess)
    words = [_against_control(each, named, excess) for each in found[:_MOST_SENTENCES]]
    if len(found) > _MOST_SENTENCES:
        words.append(f"{count(len(found) - _MOST_SENTENCES, 'more student')} with a control: in the table.")
    return [*words, *_closer(found), *_family(excess)]


def _against_control(each: Configuration, named: Sizes, excess: Excesses) -> str:
    name = f"{named.name(each.model_key)}, {each.method} (trial {each.trial}"
    name += f", means over {len(each.runs)} seeds)" if len(each.runs) > 1 else ")"
    mine, its = (each.share(of_controls=side, on_mistakes=False) for side in (False, True))
    wrong, its_wrong = (each.share(of_controls=side, on_mistakes=True) for side in (False, True))
    text = (
        f"{name[0].upper()}{name[1:]}: says what the teacher says on {_percent(mine)} of all images; the same network "
        f"taught by labels{_tuned(each)} on {_percent(its)}{_excess(excess.of(each, 'agreement'))}. "
    )
    if not wrong.total:
        return text + "The teacher makes no mistake here."
    return text + (
        f"Where the teacher is wrong it says the same on {_of(wrong)}, the control on {_of(its_wrong)}"
        f"{_excess(excess.of(each, 'agreement_on_mistakes'))}."
    )


def _tuned(each: Configuration) -> str:
    """What else may differ between student and control."""
    if not each.has_tuned_control:
        return ""
    if each.role is None:
        return " (picked as the most accurate labels-only student of its network, not trained alike)"
    return " (the best of its own kind, tuned for itself, not trained alike)"


def _percent(share: Share) -> str:
    return f"{100 * (share.fraction or 0.0):.2f} %"


def _of(share: Share) -> str:
    low, high = wilson_interval(share) or (0.0, 1.0)
    return f"{share.num} of the {share.total} ({100 * low:.0f} to {100 * high:.0f} %)"


def _excess(excess: Excess | None) -> str:
    if excess is None:
        return ""
    text = f": {_decided(excess)}, {gain_text(excess.difference)}"
    return text if excess.p_value is None else f"{text}, corrected {p_text(excess.p_value)}"


def _decided(excess: Excess) -> str:
    if excess.p_value is None:
        return "a difference of one seed"
    if not excess.is_decided:
        return "a difference that the seeds do not decide"
    return "more" if excess.difference.mean > 0.0 else "less"


def _closer(found: Sequence[Configuration]) -> list[str]:
    """In how many networks each measure puts the distilled student nearer to the teacher than its control."""
    parts = []
    for measure in MEASURES.values():
        pairs = [(each.mean(measure.name), each.control_mean(measure.name)) for each in found] if measure.closer else []
        known = [(mine, its) for mine, its in pairs if mine is not None and its is not None]
        if known:
            num_closer = sum((mine - its) * measure.closer > 0.0 for mine, its in known)
            parts.append(f"{measure.label} in {num_closer} of {len(known)}")
    if not parts:
        return ["No distilled student has a labels-only control: nothing can be said about what the teacher gave."]
    return [f"Nearer to the teacher than the control, by the means: {listed(parts)}."]


def _family(excess: Excesses) -> list[str]:
    """What the p values are corrected for, and how many comparisons stand after it."""
    if not excess.num_tests:
        return []
    decided = [each for each in excess.all if each.is_decided]
    num_closer = sum(each.difference.mean * MEASURES[each.measure].closer > 0.0 for each in decided)
    num_students = len({each.configuration.key for each in excess.all if each.p_value is not None})
    text = (
        f"The p values are of paired t tests over the seeds, corrected by Holm's method for "
        f"{count(excess.num_tests, 'comparison')} with a control: {count(num_students, 'distilled student')}, in every "
        f"measure that says how near it is to the teacher. Below {SIGNIFICANT:g} lie {len(decided)}: nearer to the "
        f"teacher {num_closer}, farther {len(decided) - num_closer}."
    )
    return [text]
