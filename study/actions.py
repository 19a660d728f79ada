"""What the command line does once Ray is needed: prepare, connect, run the stages, and leave in good order."""

from pathlib import Path

from rich.console import Console

from search_spaces.space import SearchSpace
from study import store as stores
from study.cluster import check_objectives, connect, trial_resources
from study.config import StudyConfig, parse_config
from study.interrupts import interruptible
from study.launch import Launch
from study.preflight import prepare
from study.progress import Progress
from study.search.shares import enqueued_baselines
from study.stages import run_stages
from study.store import StudyStore
from trainables.data.image_arrays import TrainingData
from trainables.records import StudyPaths
from trainables.registry import make_importable


def run(
    config: StudyConfig, directory: Path, *, address: str | None, import_folder: str | None, console: Console
) -> Path:
    """Create a study and run it; returns the report's path.

    Raises:
        ValueError: wrong use; nothing has been started and nothing overwritten.
        StudyInterruptedError: asked to end; `resume` goes on.
    """
    space, data = check(config, directory, import_folder)
    baselines = enqueued_baselines(config.search, space)
    console.print("configuration, images and networks are in order; starting Ray")
    with connect(config.resources, address, import_folder) as dashboard:
        resources = trial_resources(config.resources)
        check_objectives(config.objectives, resources)
        with (
            stores.create(directory, config, baselines, import_folder=import_folder) as store,
            _progress(store, console, dashboard) as progress,
            interruptible(store.paths.root, console),
        ):
            return run_stages(Launch(store, space, data, resources, progress))


def check(config: StudyConfig, directory: Path, import_folder: str | None) -> tuple[SearchSpace, TrainingData]:
    """All that can be refused before Ray starts; makes nothing.

    Raises:
        ValueError: wrong use.
    """
    stores.check_vacant(directory)
    make_importable(import_folder)
    if config.storage is not None:
        stores.open_storage(StudyPaths(directory), config.storage)
    return prepare(config)


def resume(directory: Path, *, address: str | None, console: Console) -> Path:
    """Go on with a study where its storage stands; returns the report's path.

    Raises:
        ValueError: there is no study, or another driver works on it.
        StudyInterruptedError: asked to end again.
    """
    paths, record = stores.read_study_record(directory)
    make_importable(record.import_folder)
    config = parse_config(record.config, str(paths.study_json))
    with stores.reopen(directory) as store:
        space, data = prepare(config)
        console.print("configuration, images and networks are in order; starting Ray")
        with (
            connect(config.resources, address, record.import_folder) as dashboard,
            _progress(store, console, dashboard) as progress,
            interruptible(store.paths.root, console),
        ):
            return run_stages(Launch(store, space, data, trial_resources(config.resources), progress))


def extend(directory: Path, num_trials: int, *, address: str | None, console: Console) -> Path:
    """Go on with a study, finished or not, up to `num_trials` in all; what that makes stale is made anew.

    Raises:
        ValueError: there is no study, it has as many trials already, or another driver works on it.
        StudyInterruptedError: asked to end; `resume` goes on.
    """
    stores.extend(directory, num_trials)
    return resume(directory, address=address, console=console)


def _progress(store: StudyStore, console: Console, dashboard: str) -> Progress:
    progress = Progress(store.paths, store.record, console, store.config.search.num_trials)
    if store.config.fingerprint("study") != store.record.fingerprint:
        made_with = ", ".join(f"{name} {version}" for name, version in store.record.versions.items())
        progress.line(f"made with other versions ({made_with}): what follows is not exactly comparable")
    progress.line(f"study in {store.paths.root}" + (f", dashboard at http://{dashboard}" if dashboard else ""))
    return progress
