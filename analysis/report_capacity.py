"""The report's words and tables about curves: where methods differ, which temperatures are best, what is too small."""

from collections.abc import Sequence

from analysis.capacity import OMITTED, Curves, Difference, Line, Point, curves, omitted_curves
from analysis.capacity_axes import axis_title, place_name, place_text
from analysis.comparisons import p_text
from analysis.kinds import best_of_kind, kind_names, tries_text
from analysis.report_tables import UNKNOWN, Table
from analysis.resolution import resolution_words
from analysis.results import StudyResults
from analysis.statistics import Estimate
from analysis.temperatures import Temperatures, temperatures
from analysis.verified import TEST_ACCURACY, teacher_on_test
from analysis.wording import count, estimate_text, gain_text, listed, significant, value_text

OF_A_FIGURE = "all comparisons of a figure"


def capacity_words(results: StudyResults) -> list[str]:
    """What the curves say, most important first; nothing where there are none."""
    found, on_omitted, levels = curves(results), omitted_curves(results), temperatures(results)
    if found is None and not levels:
        return []
    words = [_kinds_text(results)]
    if found is not None:
        words += [*difference_words(found), *_more_words(found)]
        words += _conditions(found)
    if on_omitted is not None and on_omitted.values:
        words += [*_omitted_words(on_omitted), *difference_words(on_omitted)]
    words += [_temperature_text(each) for each in levels]
    words += _temperature_note(levels)
    gains = [each.gain for each in found.differences] if found else []
    return [*words, *resolution_words(gains, OF_A_FIGURE)]


def capacity_tables(results: StudyResults) -> list[Table]:
    """Each curve's points, and the temperatures."""
    tables = [
        curve_table(each, f"Accuracy on {each.counted}, by {axis_title(each.parameter)}")
        for each in (curves(results), omitted_curves(results))
        if each is not None and each.values
    ]
    levels = temperatures(results)
    return [*tables, _temperature_table(levels)] if levels else tables


def curve_table(found: Curves, title: str) -> Table:
    """A row a point: its accuracy and what it is ahead by."""
    against = {(each.x, each.line): each for each in found.differences}
    rows = [
        (
            place_text(found.parameter, x),
            line.name,
            str(point.trial.number),
            estimate_text(point.accuracy),
            *_cells(against.get((x, line.name))),
        )
        for x in found.values
        for line in found.lines
        if (point := line.at(x)) is not None
    ]
    columns = (
        axis_title(found.parameter), "students", "trial", "accuracy (95 % interval)", "compared with",
        "difference in points (95 % interval)", "p (Holm)",
    )  # fmt: skip
    return Table(title, columns, tuple(rows))


def difference_words(found: Curves) -> list[str]:
    """For each two lines that were compared, where the first is ahead, where behind, and where it is not decided."""
    pairs = dict.fromkeys((each.line, each.reference) for each in found.differences)
    return [
        _pair_text(found, [each for each in found.differences if (each.line, each.reference) == pair]) for pair in pairs
    ]


def _kinds_text(results: StudyResults) -> str:
    best, names = best_of_kind(results), [name.replace("_", " ") for name in kind_names(results)]
    seeds = 0 if results.verification is None else results.verification.num_seeds
    teacher = teacher_on_test(results)
    text = (
        f"{count(len(best), 'kind')} of student, told apart by {listed(names)}: of each the one with the best "
        f"validation accuracy in the search, {tries_text(results)}, was trained again with "
        f"{count(seeds, 'fresh seed')}, shared by all, and read on the test images"
    )
    if teacher is None:
        return f"{text}."
    name = "the last assistant" if results.assistants else "the teacher"
    return f"{text}, of which {name} gets {value_text(TEST_ACCURACY, teacher.accuracy)} right."


def _pair_text(found: Curves, compared: Sequence[Difference]) -> str:
    by_outcome: dict[str, list[str]] = {"ahead of it at": [], "behind it at": [], "not decided at": []}
    for each in compared:
        outcome = "not decided at"
        if each.is_decided:
            outcome = "ahead of it at" if each.gain.mean > 0.0 else "behind it at"
        p_value = "" if each.p_value is None else f", {p_text(each.p_value)}"
        by_outcome[outcome].append(f"{place_name(found.parameter, each.x)} by {gain_text(each.gain)}{p_value}")
    parts = [f"{outcome} {'; '.join(texts)}" for outcome, texts in by_outcome.items() if texts]
    first = compared[0]
    return (
        f"{first.line} against {first.reference}, by {axis_title(found.parameter)}, on {found.counted}: "
        f"{'. '.join(part[0].upper() + part[1:] for part in parts)}."
    )


