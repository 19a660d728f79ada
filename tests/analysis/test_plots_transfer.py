"""The transfer analysis' figures: what they ask, where markers stand, how far bars reach, what cells hold."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.plots_transfer import AGREEMENT_QUESTION, BY_SIZE_QUESTION, agreement_figure, by_size_figure
from analysis.plots_transfer_maps import (
    ACCURACY_QUESTION,
    CLASSES_QUESTION,
    LAYERS_QUESTION,
    MAX_SIZES,
    accuracy_figure,
    classes_figure,
    layers_figure,
)
from analysis.results import StudyResults, read_study
from analysis.transfer_findings import MEASURES
from analysis.transfer_records import LayerMatrix, Share, StudentTransfer, TransferRecord
from tests.analysis.study_directory import MadeTrial, write_study
from tests.analysis.transfers import student_transfer, transfer_record

WIDTHS = (1, 2, 4, 8, 16)


def study_of(root: Path, *students: StudentTransfer) -> tuple[StudyResults, TransferRecord]:
    trials = [MadeTrial(width=width, method=method) for width in WIDTHS for method in ("labels", "kd")]
    record = transfer_record(*students)
    return replace(read_study(write_study(root, trials)), transfer=record), record


def student(width: int, method: str = "kd", seed_index: int = 1, **changed: Any) -> StudentTransfer:
    number = changed.pop("trial", 2 * WIDTHS.index(width) + (method == "kd"))
    return student_transfer(number, MadeTrial(width=width, method=method).student, seed_index=seed_index, **changed)


def usual(root: Path) -> tuple[StudyResults, TransferRecord]:
    students = [
        student(width, method, seed, num_agreeing=900 + 10 * seed - 5 * (method == "labels"))
        for width in (2, 8)
        for method in ("labels", "kd")
        for seed in (1, 2, 3)
    ]
    return study_of(root, *students)


def named(drawn: Any, name: str) -> list[Any]:
    return [trace for trace in drawn.data if trace.name == name]


def test_each_asks_its_question(tmp_path: Path) -> None:
    study, record = usual(tmp_path)
    asked = {
        AGREEMENT_QUESTION: agreement_figure,
        BY_SIZE_QUESTION: by_size_figure,
        LAYERS_QUESTION: layers_figure,
        CLASSES_QUESTION: classes_figure,
        ACCURACY_QUESTION: accuracy_figure,
    }
    for question, draw in asked.items():
        assert draw(study, record).layout.title.text == question


def test_agreement_stands_at_its_mean_with_wilsons_interval(tmp_path: Path) -> None:
    """20 of 40 mistakes: Wilson's interval is 0.352 to 0.648."""
    study, record = usual(tmp_path)
    on_all, on_mistakes = named(agreement_figure(study, record), "kd (distilled)")
    assert list(on_all.y) == pytest.approx([0.92, 0.92])
    assert list(on_mistakes.y) == pytest.approx([0.5, 0.5])
    assert on_mistakes.error_y.array[0] == pytest.approx(0.148, abs=1e-3)
    assert on_mistakes.error_y.arrayminus[0] == pytest.approx(0.148, abs=1e-3)


def test_on_a_scale_of_errors_the_longer_arm_still_points_down(tmp_path: Path) -> None:
    """Wilson's interval of 99.8 % reaches further down than up; on the axis of errors down is to larger numbers."""
    study, record = study_of(tmp_path, student(1, num_agreeing=900), student(16, num_agreeing=998))
    drawn = agreement_figure(study, record)
    assert "log scale" in drawn.layout.yaxis.title.text
    on_all = named(drawn, "kd (distilled)")[0]
    assert list(on_all.y) == pytest.approx([0.1, 0.002])
    assert on_all.error_y.array[1] > on_all.error_y.arrayminus[1] > 0.0


def test_teacher_without_mistakes_leaves_its_side_empty(tmp_path: Path) -> None:
    none = Share(num=0, total=0)
    study, record = study_of(tmp_path, student(2, agreement_on_mistakes=none))
    assert list(named(agreement_figure(study, record), "kd (distilled)")[1].y) == []


def test_methods_of_one_size_stand_beside_each_other(tmp_path: Path) -> None:
    study, record = usual(tmp_path)
    drawn = agreement_figure(study, record)
    labels, distilled = (named(drawn, name)[0] for name in ("labels only", "kd (distilled)"))
    assert [round(x) for x in labels.x] == [round(x) for x in distilled.x] == [0, 1]
    assert all(mine > its for mine, its in zip(distilled.x, labels.x, strict=True))
    assert list(drawn.layout.xaxis.ticktext) == ["2", "8"]


