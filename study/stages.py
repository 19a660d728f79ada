"""A study from first stage to last: teach, profile, search, verify, report. What is stored is not done again."""

import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from ray import tune

from analysis.hypervolume import reference_point
from analysis.pareto import candidates, values_of
from analysis.report import write_report
from analysis.report_capacity import capacity_words
from analysis.report_ranking import ranking_words
from analysis.report_verified import verified_words
from analysis.results import read_study
from study.cluster import TrialResources, whole_device, with_shares
from study.co_tenancy import measured_together
from study.errors import StageFailedError, StudyInterruptedError
from study.failures import failed, patiently, refusal_of
from study.gpu_shares import planned_shares, resident_mib, share_words
from study.hours import search_time, time_words
from study.interrupts import how_to_go_on
from study.launch import Launch, stored_record
from study.limits import epoch_limit_s
from study.monitor import Monitor
from study.profile_cache import ProfileCache, profiled_batch_sizes, student_trainings
from study.search.baselines import enqueue_baselines
from study.search.constraints import check_kept
from study.search.proposer import Proposal, Proposer
from study.search.scheduler import StudyScheduler
from study.search.searcher import StudySearcher
from study.search.slots import Slots
from study.store import StudyStore
from study.tasks import result_of, streamed, task
from study.teach import teach
from study.teacher_views import search_teacher
from study.verify import verify
from trainables.config import ModelConfig, StudentConfig, TrialAssignment
from trainables.measurements import ArchitectureProfile, DeviceFacts, ProfilesRecord
from trainables.profile import describe_device, profile_architectures
from trainables.records import REFERENCE_ATTRIBUTE, TeacherRecord
from trainables.shared_objects import share
from trainables.student import StudentTrial
from trainables.user_cache import cache_folder
from trainables.whole_files import write_record


def run_stages(launch: Launch) -> Path:
    """Run the stages that are not stored yet; returns the report's path.

    Raises:
        StudyInterruptedError: it was asked to end.
        StageFailedError: a stage failed; where it was not a task of its own, `failure.txt` holds the traceback.
    """
    progress, paths = launch.progress, launch.store.paths
    try:
        teacher = patiently(launch, lambda: teach(launch))
        profiles = patiently(launch, lambda: profile(launch))
        launch = with_planned_shares(launch, profiles)
        search(launch, teacher, profiles)
        _keep_reference(launch.store)
        _verify(launch, teacher, profiles)
        progress.stage("report", "tables and figures")
        report = patiently(launch, lambda: write_report(paths.root))
        results = read_study(paths.root)
        for sentence in [*verified_words(results), *ranking_words(results), *capacity_words(results)]:
            progress.line(sentence)
    except (KeyboardInterrupt, StudyInterruptedError) as error:
        progress.finish("interrupted", f"kd-study resume {paths.root}")
        raise StudyInterruptedError(how_to_go_on(paths.root)) from error
    except StageFailedError as error:
        if refusal_of(error) is not None:
            raise failed(launch, error) from error
        progress.finish("failed", str(error))
        raise
    except Exception as error:
        raise failed(launch, error) from error
    paths.failure.unlink(missing_ok=True)
    progress.finish("done", str(report))
    return report


def _verify(launch: Launch, teacher: TeacherRecord, profiles: ProfilesRecord) -> None:
    """The verify stage; where it fails, what the search found is reported all the same."""
    try:
        patiently(launch, lambda: verify(launch, teacher, profiles))
    except StageFailedError:
        write_report(launch.store.paths.root)
        raise


def profile(launch: Launch) -> ProfilesRecord:
    """Every architecture of the space, and the teacher, measured alone: stored, kept from another study, or now."""
    paths, config = launch.store.paths, launch.store.config
    fingerprint = config.fingerprint("profile")
    stored = stored_record(paths.profiles_json, ProfilesRecord)
    if stored is not None and (stored.fingerprint == fingerprint or launch.has_students):
        launch.progress.stage("profile", f"stored: {len(stored.students) + 1} networks")
        return stored
    batch_sizes, teacher = profiled_batch_sizes(config, launch.space), config.teacher
    own = [] if teacher.is_brought else [teacher.network]
    known = _measured_profiles(launch, [*own, *launch.space.architectures()], batch_sizes)
    if teacher.network.key not in known:  # it is never trained here, and may be too large to be
        known |= _measured_profiles(launch, [teacher.network], [])
    record = ProfilesRecord(
        fingerprint=fingerprint,
        teacher=known[config.teacher.network.key],
        students={model.key: known[model.key] for model in launch.space.architectures()},
    )
    write_record(paths.profiles_json, record)
    return record


