"""Metrics of a study's own in what is read of it: on fronts, axes, tables and the test images, without their code."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

import analysis.__main__ as command_line
from analysis.curves import curves_of
from analysis.pareto import cost_metric
from analysis.report import report_html, write_report
from analysis.report_own_metrics import own_metrics_table, own_metrics_words
from analysis.results import StudyResults, metric_of_studies, read_study
from analysis.verified import nondominated_probabilities, runs_table
from analysis.wording import value_text
from tests.analysis.page import Page
from tests.analysis.study_directory import MadeTrial, study_config, write_study
from tests.verifications import verification
from trainables.metrics import Direction, Metric, Source, metric
from trainables.study_paths import StudyPaths
from trainables.verified import Role, VerificationRecord
from trainables.whole_files import write_record

OWN = Metric("validation_brier", "Brier score on validation", "", Direction.MINIMIZE, Source.TRAINING)
OBJECTIVES = ("validation_brier", "latency_p50_ms_batch1")


def config_of(objectives: Sequence[str] = OBJECTIVES, **declared: str) -> dict[str, Any]:
    """Its code is nowhere: whoever needs it to read the study fails."""
    told = {
        "name": OWN.name,
        "label": OWN.label,
        "unit": OWN.unit,
        "direction": OWN.direction.value,
        "source": OWN.source.value,
        **declared,
    }
    return study_config(objectives=objectives) | {
        "metrics": [{"name": "not_here:brier", "options": {}, "declared": told}]
    }


def trial(width: int, brier: float | None, **fields: Any) -> MadeTrial:
    return MadeTrial(width=width, latency_ms=width / 10, metrics={"validation_brier": brier}, **fields)


def study(folder: Path, **declared: str) -> Path:
    """Better when less: the third is worse and slower than the second, and stands on no front."""
    trials = [trial(1, 0.5), trial(2, 0.25), trial(4, 0.375), trial(8, 0.125), trial(16, None)]
    return write_study(folder, trials, objectives=OBJECTIVES, config=config_of(**declared))


def pareto(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command_line.app, ["pareto", *map(str, arguments)])
    return result.exit_code, result.stdout + result.stderr


def test_front_goes_by_its_direction_and_is_listed_by_the_cost(tmp_path: Path) -> None:
    results = read_study(study(tmp_path))
    assert results.objectives == (OWN, metric("latency_p50_ms_batch1"))
    assert [each.number for each in results.front] == [0, 1, 3]


@pytest.mark.parametrize(
    ("names", "cost"),
    [
        (("validation_nll", "latency_p50_ms_batch1"), "latency_p50_ms_batch1"),
        (("validation_nll", "train_images_per_s"), "train_images_per_s"),
        (("validation_accuracy", "validation_nll"), "validation_nll"),
    ],
)
def test_error_that_training_shows_is_no_cost_beside_one_that_is(names: tuple[str, str], cost: str) -> None:
    assert cost_metric([metric(each) for each in names]).name == cost


def test_axis_front_and_colour_know_it(tmp_path: Path) -> None:
    code, out = pareto(study(tmp_path), "--y", "validation_brier")
    assert code == 0
    assert [int(line.split()[1]) for line in out.splitlines()[1:]] == [0, 1, 3]
    page = tmp_path / "three.html"
    assert pareto(tmp_path, "--color", "validation_brier", "--three", "--out", page)[0] == 0
    assert "Brier score on<br>validation" in page.read_text(encoding="utf-8").replace("\\u003c", "<").replace(
        "\\u003e", ">"
    )
    code, out = pareto(tmp_path, "--y", "validation_brjer")
    assert code == 2
    assert 'unknown metric "validation_brjer": allowed are ' in out
    assert "process_memory_mib, validation_brier, latency_p50" in out


def test_studies_that_mean_different_things_by_one_name_are_not_drawn_by_it(tmp_path: Path) -> None:
    same, other = study(tmp_path / "a"), study(tmp_path / "b", label="Brier skill", direction="maximize")
    code, out = pareto(same, other, "--y", "validation_brier")
    assert code == 2
    assert '"validation_brier" is not the same in all of these studies: Brier score on validation, a pure' in out
    assert pareto(same, other)[0] == 0
    assert metric_of_studies("validation_brier", [read_study(same)] * 2) == OWN


def test_study_that_lacks_it_is_named(tmp_path: Path) -> None:
    without = write_study(tmp_path / "b", [MadeTrial()], name="without")
    code, out = pareto(study(tmp_path / "a"), without, "--y", "validation_brier")
    assert code == 2
    assert "without: no trial that ran its full budget reports all of" in out


def test_report_and_tables_hold_it_though_it_is_no_objective(tmp_path: Path) -> None:
    objectives = ("validation_accuracy", "latency_p50_ms_batch1")
    write_study(tmp_path, [trial(1, 0.5), trial(2, 0.25)], config=config_of(objectives))
    write_report(tmp_path, images=False)
    assert list(pd.read_csv(tmp_path / "trials.csv")["validation_brier"]) == [0.5, 0.25]
    text = " ".join(Page((tmp_path / "report.html").read_text(encoding="utf-8")).words)
    assert "Brier score on validation (validation_brier) by not_here:brier()" in text


def test_curves_that_searches_are_replayed_on_keep_it_epoch_by_epoch(tmp_path: Path) -> None:
    curves = curves_of(read_study(study(tmp_path)))
    assert [each.epochs[-1].get("validation_brier") for each in curves.trials] == [0.5, 0.25, 0.375, 0.125, None]
    assert "validation_brier" not in curves.trials[0].isolated


def with_test_values(record: VerificationRecord, values: dict[tuple[int, int], float]) -> VerificationRecord:
    """By trial and seed; the teacher has 0.0625."""
    runs = [
        run.model_copy(
            update={"on_test": run.on_test.model_copy(update={"own": {"brier": values[run.trial, run.seed_index]}})}
        )
        for run in record.runs
        if run.on_test is not None
    ]
    teacher = record.teacher.model_copy(update={"own": {"brier": 0.0625}})
    return record.model_copy(update={"runs": tuple(runs), "teacher": teacher})


VALUES = {(0, 1): 0.5, (0, 2): 0.4, (0, 3): 0.6, (1, 1): 0.3, (1, 2): 0.3, (1, 3): 0.3}


def verified(folder: Path) -> StudyResults:
    results = read_study(study(folder))
    sides = {
        (number, Role.STUDENT): (student, [0.9, 0.9, 0.9])
        for number, student in ((each.number, each.student) for each in results.trials[:2])
        if student is not None
    }
    return replace(results, verification=with_test_values(verification(sides), VALUES))


def test_test_images_tell_it_run_by_run_and_as_a_mean_over_the_seeds(tmp_path: Path) -> None:
    """0.5, 0.4 and 0.6: a mean of 0.5, whose interval is t(2) / sqrt(3) deviations of 0.1 wide, each way."""
    results = verified(tmp_path)
    assert list(runs_table(results)["test_brier"]) == list(VALUES.values())
    table = own_metrics_table(results)
    assert table.columns[-1] == "Brier score on the test images"
    arm = stats.t.ppf(0.975, 2) * 0.1 / 3**0.5
    assert [row[-1] for row in table.rows] == [
        f"0.5 ({0.5 - arm:.3g} to {0.5 + arm:.3g})", "0.3 (0.3 to 0.3)", "0.0625",
    ]  # fmt: skip
    assert [row[0] for row in table.rows] == ["0", "1", "teacher"]


def test_front_on_the_test_images_is_of_it(tmp_path: Path) -> None:
    """The first is faster by far. The second is beaten where it is not better: by seed it is, by 0.2, 0.1 and 0.3.

    Their mean lies 2 sqrt(3) standard errors from 0, on two degrees of freedom.
    """
    ahead = nondominated_probabilities(verified(tmp_path))
    assert ahead[0, Role.STUDENT] == 1.0
    assert ahead[1, Role.STUDENT] == pytest.approx(stats.t.cdf(2 * 3**0.5, 2), abs=0.006)  # three errors of the draws


def test_fraction_is_told_in_percent_and_within_its_bounds(tmp_path: Path) -> None:
    results = read_study(study(tmp_path, unit="fraction"))
    student = results.trials[0].student
    assert student is not None
    record = verification({(0, Role.STUDENT): (student, [0.9, 0.9])})
    found = own_metrics_table(replace(results, verification=with_test_values(record, {(0, 1): 0.01, (0, 2): 0.09})))
    assert found.rows[0][-1] == "5.00 % (0.00 to 55.82)"


def test_study_without_any_has_neither_words_nor_a_table(tmp_path: Path) -> None:
    results = read_study(write_study(tmp_path, [MadeTrial()]))
    assert own_metrics_words(results) == []
    assert own_metrics_table(results).rows == ()
    assert "own metrics" not in report_html(results, (), datetime.now(UTC))


def test_verified_file_of_an_older_study_knows_none(tmp_path: Path) -> None:
    results = read_study(study(tmp_path))
    student = results.trials[0].student
    assert student is not None
    write_record(StudyPaths(tmp_path).verification_json, verification({(0, Role.STUDENT): (student, [0.9, 0.8])}))
    results = read_study(tmp_path)
    assert runs_table(results)["test_brier"].isna().all()
    assert own_metrics_table(results).rows[0][-1] == "-"


@pytest.mark.parametrize(
    ("value", "text"), [(0.125, "0.125"), (12.0, "12"), (1_234_567.0, "1,234,567"), (-0.5, "-0.5")]
)
def test_pure_number_keeps_its_digits(value: float, text: str) -> None:
    assert value_text(OWN, value) == text
