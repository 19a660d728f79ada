"""Studies under several teachers side by side: what stands along the axis, what is compared, what is no comparison."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.capacity_studies import curves_table, studies_curves, teachers_table
from analysis.plots_capacity import curves_figure
from analysis.report_capacity import difference_words
from analysis.results import StudyResults, read_study
from tests.analysis.kinds_study import Kind, write_kinds
from tests.analysis.study_directory import MadeTrial, study_config, teacher_record
from tests.analysis.test_main import invoke
from trainables.config import LossConfig, ModelConfig
from trainables.study_paths import StudyPaths
from trainables.whole_files import write_record

LABELS = (500, 520, 510)  # errors out of 10,000, seed by seed
KD = {4: (490, 505, 500), 16: (400, 421, 409), 64: (430, 460, 441)}
THROUGH = (380, 404, 389)


def gap(
    root: Path, width: int, kd: Sequence[int], *, through: int | None = None, config: dict[str, Any] | None = None,
    **teacher: Any,
) -> StudyResults:  # fmt: skip
    """A study under a teacher of this width, and perhaps an assistant."""
    kinds = [
        Kind(MadeTrial(width=2, method=method), [1.0 - count / 10_000 for count in counts])
        for method, counts in (("labels", LABELS), ("kd", kd))
    ]
    model = ModelConfig(name="cnn", options={"width": width})
    record = teacher_record().model_copy(update={"model": model, "num_parameters": 100 * width, **teacher})
    asked = (config or study_config()) | ({} if through is None else {"assistants": [{}]})
    write_kinds(root, kinds, ("method",), teacher=record, config=asked, name=asked["name"])
    if through is not None:
        small = ModelConfig(name="cnn", options={"width": through})
        below = record.model_copy(update={"model": small, "loss": LossConfig(name="kd"), "validation_accuracy": 0.98})
        write_record(StudyPaths(root).in_chain(1).record, below)
    return read_study(root)


@pytest.fixture
def studies(tmp_path: Path) -> dict[str, StudyResults]:
    made = {f"gap-{width}": gap(tmp_path / f"gap-{width}", width, KD[width]) for width in (64, 4, 16)}
    return made | {"assisted": gap(tmp_path / "assisted", 64, THROUGH, through=8)}


def test_teachers_stand_by_their_width_and_assistants_make_a_line(studies: dict[str, StudyResults]) -> None:
    found = studies_curves(studies)
    assert found.parameter == "teacher_width"
    assert found.values == (4, 16, 64)
    assert [(line.name, [point.x for point in line.points]) for line in found.lines] == [
        ("labels only", [4, 16, 64]),
        ("kd", [4, 16, 64]),
        ("kd, through cnn(width=8)", [64]),
    ]


def test_comparisons_are_with_labels_without_assistant_and_with_the_first_teacher_as_one_family(
    studies: dict[str, StudyResults],
) -> None:
    """Seven paired t tests by scipy, corrected by Holm."""
    first = "itself at teacher width 4"
    pairs: dict[tuple[str, str, int], tuple[Sequence[int], Sequence[int]]] = {
        **{("kd", "labels only", width): (KD[width], LABELS) for width in KD},
        **{("kd", first, width): (KD[width], KD[4]) for width in (16, 64)},
        ("kd, through cnn(width=8)", "labels only", 64): (THROUGH, LABELS),
        ("kd, through cnn(width=8)", "kd", 64): (THROUGH, KD[64]),
    }
    raw = {key: float(stats.ttest_rel(*sides).pvalue) for key, sides in pairs.items()}
    least, expected = 0.0, {}
    for rank, (key, value) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        least = max(least, min(1.0, (len(raw) - rank) * value))
        expected[key] = least
    made = studies_curves(studies).differences
    assert {(each.line, each.reference, each.x): each.p_value for each in made} == pytest.approx(expected)
    gains = {(each.line, each.reference, each.x): each.gain.mean for each in made}
    assert gains == pytest.approx(
        {key: float(np.mean(np.subtract(other, one))) / 10_000 for key, (one, other) in pairs.items()}
    )


@pytest.mark.parametrize(
    ("teachers", "parameter", "values"),
    [
        ([{"width": 4, "epochs": 2}, {"width": 4, "epochs": 9}], "teacher_epochs", (2, 9)),
        (
            [
                {"width": 4, "epochs": 2, "validation_accuracy": 0.98},
                {"width": 8, "epochs": 9, "validation_accuracy": 0.97},
            ],
            "teacher_accuracy",
            (0.97, 0.98),
        ),
        (
            [{"width": 4, "validation_accuracy": 0.9}, {"width": 4, "validation_accuracy": 0.8}],
            "teacher_accuracy",
            (0.8, 0.9),
        ),
    ],
)
def test_axis_is_what_differs_and_the_accuracy_where_several_do(
    tmp_path: Path, teachers: list[dict[str, Any]], parameter: str, values: tuple[float, ...]
) -> None:
    made = {str(place): gap(tmp_path / str(place), kd=KD[4], **each) for place, each in enumerate(teachers)}
    found = studies_curves(made)
    assert (found.parameter, found.values) == (parameter, values)


def test_assistant_alone_may_differ(tmp_path: Path) -> None:
    made = {"with": gap(tmp_path / "with", 16, THROUGH, through=4), "without": gap(tmp_path / "without", 16, KD[16])}
    found = studies_curves(made)
    assert [line.name for line in found.lines] == ["labels only", "kd", "kd, through cnn(width=4)"]
    assert {each.reference for each in found.differences} == {"labels only", "kd"}


def test_figure_shows_what_is_ahead_of_labels_alone(studies: dict[str, StudyResults]) -> None:
    drawn = curves_figure(studies_curves(studies))
    assert drawn.layout.title.text == "Does a larger teacher make better students?"
    gains = [list(trace.y) for trace in drawn.data if trace.yaxis == "y2"]
    assert [len(each) for each in gains] == [3, 1]
    assert gains[0] == pytest.approx([np.mean(np.subtract(LABELS, KD[width])) / 100 for width in KD])
    assert drawn.layout.yaxis2.title.text == "ahead of labels only (points)"


def test_words_and_tables_name_teachers_and_assistants(studies: dict[str, StudyResults]) -> None:
    text = " ".join(difference_words(studies_curves(studies)))
    assert "kd against itself at teacher width 4, by teacher width" in text
    assert "kd, through cnn(width=8) against kd, by teacher width" in text
    assert list(teachers_table(studies)["assistants"]) == ["none", "none", "none", "through cnn(width=8)"]
    table = curves_table(studies_curves(studies))
    assert len(table) == 3 + 7  # a row a point of labels alone, and a row a difference
    assert set(table["compared_with"].dropna()) == {"labels only", "kd", "itself at teacher width 4"}


def test_studies_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    base = {"a": gap(tmp_path / "a", 4, KD[4])}

    def refused(message: str, other: StudyResults, axis: str | None = None) -> None:
        with pytest.raises(ValueError, match=message):
            studies_curves(base | {"b": other}, axis)

    refused("a and b: the teachers are all alike", gap(tmp_path / "alike", 4, KD[4]))
    refused(
        "b: another study has the same teacher, teacher width 4", gap(tmp_path / "twice", 4, KD[4], epochs=9), "width"
    )
    refused(
        "b and a differ in dataset",
        gap(tmp_path / "data", 8, KD[4], config=study_config() | {"dataset": {"name": "other"}}),
    )
    refused("b and a differ in seed", gap(tmp_path / "seed", 8, KD[4], config=study_config() | {"seed": 3}))
    refused(
        'there is no "depth" of a teacher: allowed are width, parameters', gap(tmp_path / "axis", 8, KD[4]), "depth"
    )
    unnumbered = gap(tmp_path / "mlp", 8, KD[4], model=ModelConfig(name="mlp", options={"hidden": (8, 8)}))
    refused("b: its teacher has no width that is a number", unnumbered, "width")
    assert studies_curves(base | {"b": unnumbered}).parameter == "teacher_parameters"


def test_study_without_kinds_is_refused(tmp_path: Path, realistic_study: Path) -> None:
    with pytest.raises(ValueError, match="demo: no best student of a kind was verified"):
        studies_curves({"demo": read_study(realistic_study), "a": gap(tmp_path, 4, KD[4])})


def test_command_prints_what_differs_and_writes_the_curves(studies: dict[str, StudyResults], tmp_path: Path) -> None:
    places = [tmp_path / name for name in studies]
    code, out, _ = invoke("capacity", *places, "--out", tmp_path / "gap.csv")
    assert code == 0
    assert "kd, through cnn(width=8) against labels only" in out
    assert (tmp_path / "gap.csv").read_text().startswith("teacher_width,students,test_accuracy,")
    code, _, err = invoke("capacity", *places, "--x", "depth")
    assert code == 2
    assert 'there is no "depth" of a teacher' in err
