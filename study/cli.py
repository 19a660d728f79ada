"""The command line. A command that acts loads what acts itself: `kd-study status` must not wait for Ray and torch."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console

from study.config import StudyConfig, preset_names, read_config
from study.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_WRONG_USE,
    StageFailedError,
    StudyInterruptedError,
)
from study.lasting_imports import lasting_imports
from study.status import find_studies, read_status, status_view
from study.watch.following import follow, show
from trainables.registry import resolve
from trainables.verified import Role

# Importing Ray and torch costs seconds: each acting command reaches its function, and so its imports, by name.
ACTIONS = {
    "run": "study.actions:run",
    "resume": "study.actions:resume",
    "extend": "study.actions:extend",
    "check": "study.actions:check",
    "cost": "study.actions:cost",
    "export": "study.export:export",
    "doctor": "study.doctor:examine",
    "doctor_view": "study.doctor:findings_view",
    "replay": "study.replays:replay",
    "replay_into": "study.replayed_stopping:replay_into",
    "replayed_view": "study.replays:replayed_view",
    "report": "analysis.report:write_report",
    "reproduce": "study.reproduction:reproduce",
    "reproduced_markdown": "analysis.reproduction:markdown",
}

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Distillation studies."
)

Directory = Annotated[Path, typer.Argument(help="a study's directory", metavar="DIR")]
Address = Annotated[
    str | None, typer.Option(help='of a running Ray cluster, for example "auto"; without it, a local one')
]


@app.command()
def run(
    study: Annotated[
        str, typer.Argument(help="a preset's name, or the path of a .toml file", metavar="PRESET_OR_TOML")
    ],
    directory: Annotated[
        Path | None, typer.Option("--dir", help="where the study is kept; without it, studies/<name>-<time>")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="path.to.field=value, as often as needed", metavar="FIELD=VALUE")
    ] = None,
    address: Address = None,
    evidence: Annotated[
        Path | None,
        typer.Option("--warm-start", help="another study whose students the sampler is told of", metavar="DIR"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check everything, show what would run, start nothing")
    ] = False,
) -> None:
    """Create a study and run all of it."""
    with _plain_errors():
        config = read_config(study, overrides or [])
        import_folder = _import_folder(study)
        chosen = directory or Path("studies") / f"{config.name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
        if dry_run:
            _show_plan(config, chosen, import_folder, evidence)
            return
        report = _action("run")(
            config, chosen, address=address, import_folder=import_folder, evidence=evidence, console=Console()
        )
        _show_end(chosen, report)


@app.command()
def resume(directory: Directory, address: Address = None) -> None:
    """Go on with a study that was interrupted."""
    with _plain_errors():
        report = _action("resume")(directory, address=address, console=Console())
        _show_end(directory, report)


@app.command()
def extend(
    directory: Directory,
    num_trials: Annotated[int, typer.Option("--trials", min=1, help="how many the study is to have in all")],
    address: Address = None,
) -> None:
    """Go on with a study up to more trials; stages that this makes stale run again."""
    with _plain_errors():
        report = _action("extend")(directory, num_trials, address=address, console=Console())
        _show_end(directory, report)


@app.command()
def status(
    directory: Directory,
    watch: Annotated[bool, typer.Option("--watch", help="again and again, until the study has ended")] = False,
    from_store: Annotated[bool, typer.Option("--from-store", help="ask its storage, not status.json")] = False,
) -> None:
    """Show how far a study is, from any machine that sees its directory."""
    with _plain_errors():
        if watch:
            raise typer.Exit(follow(directory, Console(), from_store=from_store))
        show(directory, Console(), from_store=from_store)


@app.command(name="list")
def list_studies(root: Annotated[Path, typer.Argument(help="where studies are kept")] = Path("studies")) -> None:
    """List the studies under a folder."""
    with _plain_errors():
        found = find_studies(root)
        if not found:
            raise ValueError(f"{root} holds no study")
        for path in found:
            typer.echo(f"{path}  {_in_short(path)}")


@app.command()
def report(directory: Directory) -> None:
    """Write the report, tables and figures of a study again, from what is stored."""
    with _plain_errors():
        typer.echo(_action("report")(directory))


@app.command()
def export(
    directory: Directory,
    trial: Annotated[int, typer.Option(help="number of a trial that ran its full budget")],
    out: Annotated[Path, typer.Option(help="a new folder for safetensors, card and torch.export program")],
    partner: Annotated[
        bool, typer.Option("--partner", help="of a verified trial, the partner that differs in method")
    ] = False,
) -> None:
    """Take a student away: weights, card, and a program that needs torch alone, checked against the network."""
    with _plain_errors():
        card = _action("export")(directory, trial, out, role=Role.PARTNER if partner else Role.STUDENT)
        typer.echo(
            f"{out}: {card.student.model.key}, weights of {card.weights_of}; the program's logits differ by at most "
            f"{card.largest_logit_difference:.1e} from the network's on {card.num_checked_images:,} validation images"
        )


@app.command()
def doctor(
    directory: Annotated[Path, typer.Argument(help="where studies are to be kept", metavar="DIR")] = Path(),
) -> None:
    """Look whether this machine has what a study needs, and say what to do where it does not."""
    with _plain_errors():
        findings = _action("doctor")(directory)
    Console().print(_action("doctor_view")(findings))
    if any(finding.verdict == "problem" for finding in findings):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def replay(
    recording: Annotated[Path, typer.Argument(help="a study's directory, or recorded curves", metavar="DIR_OR_FILE")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="search.sampler=tpe, for example", metavar="FIELD=VALUE")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="trials at once")] = 4,
    seeds: Annotated[int, typer.Option(min=1, help="searches of each kind")] = 5,
    save: Annotated[Path | None, typer.Option(help="write the recorded curves to this .json.gz file too")] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="replay this study's search instead; its report then says what stopping lost", metavar="DIR"),
    ] = None,
) -> None:
    """Show what another sampler or stopper would have made of students that are trained already; starts no Ray."""
    with _plain_errors():
        if into is None:
            replayed = _action("replay")(recording, overrides or [], num_workers=workers, num_seeds=seeds, save=save)
        elif overrides or save is not None:
            raise ValueError("--into replays a study's search as it is: it takes neither --set nor --save")
        else:
            replayed = _action("replay_into")(recording, into, num_workers=workers, num_seeds=seeds)
        Console().print(_action("replayed_view")(replayed))


@app.command()
def reproduce(
    publication: Annotated[str, typer.Argument(help="hinton2015", metavar="PUBLICATION")],
    directory: Annotated[
        Path | None, typer.Option("--dir", help="where results are kept; without it, studies/<publication>")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="trainings of everything, each with another seed")] = 3,
    threads: Annotated[int | None, typer.Option(min=1, help="of torch; without it, as many as it takes")] = None,
) -> None:
    """Run a publication's experiments again; the same command goes on with what is not there yet. Starts no Ray."""
    with _plain_errors():
        chosen = directory or Path("studies") / publication
        table = _action("reproduce")(publication, chosen, num_seeds=seeds, num_threads=threads, console=Console())
        typer.echo(_action("reproduced_markdown")(table))
        typer.echo(f"{chosen / 'record.json'}, {chosen / 'table.json'}")


