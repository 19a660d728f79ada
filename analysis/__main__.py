"""`python -m analysis`: write a study's report, draw fronts of studies, compare searches over their seeds."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import typer
from typer.core import TyperCommand

from analysis.attainment import AttainmentComparison, Runs, attainment_words, hypervolume_table
from analysis.capacity_studies import TEACHER_AXES, curves_table, studies_curves, teachers_table
from analysis.images import write_images
from analysis.plots_attainment import attainment_figure, attainment_table
from analysis.plots_capacity import curves_figure
from analysis.plots_compare import Comparison, comparison_figure, comparison_table
from analysis.report import write_report
from analysis.report_capacity import OF_A_FIGURE, difference_words
from analysis.resolution import resolution_words
from analysis.results import StudyResults, metric_of_studies, read_study
from trainables.registry import resolve
from trainables.whole_files import replacing, write_text

_WRONG_INPUT = 2
_ENDINGS = (".html", ".png", ".csv")

_AGAINST = "--against"
# Loaded when they are called: they need torch, whose import takes seconds.
_ACTIONS = {"transfer": "analysis.transfer:write_transfer"}

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
def transfer(
    study_dir: Annotated[Path, typer.Argument(help="the study's directory")],
    images: Annotated[bool, typer.Option(help="also draw figures/*.png, which needs a browser")] = True,
) -> None:
    """Hold each trained student against the teacher beyond accuracy: transfer.json, transfer.csv, and a new report."""
    try:
        write_transfer = cast("Callable[..., Path]", resolve("action", _ACTIONS, "transfer"))
        written = write_transfer(study_dir, images=images, progress=lambda line: typer.echo(line, err=True))
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
        studies = _read_all(study_dirs)
        across, up = (metric_of_studies(name, studies.values()) for name in (x, y))
        comparison = Comparison(studies, across, up, color, is_three=three)
        _write(comparison, out)
    except (ValueError, OSError) as error:
        raise _refusal(error) from error


@app.command()
def capacity(
    *,
    study_dirs: Annotated[list[Path], typer.Argument(help="directories of studies that differ in their teacher alone")],
    x: Annotated[
        str | None, typer.Option(help=f"of the teacher: {', '.join(TEACHER_AXES)}; none: what differs")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="FILE.html, FILE.png or FILE.csv of the curves")] = None,
) -> None:
    """Say whether larger, longer trained or more accurate teachers, or assistants, make better students."""
    try:
        _check_ending(out)
        studies = _read_all(study_dirs)
        found = studies_curves(studies, x)
        typer.echo(teachers_table(studies).to_string(index=False))
        gains = [each.gain for each in found.differences]
        for sentence in [*difference_words(found), *resolution_words(gains, OF_A_FIGURE)]:
            typer.echo(sentence)
        if out is not None:
            _write_out(curves_table(found), lambda: curves_figure(found), out)
    except (ValueError, OSError) as error:
        raise _refusal(error) from error


class _SeveralAgainst(TyperCommand):
    """`--against A B` for `--against A --against B`: an option of several values, which click does not know."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, one_by_one(args, _AGAINST))


@app.command(cls=_SeveralAgainst)
def attainment(
    *,
    study_dirs: Annotated[list[Path], typer.Argument(help="directories of studies that repeat one search, one a seed")],
    against: Annotated[list[Path], typer.Option(_AGAINST, help="those of the search to compare it with, in the end")],
    x: Annotated[str, typer.Option(help="metric along x")] = "latency_p50_ms_batch1",
    y: Annotated[str, typer.Option(help="metric along y")] = "validation_accuracy",
    out: Annotated[Path | None, typer.Option(help="FILE.html, FILE.png or FILE.csv of the surfaces")] = None,
) -> None:
    """Compare two searches over their seeds: hypervolumes, permutation tests, attainment surfaces."""
    try:
        _check_ending(out)
        compared = _compared(study_dirs, against, (x, y))
        typer.echo(hypervolume_table(compared).to_string(index=False))
        for sentence in attainment_words(compared, stream=np.random.default_rng(0)):
            typer.echo(sentence)
        if out is not None:
            _write_out(attainment_table(compared), lambda: attainment_figure(compared), out)
    except (ValueError, OSError) as error:
        raise _refusal(error) from error


def one_by_one(args: Sequence[str], option: str) -> list[str]:
    """The arguments with the option's name before each of the values that follow it."""
    parts, is_after = list[str](), False
    for each in args:
        if each.startswith("-"):
            is_after = each == option or each.startswith(f"{option}=")
            parts += [] if each == option else [each]
        else:
            parts += [option, each] if is_after else [each]
    return parts


def _compared(study_dirs: Sequence[Path], against: Sequence[Path], names: tuple[str, str]) -> AttainmentComparison:
    if names[0] == names[1]:
        raise ValueError(f'x and y are both "{names[0]}": a front needs two metrics')
    places = [each.resolve() for each in [*study_dirs, *against]]
    twice = [str(each) for each in [*study_dirs, *against] if places.count(each.resolve()) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is given twice: each study stands for one seed of one side")
    one, other = ([read_study(each) for each in side] for side in (study_dirs, against))
    x, y = (metric_of_studies(name, [*one, *other]) for name in names)
    titles = [" and ".join(sorted({each.record.name for each in side})) for side in (one, other)]
    if titles[0] == titles[1]:
        titles = [f"{titles[0]} (first)", f"{titles[1]} (against)"]
    return AttainmentComparison(Runs.of(titles[0], one, (x, y)), Runs.of(titles[1], other, (x, y)), (x, y))


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
    _write_out(table, lambda: comparison_figure(comparison), out)


def _write_out(table: pd.DataFrame, draw: Callable[[], go.Figure], out: Path) -> None:
    """As the name's ending says, and print where."""
    if out.suffix == ".csv":
        _write_csv(table, out)
    elif out.suffix == ".html":
        write_text(out, str(draw().to_html(include_plotlyjs=True)))
    else:
        _write_png(draw(), out)
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
