"""The teach stage: the teacher, trained or brought, and the assistants below it, each on a whole device and stored."""

from collections.abc import Iterator

from study.cluster import whole_device
from study.errors import StageFailedError
from study.launch import Launch, stored_record
from study.tasks import streamed, task
from trainables.brought_teacher import brought_weights, pinned, source_of
from trainables.records import TeacherRecord
from trainables.study_paths import TeacherPaths
from trainables.teacher import bring_teacher, load_teacher, train_assistant, train_teacher
from trainables.whole_files import write_record

CHANCES = 1.5  # times as good as chance a teacher from elsewhere must be at least


def teach(launch: Launch) -> TeacherRecord:
    """What teaches the students, the teacher or the last assistant: each of the chain stored already, or trained now.

    Students that have learned from a teacher keep it, whatever has changed since.
    """
    fingerprint = launch.store.config.fingerprint("teach")
    chain: list[TeacherRecord] = []
    was_trained = False
    for place in range(1 + len(launch.store.config.assistants)):
        paths = launch.store.paths.in_chain(place)
        record = stored_record(paths.record, TeacherRecord)
        if record is None or not (record.fingerprint == fingerprint or launch.has_students):
            was_trained, record = True, _trained(launch, chain, fingerprint)
            _check_worth(record, launch.data.num_classes)
            write_record(paths.record, record)  # last: where it stands, the teacher is complete
            for checkpoint in paths.checkpoints:
                checkpoint.unlink(missing_ok=True)
        chain.append(record)
    told = ", which teaches ".join(
        f"{each.model.key}, validation accuracy {each.validation_accuracy:.4f}" for each in chain
    )
    if not was_trained:
        launch.progress.stage("teach", f"stored: {told}")
    elif len(chain) > 1 or launch.store.config.teacher.is_brought:
        launch.progress.stage("teach", told)
    launch.progress.show_teachers(told)
    return chain[-1]


def _trained(launch: Launch, chain: list[TeacherRecord], fingerprint: str) -> TeacherRecord:
    """The next one of the chain, trained from where an earlier launch left it."""
    record = None
    for output in _outputs(launch, chain, fingerprint):
        if isinstance(output, TeacherRecord):
            record = output
        else:
            member = f"member {output['member']:.0f}, " if "member" in output else ""
            launch.progress.detail(
                f"{member}epoch {output['epoch']:.0f} of {_num_epochs(launch, len(chain))}: "
                f"validation accuracy {output['validation_accuracy']:.4f}, {output['seconds']:.0f} s"
            )
    if record is None:
        raise RuntimeError("the teacher's task ended without its record")
    return record


def _outputs(
    launch: Launch, chain: list[TeacherRecord], fingerprint: str
) -> Iterator[dict[str, float] | TeacherRecord]:
    """What the task says, epoch by epoch."""
    config, device = launch.store.config, whole_device(launch.store.config.resources)
    paths = launch.store.paths.in_chain(len(chain))
    if not chain and config.teacher.is_brought:
        return _brought(launch, paths, fingerprint)
    if not chain:
        launch.progress.stage("teach", f"training {config.teacher.network.key} for {_num_epochs(launch, 0)} epochs")
        train = task(train_teacher, cpus=device.cpus, gpus=device.gpus, streams=True)
        return streamed(train, config.teacher, launch.data, paths, fingerprint, device.cpus)
    assistant = config.assistants[len(chain) - 1]
    launch.progress.stage(
        "teach",
        f"training assistant {assistant.model.key} by {assistant.loss.key} under {chain[-1].model.key} for "
        f"{assistant.training.epochs} epochs",
    )
    above = load_teacher(
        launch.store.paths.in_chain(len(chain) - 1), chain[-1], stored_only=config.teacher.outputs == "stored"
    )
    train = task(train_assistant, cpus=device.cpus, gpus=device.gpus, streams=True)
    return streamed(train, assistant, launch.data, above, paths, fingerprint, device.cpus)


def _brought(launch: Launch, paths: TeacherPaths, fingerprint: str) -> Iterator[TeacherRecord]:
    """The teacher's files are read here: another node need not have them."""
    teacher, device = launch.store.config.teacher, whole_device(launch.store.config.resources)
    try:
        teacher = pinned(teacher)
        weights = brought_weights(teacher, launch.data.input_shape, launch.data.num_classes)
        source = source_of(teacher)
    except (ValueError, OSError) as error:
        raise StageFailedError(str(error)) from error
    launch.progress.stage("teach", f"{teacher.network.key}, brought from {source}")
    bring = task(bring_teacher, cpus=device.cpus, gpus=device.gpus, streams=True)
    return streamed(bring, teacher, weights, source, launch.data, paths, fingerprint, device.cpus)


def _check_worth(record: TeacherRecord, num_classes: int) -> None:
    """See that a teacher that was brought knows the classes of the dataset; one that was trained is what it is.

    Raises:
        StageFailedError: it is hardly better than chance.
    """
    if record.source is not None and record.validation_accuracy < CHANCES / num_classes:
        raise StageFailedError(
            f"teacher {record.model.key}, brought from {record.source}: validation accuracy "
            f"{record.validation_accuracy:.4f}, where chance has {1 / num_classes:.4f}: its classes are in another "
            "order, its pixels are normalised otherwise, or its last layer was drawn anew"
        )


def _num_epochs(launch: Launch, place: int) -> int:
    """Of the place-th of the chain; 0 where it is brought."""
    config = launch.store.config
    training = config.assistants[place - 1].training if place else config.teacher.training
    return 0 if training is None else training.epochs
