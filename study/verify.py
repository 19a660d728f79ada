"""The verify stage: students of the front and their partners trained again, as many at once as there are slots."""

import shutil
from collections import deque
from collections.abc import Sequence

import ray

from study.cluster import result_of, whole_device
from study.launch import Launch, stored_record
from study.verification_plan import plan
from trainables.metrics import metric
from trainables.records import TeacherRecord
from trainables.teacher import load_teacher
from trainables.verification import VerificationInputs, load_test_split, teacher_on_test_task, verify_student_task
from trainables.verified import PlannedRun, SplitMetrics, VerificationRecord, VerifiedRun
from trainables.whole_files import replacing, write_record


def verify(launch: Launch, teacher: TeacherRecord) -> None:
    """Train again what stands on the front now, and read it on the test images; runs that are stored stand.

    Raises:
        StageFailedError: a task failed.
    """
    store, config = launch.store, launch.store.config
    if config.verify.max_students == 0:
        launch.progress.stage("verify", "left out (verify.max_students = 0): the test images are not read")
        return
    objectives = [metric(name) for name in config.objectives]
    planned = plan(store.trials(), objectives, config.verify, seed=config.seed, teacher_fingerprint=teacher.fingerprint)
    if not planned:
        launch.progress.stage("verify", "no student stands on the front: the test images are not read")
        return
    students = tuple(dict.fromkeys(each.trial for each in planned))
    verified = stored_record(store.paths.verification_json, VerificationRecord)
    if verified is not None and [_identity(each) for each in verified.runs] == [_identity(each) for each in planned]:
        launch.progress.stage("verify", f"stored: {len(students)} students, {len(planned)} runs")
        return
    known = _stored_runs(launch)
    missing = list({each.fingerprint: each for each in planned if each.fingerprint not in known}.values())
    launch.progress.stage(
        "verify",
        f"{len(students)} students of the front and their partners, {config.verify.seeds} fresh seeds each: "
        f"{len(missing)} runs to make, {len(planned) - len(missing)} stored or shared",
    )
    on_test = _train(launch, teacher, missing, known)
    record = VerificationRecord(
        trials=students,
        num_seeds=config.verify.seeds,
        teacher=on_test,
        runs=tuple(_stored_as(launch, each, known[each.fingerprint]) for each in planned),
    )
    write_record(store.paths.verification_json, record)  # last: where it stands, all of its runs do


def _identity(run: PlannedRun) -> tuple[str, str]:
    return run.name, run.fingerprint


def _stored_runs(launch: Launch) -> dict[str, VerifiedRun]:
    """By fingerprint, what earlier launches left whole."""
    paths = launch.store.paths
    found = {}
    for path in sorted(paths.verify.glob("*-*-*.json")):
        run = stored_record(path, VerifiedRun)
        if run is not None and (run.failure is not None or paths.verified_weights(run.name).is_file()):
            found[run.fingerprint] = run
    return found


def _train(
    launch: Launch, teacher: TeacherRecord, missing: Sequence[PlannedRun], known: dict[str, VerifiedRun]
) -> SplitMetrics:
    """Make the missing runs, adding each to `known`; returns what the teacher is worth on the test images."""
    store, resources = launch.store, launch.resources
    arrays, test = load_teacher(store.paths, teacher), load_test_split(store.config.dataset.name)
    device = whole_device(store.config.resources)
    on_test: SplitMetrics
    on_test, logits_NC = result_of(
        teacher_on_test_task.options(num_cpus=device.cpus, num_gpus=device.gpus).remote(
            store.config.teacher, arrays, launch.data, test, device.cpus
        )
    )
    inputs = ray.put(VerificationInputs(launch.data, arrays, test, logits_NC))
    task = verify_student_task.options(num_cpus=resources.cpus, num_gpus=resources.gpus)
    waiting, num_made = deque(missing), 0
    running: set[ray.ObjectRef[VerifiedRun]] = set()
    while waiting or running:
        while waiting and len(running) < resources.num_slots:
            running.add(task.remote(waiting.popleft(), inputs, store.paths, resources.cpus, resources.gpus))
        for made in ray.wait(list(running))[0]:
            running.remove(made)
            run: VerifiedRun = result_of(made)
            known[run.fingerprint] = run
            num_made += 1
            launch.progress.detail(f"{num_made}/{len(missing)}  {_described(run)}")
    return on_test


def _stored_as(launch: Launch, planned: PlannedRun, run: VerifiedRun) -> VerifiedRun:
    """The run under the name that it is planned by; where it was made for another pair, a copy of it."""
    if run.name == planned.name:
        return run
    paths, copied = launch.store.paths, run.model_copy(update={"trial": planned.trial, "role": planned.role})
    copied = copied.model_copy(update={"seed_index": planned.seed_index})
    if run.failure is None:
        with replacing(paths.verified_weights(copied.name)) as temporary:
            shutil.copyfile(paths.verified_weights(run.name), temporary)
    write_record(paths.verified_run(copied.name), copied)
    return copied


def _described(run: VerifiedRun) -> str:
    outcome = run.failure if run.on_test is None else f"test accuracy {run.on_test.accuracy:.4f}"
    method = run.student.loss.name
    return f"trial {run.trial}, {run.role} ({run.student.model.key}, {method}), seed {run.seed_index}: {outcome}"
