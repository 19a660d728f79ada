"""The report on what was transferred: words, a table and figures, from the stored transfer analysis alone."""

from collections.abc import Sequence

from analysis.plots import ReportFigure
from analysis.plots_transfer import agreement_figure, by_size_figure
from analysis.plots_transfer_maps import (
    MAX_METHODS,
    MAX_ROWS,
    MAX_SIZES,
    accuracy_figure,
    classes_figure,
    layers_figure,
)
from analysis.report_tables import UNKNOWN, Table
from analysis.results import StudyResults
from analysis.statistics import Estimate
from analysis.students import LABELS_METHOD, Sizes, method_title, sizes
from analysis.transfer_findings import (
    MEASURES,
    Configuration,
    Correlation,
    Measure,
    compared,
    configurations,
    correlations,
    wilson_interval,
)
from analysis.transfer_records import Share, TransferRecord
from analysis.wording import count, gain_text, listed

_MOST_SENTENCES = 8
_NOT_YET = (
    "What went from the teacher to the students beyond accuracy has not been measured: "
    "`python -m analysis transfer DIR` does so, in seconds a student, and renews this report."
)


def transfer_words(results: StudyResults) -> list[str]:
    """What the analysis says, most important first; one sentence on how to get it where there is none."""
    record = results.transfer
    if record is None:
        return [_NOT_YET]
    found, named = compared(record), sizes(results)
    most = [_against_control(each, named) for each in found[:_MOST_SENTENCES]]
    if len(found) > _MOST_SENTENCES:
        most.append(f"{count(len(found) - _MOST_SENTENCES, 'more student')} with a control: in the table.")
    return [
        *_what(record, results),
        *most,
        *_closer(found),
        *_calibration(record),
        *_boundary(record),
        *_with_accuracy(record, named),
        *_left_out(record),
    ]


def transfer_figures(results: StudyResults) -> tuple[ReportFigure, ...]:
    """The figures of the section; none before the analysis."""
    record = results.transfer
    if record is None:
        return ()
    return (
        ReportFigure("transfer_agreement", _AGREEMENT, agreement_figure(results, record)),
        ReportFigure("transfer_by_size", _BY_SIZE, by_size_figure(results, record)),
        ReportFigure("transfer_layers", _LAYERS, layers_figure(results, record)),
        ReportFigure("transfer_classes", _CLASSES, classes_figure(results, record)),
        ReportFigure("transfer_accuracy", _ACCURACY, accuracy_figure(results, record)),
    )


def transfer_table(results: StudyResults) -> Table:
    """Each analysed configuration, means over its seeds."""
    record = results.transfer
    named = sizes(results)
    rows = [] if record is None else [_row(each, named) for each in configurations(record)]
    columns = ("trial", named.axis_title, "method", "seeds", "accuracy", *(each.label for each in MEASURES.values()))
    return Table("What was transferred, means over seeds, on validation images", columns, tuple(rows))


def _row(each: Configuration, named: Sizes) -> tuple[str, ...]:
    accuracy = sum(run.accuracy for run in each.runs) / len(each.runs)
    values = [_value_text(measure, each.mean(measure.name)) for measure in MEASURES.values()]
    name = named.labels.get(each.model_key, each.model_key)
    return (
        str(each.trial), name, method_title(each.method), str(len(each.runs)), f"{100 * accuracy:.2f} %", *values
    )  # fmt: skip