def _measured_profiles(
    launch: Launch, models: Sequence[ModelConfig], batch_sizes: Sequence[int]
) -> dict[str, ArchitectureProfile]:
    """Profiles by network, from the user's cache or measured now, all corrected to one speed of the reference."""
    config, data = launch.store.config, launch.data
    device = whole_device(config.resources)
    trainings = student_trainings(config, launch.space, len(data.train))
    images = (data.input_shape, data.num_classes, config.profile, launch.resources.cpus, trainings)
    facts: DeviceFacts = result_of(task(describe_device, cpus=device.cpus, gpus=device.gpus).remote(*images))
    asked = (data.input_shape, data.num_classes, launch.resources.cpus, trainings)
    cache = ProfileCache(cache_folder(), facts, config.profile, batch_sizes, *asked)
    reference_ms = cache.reference_ms()
    if reference_ms is None:
        cache.keep_reference(facts)
        reference_ms = facts.reference_ms
    wanted = {model.key: model for model in models}
    kept = {key: cache.get(model) for key, model in wanted.items()} if config.profile.reuse else {}
    known = {key: profiled for key, profiled in kept.items() if profiled is not None}
    missing = [model for key, model in wanted.items() if key not in known]
    what = f"{len(missing)} of {len(wanted)} networks to measure alone, the rest kept from earlier"
    launch.progress.stage("profile", f"{what}, on {facts.name}")
    if missing:
        measure = task(profile_architectures, cpus=device.cpus, gpus=device.gpus, streams=True)
        for measured in streamed(measure, missing, batch_sizes, *images, reference_ms):
            cache.put(measured)
            known[measured.model.key] = measured
            launch.progress.detail(_measured(measured))
    if facts.kind == "cuda" and launch.resources.is_planned:
        beside = measured_together(launch, known)
        for changed in beside.values():
            cache.put(changed)
        known |= beside
    return known


def with_planned_shares(launch: Launch, profiles: ProfilesRecord) -> Launch:
    """The launch with a share of a GPU for each student, where that is asked for and there are GPUs."""
    config, resources = launch.store.config, launch.resources
    if not resources.is_planned:
        return launch
    shares = planned_shares(profiles, resident_mib(config, launch.data, profiles))
    for words in share_words(shares):
        launch.progress.line(f"GPU shares as planned: {words}")
    planned = with_shares(resources, config.resources, shares)
    launch.progress.gpu_share = planned.share
    return replace(launch, resources=planned)


def search(launch: Launch, teacher: TeacherRecord, profiles: ProfilesRecord) -> None:
    """Students on every slot until the study has as many as it should."""
    store, resources = launch.store, launch.resources

    def isolated(student: StudentConfig) -> dict[str, float | None]:
        return profiles.students[student.model.key].metrics(student.training.batch_size)

    def assign(proposal: Proposal) -> TrialAssignment:
        assigned = _assignment(proposal, store, resources, profiles)
        return assigned.model_copy(update={"inputs": inputs, **_limits(proposal, launch, profiles)})

    _check_constraints(launch, profiles)
    enqueue_baselines(store, launch.space, isolated)
    proposer = Proposer(store, launch.space, isolated)
    launch.progress.show_trials(proposer.changed(), proposer.num_trials)
    slots = Slots()
    if proposer.is_finished:
        launch.progress.stage("search", f"stored: {proposer.num_trials} students")
        return
    arrays = patiently(launch, lambda: search_teacher(launch, teacher))
    found = search_time(store.config, launch.space, len(launch.data.train), profiles.students)
    took = f": {time_words(found.seconds, resources.num_slots)}" if found.is_whole else ""
    launch.progress.stage("search", f"{proposer.num_trials} students, {resources.num_slots} at once{took}")
    launch_number = 1 + max((int(path.name) for path in store.paths.launches.glob("[0-9]*")), default=0)
    inputs = share(launch.data, arrays)
    tuner = tune.Tuner(
        StudentTrial,
        tune_config=tune.TuneConfig(
            search_alg=StudySearcher(proposer, assign, slots, resources.num_slots, resources.num_gpus),
            scheduler=StudyScheduler(proposer),
            num_samples=-1,
            max_concurrent_trials=resources.num_slots,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=str(launch_number),
            storage_path=str(store.paths.launches),
            callbacks=[Monitor(proposer, slots, launch.progress)],
            failure_config=tune.FailureConfig(max_failures=0),  # the searcher counts, over all launches
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            verbose=0,
        ),
    )
    handler, num_threads = signal.getsignal(signal.SIGUSR1), torch.get_num_threads()
    torch.set_num_threads(1)  # of the sampler's model: with more, what it asks would hang on how many there are
    try:
        tuner.fit()
    finally:
        signal.signal(signal.SIGUSR1, handler)  # Tune leaves its own behind
        torch.set_num_threads(num_threads)
    launch.progress.show_trials(proposer.changed(), proposer.num_trials)
    if launch.asked_to_end() or not proposer.is_finished:
        raise StudyInterruptedError("the search was asked to end")


