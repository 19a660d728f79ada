"""Processes at once on one GPU, from the driver's side, without Ray: who is measured, and what is made of it."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
import ray
from rich.console import Console

import search_spaces
from study import store as stores
from study.cluster import trial_resources
from study.co_tenancy import co_tenancies, measured_together, trainings_without, with_co_tenancy
from study.errors import StageFailedError
from study.launch import Launch
from study.progress import Progress
from study.stages import with_planned_shares
from tests.factories import student, study_config, training_data
from tests.profiles import architecture_profile, profile
from trainables.co_tenancy import Tenant, Training
from trainables.config import ModelConfig
from trainables.measurements import ArchitectureProfile, CoTenancy, ProfilesRecord, Together

SMALL, LARGE = (ModelConfig(name="cnn", options={"width": width}) for width in (1, 8))
TRAININGS = [Training(model=model, batch_size=64, execution=None) for model in (SMALL, LARGE)]


def tenant(*speeds: float | None, context_mib: float = 500.0) -> Tenant:
    return Tenant(images_per_s=speeds, board_mib=23_028.0, context_mib=context_mib)


def profiles() -> dict[str, ArchitectureProfile]:
    return {model.key: architecture_profile(model, batch_sizes=(64, 128)) for model in (SMALL, LARGE)}


def together(found: CoTenancy | None) -> dict[int, float | None]:
    assert found is not None
    return {each.num_processes: each.images_per_s for each in found.together}


def test_speeds_of_all_processes_add_up_and_the_context_is_that_of_one_alone() -> None:
    by_number = {
        1: [tenant(100.0, 50.0)],
        2: [tenant(90.0, 26.0, context_mib=9_000.0), tenant(80.0, 27.0, context_mib=9_000.0)],
        4: [tenant(60.0, 20.0), tenant(60.0, None), tenant(60.0, 20.0), tenant(60.0, 20.0)],
    }
    small, large = co_tenancies(TRAININGS, list(by_number), by_number.__getitem__, print)
    assert together(small) == {1: 100.0, 2: 170.0, 4: 240.0}
    assert together(large) == {1: 50.0, 2: 53.0, 4: None}  # one of the four had too little memory
    assert small is not None
    assert (small.board_mib, small.context_mib) == (23_028.0, 500.0)


def test_after_a_number_that_fails_no_larger_one_is_tried() -> None:
    tried: list[int] = []
    told: list[str] = []

    def run(number: int) -> Sequence[Tenant]:
        tried.append(number)
        if number == 2:
            raise StageFailedError("CUDA error: out of memory")
        return [tenant(100.0, 50.0)] * number

    small, _ = co_tenancies(TRAININGS, [1, 2, 4], run, told.append)
    assert tried == [1, 2]
    assert together(small) == {1: 100.0}
    assert told == ["2 processes at once on one GPU: CUDA error: out of memory"]


def test_where_not_even_one_can_be_measured_nothing_is_known() -> None:
    def run(_: int) -> Sequence[Tenant]:
        raise StageFailedError("no driver")

    assert co_tenancies(TRAININGS, [1, 2], run, lambda _: None) == [None, None]
    on_cpu = Tenant(images_per_s=(1.0, 1.0), board_mib=None, context_mib=None)
    assert co_tenancies(TRAININGS, [1], lambda _: [on_cpu], print) == [None, None]


def test_what_was_found_goes_into_the_profiles_and_is_not_measured_again() -> None:
    known = profiles()
    keys = {SMALL.key}
    lacking = trainings_without(known, keys)
    assert [(each.model.key, each.batch_size) for each in lacking] == [(SMALL.key, 64), (SMALL.key, 128)]
    found = CoTenancy(board_mib=1.0, context_mib=0.5, together=(Together(num_processes=1, images_per_s=3.0),))
    changed = with_co_tenancy(known, lacking, [found, None])
    assert changed.keys() == {SMALL.key}
    assert [each.co_tenancy for each in changed[SMALL.key].trainings] == [found, None]
    assert [each.batch_size for each in trainings_without(known | changed, keys)] == [128]


def test_profile_from_before_there_was_any_is_read() -> None:
    known = architecture_profile(SMALL)
    data = known.model_dump(mode="json")
    for each in data["trainings"]:
        del each["co_tenancy"]
    assert ArchitectureProfile.model_validate(data) == known


def test_shares_are_planned_from_what_was_measured_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight of the smaller network are still faster than four; of the larger one, one fills the board."""
    node = {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0}}
    monkeypatch.setattr(ray, "nodes", lambda: [node])
    asked: list[int] = []

    def fake_at_once(
        trainings: Sequence[Training], settings: tuple[object, ...], cpus: int, number: int, gpus: float
    ) -> list[Tenant]:
        asked.append(number)
        assert (settings[:2], cpus, gpus) == (((1, 8, 8), 3), 1, 1.0)
        speeds = [100.0 if each.model == small else 100.0 / number for each in trainings]
        return [tenant(*speeds)] * number

    monkeypatch.setattr("study.co_tenancy.at_once", fake_at_once)
    config = study_config(resources={"gpus_per_trial": "planned"})
    told = io.StringIO()
    with stores.create(tmp_path / "study", config) as store:
        space = search_spaces.build(config.space)
        small, large = space.architectures()
        progress = Progress(store.paths, store.record, Console(file=told, width=200), 1)
        launch = Launch(store, space, training_data(), trial_resources(config.resources), progress, lambda: False)
        known = {each.key: profile(each, 1, 0.2, has_gpu=True) for each in (small, large)}
        known |= measured_together(launch, known)
        record = ProfilesRecord(fingerprint="f", teacher=profile(config.teacher.network, 4, 0.2), students=known)
        planned = with_planned_shares(launch, record).resources
        assert measured_together(launch, known) == {}
    assert asked == [1, 2, 4, 8]
    assert {key: share for (key, _), share in planned.shares.items()} == {small.key: 0.125, large.key: 1.0}
    assert planned.num_slots == 8
    assert "GPU shares as planned: 8 to a GPU: cnn(width=1) at batch 64" in told.getvalue()
    assert (record.context_mib(student(width=1)), record.context_mib(student(width=7))) == (500.0, None)
