"""The command line: what it writes, and one line with exit code 2 where it cannot."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import analysis.__main__ as command_line
from analysis.results import read_study
from tests.analysis.page import Page
from tests.analysis.study_directory import MadeTrial, study_config, write_study


def invoke(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(command_line.app, [str(each) for each in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_report_prints_where_it_wrote(writable_study: Path) -> None:
    code, out, _ = invoke("report", writable_study, "--no-images")
    assert code == 0
    assert out.strip() == str(writable_study / "report.html")


def test_pareto_prints_the_front(realistic_study: Path) -> None:
    code, out, _ = invoke("pareto", realistic_study)
    assert code == 0
    numbers = [int(line.split()[1]) for line in out.splitlines()[1:]]
    assert numbers == [trial.number for trial in read_study(realistic_study).front]


def test_pareto_writes_its_rows_as_csv(realistic_study: Path, tmp_path: Path) -> None:
    out = tmp_path / "front.csv"
    code, *_ = invoke("pareto", realistic_study, "--x", "num_parameters", "--y", "validation_nll", "--out", out)
    assert code == 0
    assert set(pd.read_csv(out)["study"]) == {"demo"}


def test_pareto_writes_a_page_that_needs_no_network(realistic_study: Path, tmp_path: Path) -> None:
    out = tmp_path / "front.html"
    code, *_ = invoke("pareto", realistic_study, "--color", "temperature", "--out", out)
    assert code == 0
    page = Page(out.read_text(encoding="utf-8"))
    assert page.num_tags["script"] >= 2
    assert page.addresses == []


def test_studies_of_one_name_are_told_apart_by_their_directories(tmp_path: Path) -> None:
    first, second = (write_study(tmp_path / name, [MadeTrial()]) for name in ("a", "b"))
    _, out, _ = invoke("pareto", first, second)
    assert str(first) in out
    assert str(second) in out


def test_picture_that_cannot_be_drawn_is_told(
    realistic_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_line, "write_images", lambda *_: "no browser was found")
    code, _, err = invoke("pareto", realistic_study, "--out", tmp_path / "front.png")
    assert code == 2
    assert "front.png was not written: no browser was found" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--x", "speed"], 'unknown metric "speed": allowed are validation_accuracy'),
        (["--x", "gpu_utilization_fraction"], "reports all of gpu_utilization_fraction"),
        (["--three"], "a third objective needs its metric as the colour"),
        (["--color", "nonsense"], 'no finished trial has a metric or parameter "nonsense"'),
        (["--out", "front.pdf"], "front.pdf: the name must end in .html, .png, .csv"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(realistic_study: Path, arguments: list[str], message: str) -> None:
    code, out, err = invoke("pareto", realistic_study, *arguments)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert out == ""


def repeated(root: Path, name: str, accuracy: float) -> list[Path]:
    """Two studies of one search, of one student each."""
    return [
        write_study(
            root / f"{name}{seed}",
            [MadeTrial(accuracy=accuracy)],
            config=study_config(name) | {"seed": seed},
            name=name,
        )
        for seed in range(2)
    ]


def test_attainment_prints_both_sides_and_how_they_differ(tmp_path: Path) -> None:
    code, out, _ = invoke("attainment", *repeated(tmp_path, "kd", 0.98), "--against", *repeated(tmp_path, "lone", 0.97))
    assert code == 0
    rows = [line.split() for line in out.splitlines()[1:3]]
    assert [row[:2] for row in rows] == [["kd", "2"], ["lone", "2"]]
    assert "p cannot be below 0.33" in out


def test_attainment_writes_its_surfaces_as_csv(tmp_path: Path) -> None:
    out = tmp_path / "surfaces.csv"
    one, other = repeated(tmp_path, "kd", 0.98), repeated(tmp_path, "lone", 0.97)
    code, printed, _ = invoke("attainment", "--out", out, *one, "--against", *other)
    assert code == 0
    assert printed.endswith(f"{out}\n")
    table = pd.read_csv(out)
    assert list(table.columns) == ["side", "surface", "latency_p50_ms_batch1", "validation_accuracy"]
    assert min(zip(table["side"], table["surface"], strict=True)) == ("kd", "best")


def test_two_searches_of_one_name_are_told_apart_by_their_side(tmp_path: Path) -> None:
    first, second = repeated(tmp_path, "same", 0.98)
    _, out, _ = invoke("attainment", first, "--against", second)
    assert "same (first) less same (against)" not in out  # one a side: no test
    assert [line.split()[1] for line in out.splitlines()[1:3]] == ["(first)", "(against)"]


def test_study_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    first, second = repeated(tmp_path, "kd", 0.98)
    code, _, err = invoke("attainment", first, second, "--against", tmp_path / "x" / ".." / second.name)
    assert code == 2
    assert f"{second} is given twice: each study stands for one seed of one side" in err


def test_attainment_in_one_metric_is_refused(tmp_path: Path) -> None:
    first, second = repeated(tmp_path, "kd", 0.98)
    code, _, err = invoke("attainment", first, "--against", second, "--x", "validation_accuracy")
    assert code == 2
    assert 'x and y are both "validation_accuracy"' in err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("A B --against C D", "A B --against C --against D"),
        ("--against C D --out x.png", "--against C --against D --out x.png"),
        ("A --against=C D", "A --against=C --against D"),
        ("A --out x.png B", "A --out x.png B"),
        ("A --against C --against D", "A --against C --against D"),
    ],
)
def test_all_that_follows_against_is_on_its_side(given: str, expected: str) -> None:
    assert command_line.one_by_one(given.split(), "--against") == expected.split()


@pytest.mark.parametrize("command", ["report", "pareto"])
def test_directory_that_is_no_study_is_one_line_and_exit_code_2(command: str, tmp_path: Path) -> None:
    code, _, err = invoke(command, tmp_path)
    assert code == 2
    assert err == f"analysis: {tmp_path} holds no study: study.json is missing\n"


def test_analysis_loads_neither_ray_nor_torch() -> None:
    """A finished study can be read where there is no cluster, and in a second."""
    loaded = "import sys, analysis.__main__; print(*{'ray', 'torch', 'torchvision'} & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == ""
