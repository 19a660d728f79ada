"""Bounds as text: what is read, what is refused, and what a student breaks."""

import pytest

from study.search.constraints import broken_by, check_kept, parse_constraints


def test_bounds_are_read_and_written_as_they_were_meant() -> None:
    constraints = parse_constraints({"latency_p99_ms_batch1": "<= 2.0", "validation_accuracy": ">=.97"})
    assert [each.text for each in constraints] == ["latency_p99_ms_batch1 <= 2", "validation_accuracy >= 0.97"]
    assert parse_constraints(
        {each.text.split(maxsplit=1)[0]: each.text.split(maxsplit=1)[1] for each in constraints}
    ) == (constraints)


@pytest.mark.parametrize(
    ("text", "value", "violation"),
    [
        ("<= 2.0", 2.5, 0.5),
        ("<= 2.0", 2.0, 0.0),
        ("<= 2.0", 0.5, -1.5),
        (">= 0.97", 0.9, 0.07),
        (">= 0.97", 0.97, 0.0),
        (">= -1e-3", -2e-3, 1e-3),
        ("<=2e3", 1.0, -1999.0),
    ],
)
def test_violation_is_the_distance_to_the_bound_and_the_bound_itself_keeps_it(
    text: str, value: float, violation: float
) -> None:
    (constraint,) = parse_constraints({"validation_nll": text})
    assert constraint.violation(value) == pytest.approx(violation)


@pytest.mark.parametrize(
    "text",
    ["< 2", "2", "== 2", "<= two", "<= 2 ms", "<= 1e999", "<= nan", "<= inf", "=< 2", "<= 2; 3", "", "<= 2 or 1"],
)
def test_what_is_no_bound_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(
        ValueError, match=r'constraints\.validation_nll = ".*": it must be "<= number" or ">= number"'
    ) as e:
        parse_constraints({"validation_nll": text})
    assert f'"{text}"' in str(e.value)


def test_metric_that_is_unknown_or_shown_only_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match='constraints: unknown metric "accuracy": allowed are validation_accuracy, '):
        parse_constraints({"accuracy": ">= 0.9"})
    with pytest.raises(
        ValueError, match=r"constraints\.train_seconds = .* while others run: shown, never a constraint"
    ):
        parse_constraints({"train_seconds": "<= 9"})


def test_first_broken_isolated_constraint_is_told_and_those_of_training_are_not_asked() -> None:
    constraints = parse_constraints(
        {"validation_accuracy": ">= 0.97", "latency_p99_ms_batch1": "<= 2.0", "num_parameters": "<= 1e4"}
    )
    known = {"latency_p99_ms_batch1": 1.0, "num_parameters": 1e4, "validation_accuracy": 0.0}
    assert broken_by(constraints, known) is None
    broken = broken_by(constraints, {**known, "latency_p99_ms_batch1": 2.1, "num_parameters": 2e4})
    assert broken is constraints[1]


@pytest.mark.parametrize("isolated", [{}, {"peak_memory_mib": None}, {"peak_memory_mib": float("nan")}])
def test_constraint_on_what_is_unknown_on_this_device_is_an_error(isolated: dict[str, float | None]) -> None:
    with pytest.raises(ValueError, match=r'constraint "peak_memory_mib <= 100": peak_memory_mib is (None|nan) on this'):
        broken_by(parse_constraints({"peak_memory_mib": "<= 100"}), isolated)


def test_constraints_that_no_student_keeps_are_told_with_what_comes_nearest() -> None:
    constraints = parse_constraints({"latency_p50_ms_batch1": "<= 0.1", "num_parameters": "<= 1000"})
    students: dict[str, dict[str, float | None]] = {
        "small": {"latency_p50_ms_batch1": 0.2, "num_parameters": 500.0},
        "fast": {"latency_p50_ms_batch1": 0.05, "num_parameters": 2000.0},
    }
    nearest = (
        r"latency_p50_ms_batch1 <= 0\.1 \(0\.05 for fast comes nearest\) and num_parameters <= 1000 \(500 for small"
    )
    with pytest.raises(ValueError, match=f"no student of the space keeps {nearest}"):
        check_kept(constraints, students)
    check_kept(constraints, students | {"both": {"latency_p50_ms_batch1": 0.1, "num_parameters": 1000.0}})
