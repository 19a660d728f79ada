"""The report on what was transferred: words, a table and figures, from the stored transfer analysis alone."""

from collections.abc import Sequence

from analysis.comparisons import p_text
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
from analysis.statistics import BootstrapInterval
from analysis.students import LABELS_METHOD, WITHOUT_TEACHER, Sizes, method_title, sizes
from analysis.transfer_comparisons import Excess, Excesses, excesses
from analysis.transfer_findings import (
    MEASURES,
    Configuration,
    Correlation,
    Measure,
    configurations,
    correlations,
)
from analysis.transfer_records import TransferRecord
from analysis.transfer_words import against_controls
from analysis.wording import count, listed, points

_AGAINST = ("agreement", "agreement_on_mistakes")
_NOT_YET = (
    "What went from the teacher to the students beyond accuracy has not been measured: "
    "python -m analysis transfer DIR does so, in seconds a student, and renews this report."
)


def transfer_words(results: StudyResults) -> list[str]:
    """What the analysis says, most important first; one sentence on how to get it where there is none."""
    record = results.transfer
    if record is None:
        return [_NOT_YET]
    named = sizes(results)
    return [
        *_what(record, results),
        *against_controls(record, named),
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
    excess = Excesses(()) if record is None else excesses(record)
    rows = [] if record is None else [_row(each, named, excess) for each in configurations(record)]
    against = [
        column for name in _AGAINST for column in (f"{MEASURES[name].label}, less the control's", "its p, corrected")
    ]
    labels = [each.label for each in MEASURES.values()]
    columns = ("trial", named.axis_title, "method", "seeds", "accuracy", *against, *labels)
    return Table("What was transferred, means over seeds, on validation images", columns, tuple(rows))


def _row(each: Configuration, named: Sizes, excess: Excesses) -> tuple[str, ...]:
    accuracy = sum(run.accuracy for run in each.runs) / len(each.runs)
    values = [_value_text(measure, each.mean(measure.name)) for measure in MEASURES.values()]
    against = [cell for name in _AGAINST for cell in _against_cells(excess.of(each, name))]
    name = named.labels.get(each.model_key, each.model_key)
    return (
        str(each.trial), name, method_title(each.method), str(len(each.runs)), f"{100 * accuracy:.2f} %", *against,
        *values,
    )  # fmt: skip


def _against_cells(excess: Excess | None) -> tuple[str, str]:
    if excess is None:
        return UNKNOWN, UNKNOWN
    p_value = UNKNOWN if excess.p_value is None else p_text(excess.p_value).removeprefix("p ")
    return points(excess.difference.mean), p_value


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
    if results.record.config.get("assistants"):
        what = f"The teacher here is the last assistant, {teacher.model.key}, which taught the students. {what}"
    verified = results.verification
    current = {run.fingerprint for run in verified.runs if run.failure is None} if verified else set()
    analysed = {student.weights.removeprefix("verify/").removesuffix(".safetensors") for student in record.students}
    if current - analysed:
        what += " The study has gone on since: python -m analysis transfer DIR would look at its present students."
    return [what]


def _calibration(record: TransferRecord) -> list[str]:
    parts = [f"the teacher's {100 * record.teacher.ece:.2f} %"]
    for title, group in _groups(record).items():
        errors = [100.0 * value for each in group if (value := each.mean("ece")) is not None]
        if errors:
            parts.append(f"{title} students' {_range(errors, '%')}")
    text = f"Confidence against accuracy (expected calibration error, 15 bins): {listed(parts)}."
    return [f"{text} It lies above 0 by chance alone, the more so the fewer the images."]


def _boundary(record: TransferRecord) -> list[str]:
    distance = record.teacher.boundary.mean_distance
    if distance is None:
        return []
    parts = [f"it is {distance:.2f} away for the teacher"]
    cosines = []
    for title, group in _groups(record).items():
        away = [value for each in group if (value := each.mean("boundary_distance")) is not None]
        along = [value for each in group if (value := each.mean("boundary_cosine")) is not None]
        if away and along:
            parts.append(f"{_range(away, '')} for {title} students")
            cosines.append(f"{_range(along, '')} for {title} ones")
    text = (
        f"The decision boundary between an image's two likeliest classes, on {record.num_boundary_images:,} images "
        f"(L2, in normalised pixels, by DeepFool): {listed(parts)}."
    )
    reached = [each.boundary.num_reached for each in (record.teacher, *record.students)]
    if min(reached) < record.num_boundary_images:
        text += f" It was reached on {_counts(reached)} of them, by network; a mean is over those alone."
    if cosines:
        text += f" The cosine between the student's and the teacher's direction to it is {listed(cosines)}."
    return [text]


def _range(values: Sequence[float], unit: str) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return f"{low if low == high else f'{low} to {high}'} {unit}".strip()


def _groups(record: TransferRecord) -> dict[str, list[Configuration]]:
    """The distilled, the labels-only, and those that other methods without a teacher taught, under their names."""
    groups: dict[str, list[Configuration]] = {"distilled": [], "labels-only": []}
    for each in sorted(configurations(record), key=lambda each: each.method):
        own = "labels-only" if each.method == LABELS_METHOD else each.method
        groups.setdefault(own if each.method in WITHOUT_TEACHER else "distilled", []).append(each)
    return groups


def _with_accuracy(record: TransferRecord, named: Sizes) -> list[str]:
    """The measures whose correlation has the same sign at every size and is told from 0 there, strongest first."""
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
    told = {name: group for name, group in steady.items() if all(each.is_told_from_0 for each in group)}
    ordered = sorted(told, key=lambda name: min(abs(each.coefficient or 0.0) for each in told[name]), reverse=True)
    num_students = [each.num_students for each in found if each.coefficient is not None]
    among = f"Among the students of one network ({_counts(num_students)} each, whatever taught them)"
    at = f"at all {most} sizes with enough of them" if most > 1 else "at the one size with enough of them"
    how = "Spearman's correlation with its 95 % bootstrap interval, not corrected for how many measures there are"
    if not ordered:
        alike = f"; {count(len(steady), 'measure')} of {len(MEASURES)} at least with the same sign" if steady else ""
        return [f"{among} no measure is told to go with accuracy {at}, by {how}{alike}."]
    parts = [f"{MEASURES[name].label} ({_coefficients(told[name], named)})" for name in ordered[:4]]
    text = f"{among}, what goes with accuracy the same way {at}, by {how}: {'; '.join(parts)}."
    why = "That shows a direction, not a cause: the more accurate student also agrees more with a good teacher."
    return [f"{text} {why}"]


def _coefficients(group: Sequence[Correlation], named: Sizes) -> str:
    ordered = sorted(group, key=lambda each: named.position(each.model_key))
    return ", ".join(f"{_with_interval(each.interval)} at {named.name(each.model_key)}" for each in ordered)


def _with_interval(found: BootstrapInterval | None) -> str:
    if found is None:
        return UNKNOWN
    if found.low is None or found.high is None:
        return f"{found.value:+.2f}"
    return f"{found.value:+.2f}, {found.low:+.2f} to {found.high:+.2f},"


def _sign(value: float | None) -> int:
    return 0 if not value else 1 if value > 0.0 else -1


def _counts(values: Sequence[int]) -> str:
    return f"{min(values):,}" if min(values) == max(values) else f"{min(values):,} to {max(values):,}"


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
    f"labels-only one of its size. At most {MAX_SIZES} sizes and {MAX_METHODS} methods are drawn (labels, kd, then "
    "the most accurate); transfer.json holds all."
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