@app.command()
def presets() -> None:
    """List the presets that `run` knows by name."""
    for name in preset_names():
        typer.echo(name)


def main() -> None:
    """Entry point of `kd-study`."""
    app()


def _action(name: str) -> Callable[..., Any]:
    with warnings.catch_warnings(), lasting_imports():
        warnings.simplefilter("ignore", FutureWarning)  # of linear_operator, below BoTorch, when it is imported
        return cast("Callable[..., Any]", resolve("action", ACTIONS, name))


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Wrong use is one line and exit code 2; an interruption says how to go on."""
    try:
        yield
    except ValueError as error:
        typer.echo(f"kd-study: {error}", err=True)
        raise typer.Exit(EXIT_WRONG_USE) from error
    except StageFailedError as error:
        typer.echo(f"kd-study: {error}", err=True)
        raise typer.Exit(EXIT_FAILED) from error
    except (StudyInterruptedError, KeyboardInterrupt) as error:
        typer.echo(
            f"kd-study: {str(error) or 'interrupted; what a study has stored goes on by kd-study resume'}", err=True
        )
        raise typer.Exit(EXIT_INTERRUPTED) from error


def _import_folder(study: str) -> str | None:
    """The folder of a user's TOML, where it holds modules of theirs."""
    if not study.endswith(".toml"):
        return None
    folder = Path(study).absolute().parent
    has_modules = any(folder.glob("*.py")) or any(folder.glob("*/__init__.py"))
    return str(folder) if has_modules else None


def _show_plan(config: StudyConfig, directory: Path, import_folder: str | None, evidence: Path | None) -> None:
    config, space, data, told = _action("check")(config, directory, import_folder, evidence)
    typer.echo(config.model_dump_json(indent=2))
    typer.echo(
        f"would {'take as brought' if config.teacher.is_brought else 'train'} {config.teacher.network.key} on "
        f"{len(data.train):,} images, measure "
        f"{len(space.architectures())} architectures, and train {config.search.num_trials} students "
        f"({', '.join(space.methods)}) for {', '.join(config.objectives)}{_verification_plan(config)}"
    )
    typer.echo(_action("cost")(config, space, data))
    if told is not None:
        typer.echo(f"warm start: {told.text}")


def _verification_plan(config: StudyConfig) -> str:
    verify = config.verify
    parts = [f"at most {verify.max_students} students of the front and their partners"] if verify.max_students else []
    parts += [f"the best student of each {', '.join(verify.best_of)}"] if verify.best_of else []
    if not parts:
        return "; the test images are not read"
    return f"; then train {' and '.join(parts)} again, with {verify.seeds} fresh seeds each, and read the test images"


def _in_short(directory: Path) -> str:
    try:
        record = read_status(directory)
    except ValueError as error:
        return str(error)
    ended = sum(count for state, count in record.num_trials.items() if state not in {"running", "waiting"})
    return f"{record.stage}  {ended} of {record.num_target_trials} trials"


def _show_end(directory: Path, report_path: Path) -> None:
    console = Console()
    console.print(status_view(read_status(directory)))
    console.print(f"report: {report_path}", soft_wrap=True)
    console.print(
        f"next:   python -m analysis pareto {directory} --x latency_p50_ms_batch1 --y validation_accuracy",
        soft_wrap=True,
    )