def _more_words(found: Curves) -> list[str]:
    """Whether more of what stands along the axis would still help: the last step of each line."""
    if found.parameter == OMITTED or len(found.values) < 2:
        return []
    steps = [_last_step(found, line) for line in found.lines if len(line.points) > 1]
    return [f"From one value to the next, at the upper end: {'; '.join(steps)}."] if steps else []


def _last_step(found: Curves, line: Line) -> str:
    before, last = line.points[-2:]
    gain = last.less(before)
    told = UNKNOWN if gain is None else gain_text(gain)
    return f"{line.name} {told} from {place_name(found.parameter, before.x)} to {place_name(found.parameter, last.x)}"


def _conditions(found: Curves) -> list[str]:
    """What must be known of the curves to read them."""
    words = []
    rivals = [(line, point) for line in found.lines for point in line.points if point.num_rivals > 1]
    if rivals:
        names = listed(sorted({line.name for line, _ in rivals}))
        most = max(point.num_rivals for _, point in rivals)
        words.append(
            f"Of {names} each point is the best of up to {most} verified kinds, chosen by validation accuracy in the "
            "search, before the fresh seeds."
        )
    if found.parameter in {"transfer_share", "label_share"}:
        words.append(
            "Which images, and which labels, a smaller share holds is drawn anew with each fresh seed, the same ones "
            "for all methods."
        )
    if found.parameter == "label_share":
        words.append(
            "A batch mixes images that have their label with others, so that few labels make small batches for "
            "students of labels alone."
        )
    if found.parameter == "transfer_share":
        words.append("All students have the same number of epochs, so that one with fewer images takes fewer steps.")
    return words


def _omitted_words(found: Curves) -> list[str]:
    texts = [
        f"{line.name} {listed([_omitted_text(point) for point in line.points])}" for line in found.lines if line.points
    ]
    return [f"Of the images of a class that they were never shown, students get right: {'; '.join(texts)}."]


def _omitted_text(point: Point) -> str:
    return f"{estimate_text(point.accuracy)} of class {point.x}"


def _temperature_text(each: Temperatures) -> str:
    best = each.best
    where = "" if each.x is None else f", {place_name(each.parameter, each.x)}"
    others = [level for level in each.levels if not level.is_best]
    within = [significant(level.temperature) for level in others if level.is_within_noise]
    worse = [
        _worse_text(level.temperature, level.behind, level.p_value) for level in others if not level.is_within_noise
    ]
    text = (
        f"{each.line}{where}: temperature {significant(best.temperature)} is best, {estimate_text(best.point.accuracy)}"
    )
    text += f"; not told from it: {listed(within)}" if within else ""
    return f"{text}; worse: {listed(worse)}." if worse else f"{text}."


def _worse_text(temperature: float, behind: Estimate | None, p_value: float | None) -> str:
    told = UNKNOWN if behind is None else f"{100 * behind.mean:.2f} points"
    return f"{significant(temperature)} (by {told}, {p_text(p_value)})"


def _temperature_note(levels: Sequence[Temperatures]) -> list[str]:
    if not levels:
        return []
    num_compared = sum(not level.is_best for each in levels for level in each.levels)
    text = (
        "The best temperature was picked on the very test images that it is shown with, which flatters it; p is of the "
        f"paired t test against it, corrected by Holm for {count(num_compared, 'comparison')}, but not for the "
        "picking: it is somewhat too small."
    )
    return [text]


def _temperature_table(levels: Sequence[Temperatures]) -> Table:
    rows = [
        (
            each.line,
            UNKNOWN if each.x is None else place_text(each.parameter, each.x),
            significant(level.temperature),
            estimate_text(level.point.accuracy),
            "best" if level.is_best else UNKNOWN if level.behind is None else f"-{100 * level.behind.mean:.2f}",
            UNKNOWN if level.p_value is None else p_text(level.p_value).removeprefix("p "),
        )
        for each in levels
        for level in each.levels
    ]
    along = axis_title(levels[0].parameter) if levels[0].parameter else "at"
    columns = ("students", along, "temperature", "accuracy (95 % interval)", "less the best, in points", "p (Holm)")
    return Table("Temperatures over fresh seeds", columns, tuple(rows))


def _cells(against: Difference | None) -> tuple[str, str, str]:
    if against is None:
        return UNKNOWN, UNKNOWN, UNKNOWN
    gain = against.gain
    interval = "" if gain.low is None or gain.high is None else f" ({100 * gain.low:+.2f} to {100 * gain.high:+.2f})"
    p_value = UNKNOWN if against.p_value is None else p_text(against.p_value).removeprefix("p ")
    return against.reference, f"{100 * gain.mean:+.2f}{interval}", p_value
