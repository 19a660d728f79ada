"""The report on metrics that a study has beside the declared ones: what computes them, and what the test images say."""

from analysis.report_tables import UNKNOWN, Table
from analysis.results import StudyResults
from analysis.statistics import Estimate
from analysis.students import method_title, sizes
from analysis.verified import Verified
from analysis.wording import count, estimate_text, listed, value_text
from trainables.metrics import Metric
from trainables.own_metrics import MetricConfig, declared_name, metric_on_test
from trainables.verified import Role, VerifiedRun

_ROLES = {Role.STUDENT: "on the front"}


def own_metrics_words(results: StudyResults) -> list[str]:
    """Which there are, and what computes them; nothing where there are none."""
    configured = [MetricConfig.model_validate(each) for each in results.record.config.get("metrics", ())]
    told = [f"{each.declared.label} ({each.declared.name}) by {each.key}" for each in configured if each.declared]
    if not told:
        return []
    number = count(len(told), "metric")
    beside = (
        f"Beside the declared metrics the study has {number} of its own, computed from the logits at each evaluation"
    )
    return [f"{beside}: {listed(told)}."]


def own_metrics_table(results: StudyResults) -> Table:
    """Each verified configuration's own metrics on the test images, over the seeds; the teacher's, held against itself.

    Without rows where there are none, or nothing was verified.
    """
    own, record = results.record.own_metrics, results.verification
    rows = []
    if own and record is not None:
        trials, named = {trial.number: trial for trial in results.trials}, sizes(results)
        sides: dict[tuple[int, Role], list[VerifiedRun]] = {}
        for run in record.runs:
            sides.setdefault((run.trial, run.role), []).append(run)
        for (number, role), runs in sides.items():
            side = Verified(trials[number], role, tuple(runs))
            key = side.student.model.key
            values = [_cell(each, side.estimate(declared_name(each))) for each in own]
            shown = _ROLES.get(role, role.value)
            rows.append((str(number), named.labels.get(key, key), shown, method_title(side.method), *values))
        of_teacher = [value_text(each, record.teacher.own.get(declared_name(each))) for each in own]
        rows.append(("teacher", UNKNOWN, UNKNOWN, UNKNOWN, *of_teacher))
    columns = ("trial", sizes(results).axis_title, "role", "method", *(metric_on_test(each).label for each in own))
    return Table(
        "The study's own metrics on the test images, mean over fresh seeds (95 % interval)", columns, tuple(rows)
    )


def _cell(metric: Metric, estimate: Estimate | None) -> str:
    if estimate is None:
        return UNKNOWN
    if metric.unit == "fraction":
        return estimate_text(estimate)
    if estimate.low is None or estimate.high is None:
        return f"{value_text(metric, estimate.mean)} (one seed)"
    mean, low, high = (value_text(metric, each) for each in (estimate.mean, estimate.low, estimate.high))
    return f"{mean} ({low} to {high})"
