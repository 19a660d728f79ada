"""How training goes on a GPU that several processes share: 1, 2, 4 and 8 of them at once, started by the driver."""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ray
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from study.cluster import trials_beside_a_gpu
from study.errors import StageFailedError
from study.gpu_shares import NUM_TENANTS
from study.launch import Launch
from study.tasks import result_of, task
from trainables.co_tenancy import Tenant, Training, train_beside
from trainables.measurements import ArchitectureProfile, CoTenancy, Together

LONGEST_WAIT_S = 600.0  # for the slowest to compile

Profiles = dict[str, ArchitectureProfile]
Run = Callable[[int], Sequence[Tenant]]  # so many processes at once


class Meeting:
    """Lets nobody go before all have come, again and again; a Ray actor."""

    def __init__(self, num_expected: int) -> None:
        self._barrier = asyncio.Barrier(num_expected)

    async def arrive(self) -> None:
        """Return when as many are there as are expected.

        Raises:
            TimeoutError: one of them does not come.
        """
        await asyncio.wait_for(self._barrier.wait(), LONGEST_WAIT_S)


def measured_together(launch: Launch, profiles: Profiles) -> Profiles:
    """The students' profiles that lack it, with how they train beside their like; not all, where some have it."""
    lacking = trainings_without(profiles, {model.key for model in launch.space.architectures()})
    if not lacking:
        return {}
    config = launch.store.config
    most = trials_beside_a_gpu(config.resources)
    numbers = [number for number in NUM_TENANTS if number <= max(1, most)]
    launch.progress.detail(f"{len(lacking)} trainings in {', '.join(map(str, numbers))} processes at once on one GPU")
    settings = (launch.data.input_shape, launch.data.num_classes, config.profile, launch.resources.cpus)
    run = functools.partial(at_once, lacking, settings, launch.resources.cpus, gpus=1.0)
    found = co_tenancies(lacking, numbers, run, launch.progress.detail)
    return with_co_tenancy(profiles, lacking, found)


def trainings_without(profiles: Mapping[str, ArchitectureProfile], keys: set[str]) -> list[Training]:
    """What is to be measured: of these networks, at each batch size that lacks it."""
    return [
        Training(model=profile.model, batch_size=each.batch_size, execution=each.execution)
        for key, profile in profiles.items()
        for each in profile.trainings
        if key in keys and each.co_tenancy is None
    ]


def co_tenancies(
    trainings: Sequence[Training], numbers: Sequence[int], run: Run, tell: Callable[[str], None]
) -> list[CoTenancy | None]:
    """One for each training; None where the GPU told nothing of itself. After a number that fails no larger is tried.

    Args:
        trainings: measured all in the same processes, one after the other.
        numbers: of processes, rising, from 1 on.
        run: measures with so many.
        tell: what failed.
    """
    tenants: dict[int, Sequence[Tenant]] = {}
    for number in numbers:
        try:
            tenants[number] = run(number)
        except StageFailedError as error:
            tell(f"{number} processes at once on one GPU: {error}")
            break
    alone = tenants[1][0] if 1 in tenants else None
    if alone is None or alone.board_mib is None or alone.context_mib is None:
        return [None] * len(trainings)
    return [
        CoTenancy(
            board_mib=alone.board_mib,
            context_mib=alone.context_mib,
            together=tuple(
                Together(num_processes=number, images_per_s=_sum([each.images_per_s[place] for each in of_number]))
                for number, of_number in tenants.items()
            ),
        )
        for place in range(len(trainings))
    ]


def with_co_tenancy(
    profiles: Mapping[str, ArchitectureProfile], trainings: Sequence[Training], found: Sequence[CoTenancy | None]
) -> Profiles:
    """Those of the profiles that change by what was found of these trainings."""
    by_place = {(each.model.key, each.batch_size): one for each, one in zip(trainings, found, strict=True)}
    changed = {}
    for key, profile in profiles.items():
        measured = tuple(
            each.model_copy(update={"co_tenancy": by_place.get((key, each.batch_size)) or each.co_tenancy})
            for each in profile.trainings
        )
        if measured != profile.trainings:
            changed[key] = profile.model_copy(update={"trainings": measured})
    return changed


def at_once(
    trainings: Sequence[Training], settings: tuple[Any, ...], cpus: int, number: int, *, gpus: float
) -> list[Tenant]:
    """So many processes at once, sharing one GPU, or a node's CPUs where `gpus` is 0.

    A placement group of one bundle keeps them on one board: by themselves, Ray would put a second one on the next node.

    Raises:
        StageFailedError: one of them ended without a result; so do all the others then.
    """
    with _one_place({"CPU": float(number * cpus), "GPU": gpus}) as placement:
        meeting: Any = ray.remote(num_cpus=0)(Meeting).remote(number)
        share = gpus / number
        tenant = task(train_beside, cpus=cpus, gpus=share, num_retries=0, placement=placement)
        made = [tenant.remote(trainings, *settings, share, functools.partial(_meet, meeting)) for _ in range(number)]
        waiting = list(made)
        try:
            while waiting:
                (ended,), waiting = ray.wait(waiting)
                result_of(ended)  # as they end: who fails is not waited for by those that wait for it
            return [result_of(each) for each in made]
        except ray.exceptions.RayError as error:
            raise StageFailedError(str(error)) from error
        finally:
            ray.kill(meeting)  # and with it whoever still waits there


def _meet(meeting: Any) -> None:
    ray.get(meeting.arrive.remote())


@contextlib.contextmanager
def _one_place(amounts: dict[str, float]) -> Iterator[PlacementGroupSchedulingStrategy]:
    """So much of one node, held while it is used."""
    group = placement_group([{name: amount for name, amount in amounts.items() if amount}])
    try:
        ray.get(group.ready())
        yield PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=0)
    finally:
        remove_placement_group(group)


def _sum(speeds: Sequence[float | None]) -> float | None:
    """None where one of them is."""
    known = [each for each in speeds if each is not None]
    return sum(known) if len(known) == len(speeds) else None
