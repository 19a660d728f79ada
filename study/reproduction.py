"""`kd-study reproduce`: a publication's experiments run again, each run once, in one process and without Ray."""

from pathlib import Path

import torch
from rich.console import Console

from analysis.reproduction import TableRow, hinton2015_table
from study.errors import StudyInterruptedError
from study.locks import hold
from study.recipes import read_recipe
from study.reproduction_runs import Runs
from trainables.hardware.device import fixed_num_threads
from trainables.hinton2015 import Hinton2015Recipe, plan
from trainables.hinton2015_results import Hinton2015Record
from trainables.hinton2015_runs import Images, SoftTargets, start
from trainables.whole_files import write_record, write_text


def reproduce(
    name: str, directory: Path, *, num_seeds: int, num_threads: int | None, console: Console
) -> list[TableRow]:
    """Run what is not there yet, leave record and table in the directory, and return the table.

    Args:
        name: of the publication.
        directory: one file a finished run, its weights and soft targets beside it; record.json and table.json.
        num_seeds: seeds 0, 1, ...; each is a training of everything.
        num_threads: of torch; None: as many as it takes by itself.
        console: for progress.

    Raises:
        ValueError: wrong use, or the directory holds results of other settings; nothing has been trained.
        StageFailedError: a training diverged.
        StudyInterruptedError: Ctrl-C; the same command goes on.
    """
    recipe = read_recipe(name)
    return run_recipe(recipe, directory, num_seeds=num_seeds, num_threads=num_threads, console=console)


def run_recipe(
    recipe: Hinton2015Recipe, directory: Path, *, num_seeds: int, num_threads: int | None, console: Console
) -> list[TableRow]:
    """As `reproduce`, of a recipe as given."""
    images = Images(recipe.dataset, recipe.pixels)
    _check(recipe, images)
    directory.mkdir(parents=True, exist_ok=True)
    with hold(directory / "lock"), fixed_num_threads(num_threads or torch.get_num_threads()):
        runs = Runs(recipe, directory, images, console)
        experiments = [each for seed in range(num_seeds) for each in plan(recipe, seed)]
        found = [runs.stored(each) for each in experiments]
        console.print(f"{len(experiments)} runs, {sum(map(bool, found))} of them done, in {directory}")
        try:
            for place, experiment in enumerate(experiments):
                found[place] = found[place] or runs.run(experiment)
                done = tuple(each for each in found if each is not None)
                table = _write(Hinton2015Record(recipe=recipe, num_seeds=num_seeds, results=done), directory)
        except KeyboardInterrupt as error:
            raise StudyInterruptedError(
                f"interrupted: the same command goes on, with --dir {directory} --seeds {num_seeds}"
            ) from error
    return table


def _check(recipe: Hinton2015Recipe, images: Images) -> None:
    """See that every run could begin, before the first one takes its time."""
    nothing = torch.empty(0)
    for experiment in plan(recipe, 0):
        images.num_shown(experiment)
        start(experiment, images, SoftTargets(nothing, nothing) if experiment.taught_by else None)


def _write(record: Hinton2015Record, directory: Path) -> list[TableRow]:
    table = hinton2015_table(record)
    write_record(directory / "record.json", record)
    write_text(directory / "table.json", "[\n" + ",\n".join(row.model_dump_json() for row in table) + "\n]\n")
    return table