def _check_constraints(launch: Launch, profiles: ProfilesRecord) -> None:
    """See that some student may be trained, now that the architectures are measured.

    Raises:
        StageFailedError: none keeps the constraints.
    """
    kinds = {
        f"{key}, trained at batch {batch_size}": profiles.students[key].metrics(batch_size)
        for key in profiles.students
        for batch_size in launch.space.training_batch_sizes()
    }
    try:
        check_kept(launch.store.config.constraints, kinds)
    except ValueError as error:
        raise StageFailedError(str(error)) from error


def _keep_reference(store: StudyStore) -> None:
    """Choose the reference point of hypervolumes, once: what `extend` adds is measured from the same."""
    objectives = store.config.objective_metrics
    finished = candidates(store.trials(), objectives)
    if finished and REFERENCE_ATTRIBUTE not in store.study.user_attrs:
        chosen = reference_point(values_of(finished, objectives), objectives)
        store.study.set_user_attr(REFERENCE_ATTRIBUTE, chosen.tolist())


def _assignment(
    proposal: Proposal, store: StudyStore, resources: TrialResources, profiles: ProfilesRecord
) -> TrialAssignment:
    return TrialAssignment(
        number=proposal.number,
        student=proposal.student,
        isolated=dict(proposal.isolated),
        report_at=proposal.report_at,
        num_stored_reports=proposal.num_stored_reports,
        metrics=store.config.metrics,
        checkpoint=str(store.paths.checkpoint(proposal.number)),
        weights=str(store.paths.student_weights(proposal.number)),
        execution=profiles.execution(proposal.student),
        cpus=resources.cpus,
        gpus=resources.share(proposal.student),
        context_mib=profiles.context_mib(proposal.student),
        idle_watts=profiles.idle_watts(proposal.student),
    )


def _limits(proposal: Proposal, launch: Launch, profiles: ProfilesRecord) -> dict[str, float | int | None]:
    """What a trial's process is told of how long it may take and wait."""
    config = launch.store.config
    limit_s = epoch_limit_s(
        config.resources.max_minutes_per_epoch,
        proposal.student,
        profiles,
        num_images=len(launch.data.train),
        num_teachers=config.teacher.num_members,
        num_sharing=launch.resources.num_sharing,
    )
    patience_s = 60.0 * config.resources.max_minutes_unwritable
    return {"max_step_s": limit_s, "patience_s": patience_s, "num_failures": proposal.num_failures}


def _trial_name(trial: Any) -> str:
    number, num_told, num_failures = (trial.config[name] for name in ("number", "num_stored_reports", "num_failures"))
    again = f"_again_{num_failures}" if num_failures else ""  # each time a folder of its own
    return f"student_{number}" + (f"_from_report_{num_told + 1}" if num_told else "") + again


def _measured(profiled: ArchitectureProfile) -> str:
    latency = profiled.latencies[0]
    unstable = "" if latency.is_stable else ", unstable"
    trains = [f"trains {each.images_per_s:,.0f} images/s at batch {each.batch_size}, " for each in profiled.trainings]
    return (
        f"{profiled.model.key}: {latency.p50_ms:.3f} ms at batch {latency.batch_size}{unstable}, "
        f"{trains[0] if trains else ''}in {profiled.seconds:.0f} s"
    )