def _value_text(measure: Measure, value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{100 * value:.2f} %" if measure.unit == "fraction" else f"{value:.3f}"


def _what(record: TransferRecord, results: StudyResults) -> list[str]:
    teacher = record.teacher
    what = (
        f"{count(len(record.students), 'trained student')} and the teacher were run on the same "
        f"{record.num_images:,} validation images, un-augmented; the test images were not read. The teacher gets "
        f"{teacher.num_mistakes:,} of them wrong ({100 * (1 - teacher.accuracy):.2f} %). A student that says the same "
        "on one of those has taken over a mistake, or stumbles over the same hard image: the control, the same network "
        "taught by labels with the same seed, shows how often the latter happens."
    )
    verified = results.verification
    current = {run.fingerprint for run in verified.runs if run.failure is None} if verified else set()
    analysed = {student.weights.removeprefix("verify/").removesuffix(".safetensors") for student in record.students}
    if current - analysed:
        what += " The study has gone on since: `python -m analysis transfer DIR` would look at its present students."
    return [what]


def _against_control(each: Configuration, named: Sizes) -> str:
    name = f"{named.name(each.model_key)}, {each.method} (trial {each.trial}"
    name += f", means over {len(each.runs)} seeds)" if len(each.runs) > 1 else ")"
    mine, its = (each.share(of_controls=side, on_mistakes=False) for side in (False, True))
    wrong, its_wrong = (each.share(of_controls=side, on_mistakes=True) for side in (False, True))
    text = (
        f"{name[0].upper()}{name[1:]}: says what the teacher says on {_percent(mine)} of all images; the same network "
        f"taught by labels on {_percent(its)}{_excess(each, 'agreement', mine)}. "
    )
    if not wrong.total:
        return text + "The teacher makes no mistake here."
    return text + (
        f"Where the teacher is wrong it says the same on {_of(wrong)}, the control on {_of(its_wrong)}"
        f"{_excess(each, 'agreement_on_mistakes', wrong)}."
    )


def _percent(share: Share) -> str:
    return f"{100 * (share.fraction or 0.0):.2f} %"


def _of(share: Share) -> str:
    low, high = wilson_interval(share) or (0.0, 1.0)
    return f"{share.num} of the {share.total} ({100 * low:.0f} to {100 * high:.0f} %)"


def _excess(each: Configuration, name: str, share: Share) -> str:
    excess = each.excess(name, least_deviation=1.0 / share.total)
    return "" if excess is None else f": {_decided(excess)}, {gain_text(excess)}"


def _decided(excess: Estimate) -> str:
    if excess.low is None:
        return "a difference of one seed"
    if not excess.excludes_zero:
        return "a difference that the seeds do not decide"
    return "more" if excess.mean > 0.0 else "less"


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


def _calibration(record: TransferRecord) -> list[str]:
    distilled, labels = _split(record)
    parts = [f"the teacher's {100 * record.teacher.ece:.2f} %"]
    for title, group in (("distilled students'", distilled), ("labels-only students'", labels)):
        errors = [100.0 * value for each in group if (value := each.mean("ece")) is not None]
        if errors:
            parts.append(f"{title} {_range(errors, '%')}")
    text = f"Confidence against accuracy (expected calibration error, 15 bins): {listed(parts)}."
    return [f"{text} It lies above 0 by chance alone, the more so the fewer the images."]


def _boundary(record: TransferRecord) -> list[str]:
    distance = record.teacher.boundary.mean_distance
    if distance is None:
        return []
    distilled, labels = _split(record)
    parts = [f"it is {distance:.2f} away for the teacher"]
    cosines = []
    for title, group in (("distilled", distilled), ("labels-only", labels)):
        away = [value for each in group if (value := each.mean("boundary_distance")) is not None]
        along = [value for each in group if (value := each.mean("boundary_cosine")) is not None]
        if away and along:
            parts.append(f"{_range(away, '')} for {title} students")
            cosines.append(f"{_range(along, '')} for {title} ones")
    text = (
        f"The decision boundary between an image's two likeliest classes, on {record.num_boundary_images:,} images "
        f"(L2, in normalised pixels, by DeepFool): {listed(parts)}."
    )
    if cosines:
        text += f" The cosine between the student's and the teacher's direction to it is {listed(cosines)}."
    return [text]


def _range(values: Sequence[float], unit: str) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return f"{low if low == high else f'{low} to {high}'} {unit}".strip()


def _split(record: TransferRecord) -> tuple[list[Configuration], list[Configuration]]:
    found = configurations(record)
    return (
        [each for each in found if each.method != LABELS_METHOD],
        [each for each in found if each.method == LABELS_METHOD],
    )


def _with_accuracy(record: TransferRecord, named: Sizes) -> list[str]:
    """The measures whose sign is the same at every size, strongest first."""
    found = correlations(record)
    by_measure: dict[str, list[Correlation]] = {}
    for each in found:
        if each.coefficient is not None:
            by_measure.setdefault(each.measure, []).append(each)
    if not by_measure:
        return ["What goes with accuracy cannot be said: no network has three students that differ."]
    most = max(len(group) for group in by_measure.values())
    steady = {
        name: group
        for name, group in by_measure.items()
        if len(group) == most and abs(sum(_sign(each.coefficient) for each in group)) == most
    }
    ordered = sorted(steady, key=lambda name: min(abs(each.coefficient or 0.0) for each in steady[name]), reverse=True)
    num_students = [each.num_students for each in found if each.coefficient is not None]
    among = f"Among the students of one network ({_span(num_students)} each, whatever taught them)"
    if not ordered:
        return [f"{among} no measure goes with accuracy the same way at all {most} sizes."]
    parts = [f"{MEASURES[name].label} ({_coefficients(steady[name], named)})" for name in ordered[:4]]
    at = f"at all {most} sizes with enough of them" if most > 1 else "at the one size with enough of them"
    text = f"{among}, what goes with accuracy the same way {at}, by Spearman's correlation: {listed(parts)}."
    why = "So few students show a direction, not a cause: the more accurate one also agrees more with a good teacher."
    return [f"{text} {why}"]


def _coefficients(group: Sequence[Correlation], named: Sizes) -> str:
    ordered = sorted(group, key=lambda each: named.position(each.model_key))
    return ", ".join(f"{each.coefficient:+.2f} at {named.name(each.model_key)}" for each in ordered)


def _sign(value: float | None) -> int:
    return 0 if not value else 1 if value > 0.0 else -1


def _span(values: Sequence[int]) -> str:
    return str(min(values)) if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _left_out(record: TransferRecord) -> list[str]:
    if not record.left_out:
        return []
    return [f"{count(len(record.left_out), 'student')} could not be analysed: {listed(record.left_out)}."]


_AGREEMENT = (
    "The share of images on which student and teacher say the same. Each marker is the mean of one configuration over "
    "its seeds, small dots are the seeds; beside each other stand "
    "the same networks, taught in different ways. Bars are 95 % intervals of a share of so many images (Wilson), wide "
    "on the right because the teacher makes few mistakes. Where a distilled student stands clearly above the "
    "labels-only one of its size, it learned what the teacher says; where both are equal, right answers alone lead "
    "there."
)
_BY_SIZE = (
    "Markers are means over seeds, small dots the seeds. The Kullback-Leibler divergence (lower is nearer) is of the "
    "whole output; calibration error is confidence against accuracy. The distance to the boundary is how far an image "
    "must move until its two likeliest classes are equally likely, the cosine whether student and teacher would move "
    "it the same way (1: exactly, 0: unrelated)."
)
_LAYERS = (
    "Linear centred kernel alignment of what two layers say of the same images: 1 where one is the other up to "
    "rotation and scale. Means over seeds. Look for a distilled student's cells that are darker than those of the "
    f"labels-only one of its size. At most {MAX_SIZES} sizes and {MAX_METHODS} methods are drawn; transfer.json holds "
    "all."
)
_CLASSES = (
    "Rows are configurations with their trial, means over seeds; the first is the teacher. Left: the share of images, "
    "in percent, on which a student says otherwise than the teacher, whichever of the two is right (accuracy by class "
    "stands in transfer.csv). Right: distance to the boundary, in normalised pixels: where it is small, small changes "
    f"of an image change the answer. At most {MAX_ROWS} configurations are drawn, evenly from the smallest network to "
    "the largest."
)
_ACCURACY = (
    "Blue: the more of it, the more accurate, among the students of one size; orange: the reverse. Empty where fewer "
    "than three students differ. With few students even a large number may be chance."
)
