"""The front of any two or three metrics, of one or several studies."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.plots_compare import Comparison, comparison_figure, comparison_table
from analysis.results import StudyResults, read_study
from tests.analysis.study_directory import MadeTrial, write_study
from trainables.metrics import metric

ACCURACY, LATENCY, SIZE = (metric(name) for name in ("validation_accuracy", "latency_p50_ms_batch1", "num_parameters"))
KD = MadeTrial(method="kd", temperature=4.0, alpha=0.5, accuracy=0.98)


def studies(tmp_path: Path, **trials: list[MadeTrial]) -> Mapping[str, StudyResults]:
    return {name: read_study(write_study(tmp_path / name, made, name=name)) for name, made in trials.items()}


def compare(compared: Mapping[str, StudyResults], color: str | None = None, *, is_three: bool = False) -> Comparison:
    return Comparison(compared, LATENCY, ACCURACY, color, is_three=is_three)


def test_each_study_has_its_own_front(tmp_path: Path) -> None:
    """The student of b would be dominated if both studies shared one front."""
    both = studies(tmp_path, a=[MadeTrial(accuracy=0.99)], b=[MadeTrial(accuracy=0.95)])
    table = comparison_table(compare(both))
    assert list(zip(table["study"], table["number"], strict=True)) == [("a", 0), ("b", 0)]
    lines = [trace.name for trace in comparison_figure(compare(both)).data if trace.mode == "lines"]
    assert lines == ["front of a", "front of b"]


def test_third_objective_keeps_a_student_that_only_it_favours(tmp_path: Path) -> None:
    trials = [MadeTrial(width=4, accuracy=0.97, latency_ms=0.2), MadeTrial(width=2, accuracy=0.96, latency_ms=0.3)]
    one = studies(tmp_path, a=trials)
    assert list(comparison_table(compare(one))["number"]) == [0]
    three = compare(one, "num_parameters", is_three=True)
    assert sorted(comparison_table(three)["number"]) == [0, 1]
    assert [trace.name for trace in comparison_figure(three).data if trace.mode == "lines"] == []


def test_colour_alone_does_not_change_the_front(tmp_path: Path) -> None:
    trials = [MadeTrial(width=4, latency_ms=0.2), MadeTrial(width=2, latency_ms=0.3)]
    colored = compare(studies(tmp_path, a=trials), "num_parameters")
    assert colored.objectives == (LATENCY, ACCURACY)
    assert list(comparison_table(colored)["number"]) == [0]


def test_number_parameter_colours_by_a_scale_and_leaves_those_without_it_blank(tmp_path: Path) -> None:
    trials = [KD, MadeTrial(accuracy=0.95, latency_ms=0.1)]
    drawn = comparison_figure(compare(studies(tmp_path, a=trials), "temperature"))
    colors = np.concatenate([trace.marker.color for trace in drawn.data if trace.marker.coloraxis])
    assert np.isnan(colors).sum() == 1
    assert np.nanmax(colors) == 4.0
    assert drawn.layout.coloraxis.colorbar.title.text == "temperature"


def test_word_parameter_colours_by_a_legend(tmp_path: Path) -> None:
    drawn = comparison_figure(compare(studies(tmp_path, a=[KD, MadeTrial()]), "method"))
    assert {"method = kd", "method = labels"} <= {trace.name for trace in drawn.data}


def test_colour_of_a_metric_names_its_unit(tmp_path: Path) -> None:
    trials = [MadeTrial(metrics={"peak_memory_mib": 12.0}), MadeTrial(width=8, metrics={"peak_memory_mib": 20.0})]
    drawn = comparison_figure(compare(studies(tmp_path, a=trials), "peak_memory_mib"))
    assert "(MiB)" in drawn.layout.coloraxis.colorbar.title.text


def test_long_question_is_broken_over_lines(tmp_path: Path) -> None:
    one = studies(tmp_path, a=[MadeTrial(metrics={"train_mfu_fraction": 0.3})])
    question = comparison_figure(compare(one, "train_mfu_fraction", is_three=True)).layout.title.text
    assert max(len(line) for line in question.split("<br>")) <= 80


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"x": ACCURACY}, 'x and y are both "validation_accuracy"'),
        ({"is_three": True}, "a third objective needs its metric as the colour"),
        ({"is_three": True, "color": "validation_accuracy"}, "different from x and y"),
        ({"is_three": True, "color": "temperature"}, 'unknown metric "temperature"'),
        ({"x": metric("gpu_utilization_fraction")}, "a: no trial that ran its full budget reports all of gpu_util"),
        ({"color": "nonsense"}, 'no finished trial has a metric or parameter "nonsense": there are .*batch_size'),
    ],
)
def test_comparison_that_cannot_be_drawn_is_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    one = studies(tmp_path, a=[KD])
    arguments: dict[str, Any] = {"x": LATENCY, "y": ACCURACY, "color": None, "is_three": False} | settings
    with pytest.raises(ValueError, match=message):
        Comparison(one, **arguments)