def test_teachers_own_calibration_is_drawn_beside_its_students(tmp_path: Path) -> None:
    study, record = usual(tmp_path)
    lines = [shape.y0 for shape in by_size_figure(study, record).layout.shapes]
    assert lines == [record.teacher.ece, record.teacher.boundary.mean_distance]


def test_cells_of_layers_are_means_over_seeds_and_empty_where_none_is_known(tmp_path: Path) -> None:
    matrices = [
        LayerMatrix(student_layers=("a",), teacher_layers=("b", "c"), values=((value, None),)) for value in (0.4, 0.6)
    ]
    students = [student(2, seed_index=index, cka=each) for index, each in enumerate(matrices, start=1)]
    study, record = study_of(tmp_path, *students)
    (cells,) = layers_figure(study, record).data
    assert cells.z[0][0] == pytest.approx(0.5)
    assert cells.z[0][1] is None
    assert list(cells.text[0]) == ["0.50", ""]


def test_teacher_of_several_networks_has_no_layers_to_compare(tmp_path: Path) -> None:
    none = LayerMatrix(student_layers=("stage1",), teacher_layers=(), values=((),))
    study, record = study_of(tmp_path, student(2, cka=none), student(8, cka=none))
    drawn = layers_figure(study, record)
    assert len(drawn.data) == 0
    assert drawn.layout.annotations[0].text.startswith("The teacher is several networks")


def test_of_many_sizes_some_are_drawn_the_smallest_and_the_largest_among_them(tmp_path: Path) -> None:
    study, record = study_of(tmp_path, *(student(width) for width in WIDTHS))
    titles = [each.text for each in layers_figure(study, record).layout.annotations]
    shown = [each for each in titles if each.startswith("width")]
    assert len(shown) == MAX_SIZES < len(WIDTHS)
    assert (shown[0], shown[-1]) == ("width 1", "width 16")


def test_layers_are_of_labels_and_kd_and_then_of_the_most_accurate_methods(tmp_path: Path) -> None:
    reached = {"attention": 0.93, "dkd": 0.95, "fitnets": 0.97, "kd": 0.9, "labels": 0.9, "vid": 0.96}
    students = [
        student(2, method, trial=number, accuracy=each) for number, (method, each) in enumerate(reached.items())
    ]
    study, record = study_of(tmp_path, *students)
    titles = [each.text for each in layers_figure(study, record).layout.annotations]
    assert titles[1:] == ["labels only", "kd (distilled)", "fitnets (distilled)", "vid (distilled)"]


@pytest.mark.parametrize("draw", [agreement_figure, by_size_figure])
def test_legend_of_many_methods_stands_below_and_leaves_the_axes_their_height(tmp_path: Path, draw: Any) -> None:
    students = [student(2, f"method{index}", trial=index) for index in range(16)]
    few, many = (draw(*study_of(tmp_path / str(number), *students[:number])).layout for number in (2, 16))
    assert many.legend.y < 0.0
    assert many.legend.yanchor == "top"
    inner = [each.height - each.margin.t - each.margin.b for each in (few, many)]
    assert inner[0] == inner[1] > 0
    assert many.margin.b - few.margin.b >= 5 * 20  # a row holds three names


def test_classes_have_a_row_for_each_configuration_and_for_the_teacher(tmp_path: Path) -> None:
    study, record = usual(tmp_path)
    apart, distances = classes_figure(study, record).data
    assert list(apart.y) == [
        "teacher", "width 2, labels only (2)", "width 2, kd (distilled) (3)",
        "width 8, labels only (6)", "width 8, kd (distilled) (7)",
    ]  # fmt: skip
    assert list(apart.z[1]) == pytest.approx([10.0, 20.0])  # percent that say otherwise
    assert list(distances.z[0]) == [2.5, 3.5]
    assert distances.z[1][1] is None


def test_correlations_stand_by_measure_and_size(tmp_path: Path) -> None:
    students = [
        student(2, seed_index=index, accuracy=0.9 + 0.01 * index, nll_nats=0.2 - 0.01 * index) for index in range(3)
    ]
    study, record = study_of(tmp_path, *students, student(8))
    (cells,) = accuracy_figure(study, record).data
    row = list(MEASURES).index("nll_nats")
    assert cells.z[row][0] == pytest.approx(-1.0)
    assert cells.z[row][1] is None
    assert list(cells.x) == ["2<br>3 students", "8<br>1 student"]
