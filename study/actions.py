"""What the command line does once Ray is needed: prepare, connect, run the stages, and leave in good order."""

from pathlib import Path

import torch
from rich.console import Console

from search_spaces.space import SearchSpace
from study import store as stores
from study.ask_metrics import ask_metrics
from study.cluster import check_objectives, connect, trial_resources, waits_for_nodes
from study.config import StudyConfig
from study.costs import cost_words, study_cost
from study.errors import StudyInterruptedError
from study.hours import kept_words, this_machine
from study.interrupts import Interrupts, how_to_go_on
from study.launch import Launch
from study.outputs_choice import choice_words
from study.preflight import check_precisions, outputs_choice, prepare
from study.progress import Progress
from study.stages import run_stages
from study.store import StudyStore
from study.warm_start import WarmStart, warm_start
from study.watch.trial_logs import check_answers
from study.watch.watched import watched
from trainables.brought_teacher import brought_weights, pinned
from trainables.data.image_arrays import TrainingData, digest
from trainables.patience import Patience
from trainables.registry import make_importable
from trainables.study_paths import StudyPaths
from trainables.user_cache import cache_folder


def run(
    config: StudyConfig,
    directory: Path,
    *,
    address: str | None,
    import_folder: str | None,
    evidence: Path | None = None,
    console: Console,
) -> Path:
    """Create a study and run it; returns the report's path.

    Args:
        config: of the study.
        directory: where it is kept; nothing is there yet.
        address: of a running cluster; None starts a local one.
        import_folder: from which the user's own entries are imported.
        evidence: another study that its sampler is to be told of.
        console: for progress.

    Raises:
        ValueError: wrong use; nothing has been started and nothing overwritten.
        StudyInterruptedError: asked to end; `resume` goes on.
    """
    config = config.model_copy(update={"teacher": pinned(config.teacher)})
    config, space, data, told = check(config, directory, import_folder, evidence)
    if address is None:
        check_precisions(config, space, torch.device(this_machine(config.resources).facts.kind))
    console.print("configuration, images and networks are in order; starting Ray")
    shared_bytes = outputs_choice(config, space, data).num_bytes
    with connect(config.resources, address, import_folder, shared_bytes=shared_bytes) as dashboard:
        resources = trial_resources(config.resources)
        check_objectives([*config.objectives, *config.search.constraints], resources)
        with (
            stores.create(
                directory,
                config,
                import_folder=import_folder,
                evidence=None if told is None else told.curves,
                images=digest(data),
            ) as store,
            Interrupts(store.paths.root, console) as interrupts,
            _progress(store, console, dashboard) as progress,
            watched(progress, store, data, resources),
        ):
            if told is not None:
                progress.line(f"warm start: {told.text}")
            return run_stages(Launch(store, space, data, resources, progress, interrupts.was_asked))


def check(
    config: StudyConfig, directory: Path, import_folder: str | None, evidence: Path | None = None
) -> tuple[StudyConfig, SearchSpace, TrainingData, WarmStart | None]:
    """All that can be refused before Ray starts; makes nothing.

    Returns:
        The configuration with what its own metrics declare; its space and images; what its sampler is told.

    Raises:
        ValueError: wrong use.
    """
    stores.check_vacant(directory)
    make_importable(import_folder)
    if config.storage is not None:
        stores.open_storage(StudyPaths(directory), config.storage, Patience(config.storage, 0.0))
    config = ask_metrics(config)
    space, data = prepare(config)
    check_answers(config.logs)
    if config.teacher.is_brought:  # once it is stored in the study, its files may go
        brought_weights(config.teacher, data.input_shape, data.num_classes)
    return config, space, data, None if evidence is None else warm_start(evidence, config, space)


def cost(config: StudyConfig, space: SearchSpace, data: TrainingData) -> str:
    """What a study that was checked will cost: work, how its students are told teacher outputs, hours; each a line."""
    outputs = choice_words(outputs_choice(config, space, data))
    hours = kept_words(config, space, data, cache_folder(), this_machine(config.resources))
    return "\n".join([cost_words(study_cost(config, space, data)), *([] if outputs is None else [outputs]), *hours])


def resume(directory: Path, *, address: str | None, console: Console, num_trials: int | None = None) -> Path:
    """Go on with a study where its storage stands; returns the report's path.

    Args:
        directory: of the study.
        address: of a running cluster; None starts a local one.
        console: for progress.
        num_trials: how many the study is to have in all from now on; None for as many as before.

    Raises:
        ValueError: there is no study, another driver works on it, or it has as many trials already.
        StudyInterruptedError: asked to end again.
    """
    paths, record = stores.read_study_record(directory)
    make_importable(record.import_folder)
    with stores.reopen(directory) as store, Interrupts(paths.root, console) as interrupts:
        config = store.config if num_trials is None else stores.extended(store.config, directory, num_trials)
        try:
            space, data = prepare(ask_metrics(config))
            if record.images not in {None, digest(data)}:
                raise ValueError(
                    f"{paths.root}: the images of dataset {config.dataset.key} are not those that the study began "
                    "with: bring them back as they were, or begin another study"
                )
            console.print("configuration, images and networks are in order; starting Ray")
            shared_bytes = outputs_choice(config, space, data).num_bytes
            with connect(config.resources, address, record.import_folder, shared_bytes=shared_bytes) as dashboard:
                interrupts.install()  # Ray has put handlers of its own
                resources = trial_resources(config.resources)
                # Where the study is extended, nothing stands in the way any more: now it is asked for more.
                asked = store if num_trials is None else stores.configure_again(store, config)
                with _progress(asked, console, dashboard) as progress, watched(progress, asked, data, resources):
                    return run_stages(Launch(asked, space, data, resources, progress, interrupts.was_asked))
        except KeyboardInterrupt as error:
            raise StudyInterruptedError(how_to_go_on(paths.root)) from error


def extend(directory: Path, num_trials: int, *, address: str | None, console: Console) -> Path:
    """Go on with a study, finished or not, up to `num_trials` in all; what that makes stale is made anew.

    Raises:
        ValueError: there is no study, it has as many trials already, or another driver works on it.
        StudyInterruptedError: asked to end; `resume` goes on.
    """
    return resume(directory, address=address, console=console, num_trials=num_trials)


def _progress(store: StudyStore, console: Console, dashboard: str) -> Progress:
    progress = Progress(store.paths, store.record, console, store.config.search.num_trials)
    store.patience.tell = progress.detail
    if store.config.fingerprint("study") != store.record.fingerprint:
        made_with = ", ".join(f"{name} {version}" for name, version in store.record.versions.items())
        progress.line(f"made with other versions ({made_with}): what follows is not exactly comparable")
    progress.line(f"study in {store.paths.root}" + (f", dashboard at http://{dashboard}" if dashboard else ""))
    waits = waits_for_nodes(store.config.resources)
    if waits is not None:
        progress.line(waits)
    return progress
