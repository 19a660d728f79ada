"""The picture of two searches over their seeds: what its lines pass through, and what its band holds."""

from typing import Any

import numpy as np
import pytest

from analysis.attainment import AttainmentComparison, Runs
from analysis.plots_attainment import attainment_figure, attainment_table, staircase
from trainables.metrics import metric

LATENCY, ACCURACY, SIZE = (metric(name) for name in ("latency_p50_ms_batch1", "validation_accuracy", "num_parameters"))
SPEED = metric("train_images_per_s")
PLANE = (LATENCY, ACCURACY)


def compared(*metrics: Any, num_one: int = 3) -> AttainmentComparison:
    fronts = tuple(np.array([[0.1, 0.90 + 0.01 * k], [0.2, 0.95 + 0.01 * k]]) for k in range(num_one))
    others = tuple(np.array([[0.15, 0.91 + 0.01 * k]]) for k in range(2))
    one, other = Runs("kd", fronts, fronts), Runs("labels", others, others)
    return AttainmentComparison(one, other, metrics or PLANE)


def traces(drawn: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in drawn.data}


def test_staircase_goes_along_what_is_attained() -> None:
    """Latency is better when less, accuracy when more: up at each student, then to the right."""
    steps = staircase(np.array([[0.2, 0.95], [0.1, 0.90]]), PLANE, np.array([0.5, 0.8]))
    assert steps.tolist() == [[0.1, 0.8], [0.1, 0.90], [0.2, 0.90], [0.2, 0.95], [0.5, 0.95]]


def test_staircase_follows_the_directions_of_its_metrics() -> None:
    """Images per second are better when more: from the fastest student down to the slow corner."""
    steps = staircase(np.array([[100.0, 0.95], [200.0, 0.90]]), (SPEED, ACCURACY), np.array([50.0, 0.8]))
    assert steps.tolist() == [[200, 0.8], [200, 0.90], [100, 0.90], [100, 0.95], [50, 0.95]]


def test_figure_asks_its_question_and_names_units_and_seeds() -> None:
    drawn = attainment_figure(compared())
    assert drawn.layout.title.text.replace("<br>", " ").startswith(
        "Which search attains the better validation accuracy"
    )
    assert "(ms" in drawn.layout.xaxis.title.text
    assert {"kd, median of 3 studies", "kd, best to worst", "labels, median of 2 studies"} <= traces(drawn).keys()


def test_band_lies_between_the_best_and_the_worst_study_and_the_line_within() -> None:
    """At 0.2 ms the three studies reach 95, 96 and 97 %."""
    drawn = traces(attainment_figure(compared()))
    is_error = "error" in attainment_figure(compared()).layout.yaxis.title.text
    reached = {
        name: [1.0 - y if is_error else y for x, y in zip(drawn[name].x, drawn[name].y, strict=True) if x > 0.2]
        for name in ("kd, median of 3 studies", "kd, best to worst")
    }
    assert reached["kd, median of 3 studies"] == pytest.approx([0.96])
    assert sorted(reached["kd, best to worst"]) == pytest.approx([0.95, 0.97])


def test_every_student_of_every_front_is_shown() -> None:
    drawn = traces(attainment_figure(compared()))
    assert len(drawn["kd, students of the fronts"].x) == 6
    assert "kd, study 3" in drawn["kd, students of the fronts"].hovertext[-1]


def test_single_study_has_no_band() -> None:
    drawn = traces(attainment_figure(compared(num_one=1)))
    assert "kd, one study" in drawn
    assert "kd, best to worst" not in drawn


def test_table_holds_the_points_of_all_surfaces() -> None:
    table = attainment_table(compared())
    median = table[(table["side"] == "kd") & (table["surface"] == "median")]
    assert median[["latency_p50_ms_batch1", "validation_accuracy"]].to_numpy() == pytest.approx(
        np.array([[0.1, 0.91], [0.2, 0.96]])
    )


def test_three_metrics_have_no_picture() -> None:
    with pytest.raises(ValueError, match="a picture of attainment has two metrics, not 3"):
        attainment_figure(compared(*PLANE, SIZE))
