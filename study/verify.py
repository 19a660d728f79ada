"""The verify stage: students of the front and their partners trained again, as many at once as there are slots."""

import contextlib
from collections import deque
from collections.abc import Generator, Sequence

import ray

from study.cluster import whole_device
from study.errors import StageFailedError
from study.launch import Launch, stored_record
from study.tasks import result_of, task
from study.teacher_views import taught
from study.verification_plan import plan
from trainables.measurements import ProfilesRecord
from trainables.records import TeacherRecord
from trainables.teacher import load_teacher
from trainables.verification import VerificationInputs, load_test_split, teacher_on_test, verify_student
from trainables.verified import PlannedRun, Role, SplitMetrics, VerificationRecord, VerifiedRun
from trainables.whole_files import write_record

LONGEST_CANCEL_S = 30.0


def verify(launch: Launch, teacher: TeacherRecord, profiles: ProfilesRecord) -> None:
    """Train again what stands on the front now, and read it on the test images; runs that are stored stand.

    Raises:
        StageFailedError: a task failed.
    """
    store, config = launch.store, launch.store.config
    if config.verify.max_students == 0 and not config.verify.best_of:
        launch.progress.stage("verify", "left out (verify.max_students = 0): the test images are not read")
        return
    planned = plan(
        store.trials(),
        config.objective_metrics,
        config.verify,
        seed=config.seed,
        teacher_fingerprint=teacher.fingerprint,
    )
    planned = [each.model_copy(update={"execution": profiles.execution(each.student)}) for each in planned]
    if not planned:
        launch.progress.stage("verify", "no student stands on the front: the test images are not read")
        return
    students = tuple(dict.fromkeys(each.trial for each in planned if each.role is Role.STUDENT))
    verified = stored_record(store.paths.verification_json, VerificationRecord)
    known = {each.fingerprint: run for each in planned if (run := _stored(launch, each)) is not None}
    is_whole = all(each.fingerprint in known for each in planned)
    if (
        verified is not None
        and is_whole
        and _asked(verified.best_of, verified.runs) == _asked(config.verify.best_of, planned)
    ):
        launch.progress.stage("verify", f"stored: {_what(planned)}, {len(planned)} runs")
        return
    missing = list({each.fingerprint: each for each in planned if each.fingerprint not in known}.values())
    launch.progress.stage(
        "verify",
        f"{_what(planned)}, {config.verify.seeds} fresh seeds each: "
        f"{len(missing)} runs to make, {len(planned) - len(missing)} stored or shared",
    )
    on_test = _train(launch, teacher, profiles, missing, known)
    record = VerificationRecord(
        trials=students,
        num_seeds=config.verify.seeds,
        best_of=config.verify.best_of,
        teacher=on_test,
        runs=tuple(_as_planned(each, known[each.fingerprint]) for each in planned),
    )
    write_record(store.paths.verification_json, record)  # last: where it stands, all of its runs do


def _what(planned: Sequence[PlannedRun]) -> str:
    """Which students, in words."""
    num_front, num_best = (
        len({each.trial for each in planned if each.role is role}) for role in (Role.STUDENT, Role.BEST)
    )
    parts = [f"{num_front} students of the front and their partners"] if num_front else []
    parts += [f"the best {num_best} of their kind"] if num_best else []
    return " and ".join(parts)


def _asked(best_of: tuple[str, ...], runs: Sequence[PlannedRun]) -> tuple[object, ...]:
    """What makes two verifications the same."""
    return best_of, [(run.trial, run.role, run.seed_index, run.fingerprint) for run in runs]


def _stored(launch: Launch, planned: PlannedRun) -> VerifiedRun | None:
    """What an earlier launch left of a run, whole with its weights; too little memory then may be enough now."""
    paths = launch.store.paths
    run = stored_record(paths.verified_run(planned.fingerprint), VerifiedRun)
    if run is None or (run.failure is not None and run.failure.startswith("OutOfMemoryError")):
        return None
    return run if run.failure is not None or paths.verified_weights(run.fingerprint).is_file() else None


def _as_planned(planned: PlannedRun, run: VerifiedRun) -> VerifiedRun:
    """The run as one of this student's; two students that are each other's partners share theirs."""
    return run.model_copy(update={name: getattr(planned, name) for name in ("trial", "role", "seed_index")})


def _train(
    launch: Launch,
    teacher: TeacherRecord,
    profiles: ProfilesRecord,
    missing: Sequence[PlannedRun],
    known: dict[str, VerifiedRun],
) -> SplitMetrics:
    """Make the missing runs, adding each to `known`; returns what the teacher is worth on the test images."""
    store = launch.store
    arrays, test = (
        load_teacher(launch.students_teacher, teacher, stored_only=store.config.teacher.outputs == "stored"),
        load_test_split(store.config.dataset),
    )
    device, metrics = whole_device(store.config.resources), store.config.metrics
    on_test: SplitMetrics
    on_test, logits_NC = result_of(
        task(teacher_on_test, cpus=device.cpus, gpus=device.gpus).remote(
            store.config.students_teacher, arrays, launch.data, test, device.cpus, metrics
        )
    )
    num_made = 0
    for taught_by, runs in taught(launch, teacher, missing):
        inputs = ray.put(VerificationInputs(launch.data, taught_by, test, logits_NC, metrics))
        with contextlib.closing(_made(launch, profiles, runs, inputs)) as made:
            for run in made:
                known[run.fingerprint] = run
                num_made += 1
                launch.progress.detail(f"{num_made}/{len(missing)}  {_described(run)}")
        del taught_by, inputs, made  # else a seed's views lie in memory beside the next one's
    return on_test


def _made(
    launch: Launch,
    profiles: ProfilesRecord,
    runs: Sequence[PlannedRun],
    inputs: "ray.ObjectRef[VerificationInputs]",
) -> Generator[VerifiedRun, None, None]:
    """The runs as they are finished; closed before the last one, those at work are ended."""
    resources = launch.resources
    waiting = deque(runs)
    running: dict[ray.ObjectRef[VerifiedRun], PlannedRun] = {}
    try:
        while waiting or running:
            while waiting and len(running) < resources.num_slots:
                planned = waiting.popleft()
                share, context_mib = resources.share(planned.student), profiles.context_mib(planned.student)
                verification = task(verify_student, cpus=resources.cpus, gpus=share)
                made = verification.remote(planned, inputs, launch.store.paths, resources.cpus, share, context_mib)
                running[made] = planned
            for made in ray.wait(list(running))[0]:
                planned = running.pop(made)
                try:
                    run: VerifiedRun = result_of(made)
                except StageFailedError as error:
                    raise StageFailedError(f"{_who(planned)}: {error}") from error
                yield run
    finally:
        _cancel(list(running))


def _cancel(running: Sequence["ray.ObjectRef[VerifiedRun]"]) -> None:
    """End these: the stage may be tried again, and no two processes are to train the same."""
    for made in running:
        ray.cancel(made, force=True)
    if running:
        ray.wait(list(running), num_returns=len(running), timeout=LONGEST_CANCEL_S)


def _described(run: VerifiedRun) -> str:
    return f"{_who(run)}: {run.failure if run.on_test is None else f'test accuracy {run.on_test.accuracy:.4f}'}"


def _who(run: PlannedRun) -> str:
    method = run.student.loss.name
    return f"trial {run.trial}, {run.role} ({run.student.model.key}, {method}), seed {run.seed_index}"
