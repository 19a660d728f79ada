"""`python -m analysis`: write a study's report, or draw the front of any two or three metrics of studies."""

import logging
from pathlib import Path
from typing import Annotated

import pandas as pd
import plotly.graph_objects as go
import typer

from analysis.images import write_images
from analysis.plots_compare import Comparison, comparison_figure, comparison_table
from analysis.report import write_report
from analysis.results import StudyResults, read_study
from trainables.metrics import metric
from trainables.whole_files import replacing, write_text

_WRONG_INPUT = 2
_ENDINGS = (".html", ".png", ".csv")

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Read finished or running studies; needs no cluster."
)


@app.command()
def report(
    study_dir: Annotated[Path, typer.Argument(help="the study's directory")],
    images: Annotated[bool, typer.Option(help="also draw figures/*.png, which needs a browser")] = True,
) -> None:
    """Write report.html, the CSV files and figures/*.png into the study's directory."""
    try:
        written = write_report(study_dir, images=images)
    except ValueError as error:
        raise _refusal(error) from error
    typer.echo(written)


@app.command()
def pareto(
    *,
    study_dirs: Annotated[list[Path], typer.Argument(help="directories of studies")],
    x: Annotated[str, typer.Option(help="metric along x")] = "latency_p50_ms_batch1",
    y: Annotated[str, typer.Option(help="metric along y")] = "validation_accuracy",
    color: Annotated[str | None, typer.Option(help="metric or parameter that colours the students")] = None,
    three: Annotated[bool, typer.Option("--three", help="make the colour's metric a third objective")] = False,
    out: Annotated[Path | None, typer.Option(help="FILE.html, FILE.png or FILE.csv; none: print the front")] = None,
) -> None:
    """Draw or list the students that no other one of their study beats in two or three metrics."""
    try:
        _check_ending(out)
        comparison = Comparison(_read_all(study_dirs), metric(x), metric(y), color, is_three=three)
        _write(comparison, out)
    except (ValueError, OSError) as error:
        raise _refusal(error) from error


def _read_all(study_dirs: list[Path]) -> dict[str, StudyResults]:
    """Each study under its name, or under its directory where two share a name."""
    read = {study_dir: read_study(study_dir) for study_dir in study_dirs}
    names = [results.record.name for results in read.values()]
    return {
        results.record.name if names.count(results.record.name) == 1 else str(study_dir): results
        for study_dir, results in read.items()
    }


def _check_ending(out: Path | None) -> None:
    if out is not None and out.suffix not in _ENDINGS:
        raise ValueError(f"--out {out}: the name must end in {', '.join(_ENDINGS)}")


def _write(comparison: Comparison, out: Path | None) -> None:
    table = comparison_table(comparison)
    if out is None:
        shown = ["study", "number", "student_model", "student_method", *(each.name for each in comparison.objectives)]
        typer.echo(table[shown].to_string(index=False))
        return
    if out.suffix == ".csv":
        _write_csv(table, out)
    elif out.suffix == ".html":
        write_text(out, str(comparison_figure(comparison).to_html(include_plotlyjs=True)))
    else:
        _write_png(comparison_figure(comparison), out)
    typer.echo(out)


def _write_csv(table: pd.DataFrame, out: Path) -> None:
    with replacing(out) as temporary:
        table.to_csv(temporary, index=False)


def _write_png(drawn: go.Figure, out: Path) -> None:
    problem = write_images({out.stem: drawn}, out.parent)
    if problem is not None:
        raise OSError(f"{out} was not written: {problem}")


def _refusal(error: Exception) -> typer.Exit:
    """Say what is wrong in one line on stderr; to be raised."""
    typer.echo(f"analysis: {' '.join(str(error).split())}", err=True)
    return typer.Exit(_WRONG_INPUT)


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    app(prog_name="python -m analysis")
