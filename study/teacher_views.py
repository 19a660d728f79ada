"""What the teacher says of its students' views: stored before the search where that was chosen, and read from there."""

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from analysis.wording import count, size_text
from study.cluster import whole_device
from study.errors import StageFailedError
from study.launch import Launch
from study.outputs_choice import BYTES_A_LOGIT, OutputsChoice, choice_words
from study.preflight import outputs_choice
from study.tasks import streamed, task
from trainables.config import AugmentationConfig, StudentConfig
from trainables.records import OutputsRecord, TeacherRecord
from trainables.run_start import check_student
from trainables.stored_views import do_tables_serve
from trainables.teacher import load_teacher
from trainables.teacher_outputs import TeacherArrays
from trainables.verified import PlannedRun
from trainables.view_tables import ViewSet, load_views, store_views
from trainables.whole_files import write_record


def search_teacher(launch: Launch, teacher: TeacherRecord) -> TeacherArrays:
    """What teaches the students of the search, with its logits on their views where they are to be stored.

    All trials of a search share one training seed, and with it their views: what is stored once serves them all. Files
    of an earlier launch stand; those of another teacher, or of a verification that was cut off, go.

    Raises:
        StageFailedError: they cannot be made or read.
    """
    config, paths = launch.store.config, launch.students_teacher
    choice = outputs_choice(config, launch.space, launch.data)
    view_sets = [
        ViewSet(seed=config.seed, augmentation=each.augmentation, num_views=each.num_views) for each in choice.stored
    ]
    of_this_search = {each.fingerprint(teacher.fingerprint) for each in view_sets}
    for file in paths.views.glob("*.npy"):
        if file.name.partition("-")[0] not in of_this_search:
            file.unlink()
    words = choice_words(choice)
    if words is not None:
        num_there = choice.num_views - len(_missing(launch, teacher, view_sets))
        launch.progress.stage("views", words + (f" ({num_there:,} of them are there already)" if num_there else ""))
        write_record(paths.outputs, _record(choice))
    return _with_views(launch, teacher, view_sets)


def taught(
    launch: Launch, teacher: TeacherRecord, planned: Sequence[PlannedRun]
) -> Iterator[tuple[TeacherArrays, Sequence[PlannedRun]]]:
    """The runs of a verification with what teaches them: all together, and the teacher is run where it must be.

    Where it must not, its logits are stored for the views of one fresh seed after the other. They are of no use to
    others than that seed's runs, and go when the next runs are asked for.

    Raises:
        StageFailedError: they cannot be made or read.
    """
    is_run = launch.store.config.teacher.outputs != "stored"
    view_sets = [] if is_run else _view_sets(launch, [each.student for each in planned])
    if not view_sets:
        yield _with_views(launch, teacher, ()), planned
        return
    for seed in dict.fromkeys(each.student.training.seed for each in planned):
        of_seed = [each for each in view_sets if each.seed == seed]
        if of_seed:
            num_views = sum(each.num_views for each in of_seed)
            launch.progress.detail(f"teacher outputs: stored for {count(num_views, 'view')} of the fresh seed {seed}")
        yield (
            _with_views(launch, teacher, of_seed),
            [each for each in planned if each.student.training.seed == seed],
        )
        for each in of_seed:
            for file in each.files(launch.students_teacher, teacher.fingerprint):
                file.unlink()


def _view_sets(launch: Launch, students: Sequence[StudentConfig]) -> list[ViewSet]:
    """The views of which these students are told the teacher's logits and nothing else of it."""
    most: dict[tuple[int, AugmentationConfig], int] = {}
    for student in students:
        needs, training = check_student(student, launch.store.config.students_teacher, launch.data), student.training
        if do_tables_serve(student, needs):
            views = training.seed, training.augmentation.each_view
            most[views] = max(most.get(views, 1), training.augmentation.views_within(training.epochs))
    return [
        ViewSet(seed=seed, augmentation=augmentation, num_views=num_views)
        for (seed, augmentation), num_views in most.items()
    ]


def _with_views(launch: Launch, teacher: TeacherRecord, view_sets: Sequence[ViewSet]) -> TeacherArrays:
    """The teacher as it travels to its students, its logits on these views made where they are not there."""
    paths, resources = launch.students_teacher, launch.store.config.resources
    arrays = load_teacher(paths, teacher, stored_only=launch.store.config.teacher.outputs == "stored")
    missing = _missing(launch, teacher, view_sets)
    if missing:
        _check_room(paths.folder, len(missing) * len(launch.data.train) * launch.data.num_classes * BYTES_A_LOGIT)
        device = whole_device(resources)
        store = task(store_views, cpus=device.cpus, gpus=device.gpus, streams=True)
        made = streamed(store, view_sets, arrays, launch.data, paths, teacher.fingerprint, device.cpus)
        for number, seconds in enumerate(made, start=1):
            launch.progress.detail(f"view {number:,} of {len(missing):,}: {seconds:.1f} s")
    try:
        return replace(arrays, view_tables=load_views(view_sets, launch.data, paths, teacher.fingerprint))
    except ValueError as error:
        raise StageFailedError(str(error)) from error


def _missing(launch: Launch, teacher: TeacherRecord, view_sets: Sequence[ViewSet]) -> list[Path]:
    files = [file for each in view_sets for file in each.files(launch.students_teacher, teacher.fingerprint)]
    return [file for file in files if not file.exists()]


def _check_room(folder: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise StageFailedError(
            f"{folder}: the teacher's logits on its students' views take {size_text(num_bytes)}, and {size_text(free)} "
            "are free there: make room, and resume the study"
        ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _record(choice: OutputsChoice) -> OutputsRecord:
    return OutputsRecord(
        num_views=choice.num_views,
        num_bytes=choice.num_bytes,
        replaced_passes=sum(each.live_passes for each in choice.stored),
        live_passes=sum(each.live_passes for each in choice.live),
    )
