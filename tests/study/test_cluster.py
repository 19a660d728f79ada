"""What a trial gets on the nodes that there are; the nodes are Ray's own description of them, made up here."""

from types import SimpleNamespace
from typing import Any

import pytest
import ray

from study.cluster import (
    OWN_NODE,
    TrialResources,
    WholeDevice,
    check_objectives,
    connect,
    trial_resources,
    trials_beside_a_gpu,
    waits_for_nodes,
    whole_device,
    with_shares,
)
from study.resources import NodesToCome, ResourcesConfig
from tests.factories import student


def nodes(monkeypatch: pytest.MonkeyPatch, *resources: dict[str, float]) -> None:
    described: list[dict[str, Any]] = [{"Alive": True, "Resources": each} for each in resources]
    dead = {"Alive": False, "Resources": {"CPU": 96.0, "GPU": 8.0}}
    monkeypatch.setattr(ray, "nodes", lambda: [*described, dead])


def test_laptop_runs_one_trial_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, {"CPU": 2.0})
    assert trial_resources(ResourcesConfig()) == TrialResources(cpus=1, gpus=0.0, num_slots=2)
    assert whole_device(ResourcesConfig()) == WholeDevice(cpus=2, gpus=0.0)


def test_quarter_gpus_make_four_slots_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, {"CPU": 4.0}, {"CPU": 8.0, "GPU": 1.0}, {"CPU": 48.0, "GPU": 4.0})
    assert trial_resources(ResourcesConfig(gpus_per_trial=0.25)) == TrialResources(1, 0.25, 4 + 16, num_gpus=5)
    assert whole_device(ResourcesConfig(gpus_per_trial=0.25)).gpus == 1.0


def test_three_tenths_of_a_gpu_make_three_slots_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray does not split a fraction over two GPUs: 4 GPUs hold 4 x 3 trials, not 13."""
    nodes(monkeypatch, {"CPU": 48.0, "GPU": 4.0})
    assert trial_resources(ResourcesConfig(gpus_per_trial=0.3)).num_slots == 12


def test_cpus_limit_the_slots_where_they_are_scarce(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, {"CPU": 4.0, "GPU": 4.0})
    assert trial_resources(ResourcesConfig(cpus_per_trial=2, gpus_per_trial=0.5)).num_slots == 2


def test_objective_that_only_a_gpu_has_is_refused_where_trials_run_on_cpus() -> None:
    with pytest.raises(ValueError, match='objective "gpu_utilization_fraction" is known on a GPU alone'):
        check_objectives(["validation_accuracy", "gpu_utilization_fraction"], TrialResources(1, 0.0, 2))
    check_objectives(["gpu_utilization_fraction"], TrialResources(1, 0.25, 4))
    check_objectives(["cpu_utilization_fraction", "train_mfu_fraction"], TrialResources(1, 0.0, 2))


def test_fewer_at_once_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, {"CPU": 8.0})
    assert trial_resources(ResourcesConfig(max_concurrent_trials=3)).num_slots == 3
    assert trial_resources(ResourcesConfig(max_concurrent_trials=30)).num_slots == 8


def test_request_that_no_node_can_serve_is_refused_with_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, {"CPU": 2.0}, {"CPU": 4.0, "GPU": 1.0})
    message = r"asks for 8 CPUs and 0\.25 GPUs, .*there are: 2 CPUs and 0 GPUs, 4 CPUs and 1 GPUs"
    with pytest.raises(ValueError, match=message):
        trial_resources(ResourcesConfig(cpus_per_trial=8))


def test_a_half_of_a_gpu_is_refused_where_no_node_has_one_for_its_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The GPU and the CPUs are there, on different nodes."""
    nodes(monkeypatch, {"CPU": 64.0}, {"CPU": 64.0}, {"CPU": 2.0, "GPU": 1.0})
    message = r"asks for 4 CPUs and 0\.5 GPUs, .*there are: 2 x 64 CPUs and 0 GPUs, 2 CPUs and 1 GPUs\)"
    with pytest.raises(ValueError, match=message):
        trial_resources(ResourcesConfig(cpus_per_trial=4, gpus_per_trial=0.5))


GROWING = ResourcesConfig(autoscaled=NodesToCome(num_cpus=4, num_gpus=1, max_nodes=3))
HEAD, WORKER = {"CPU": 0.0}, {"CPU": 4.0, "GPU": 1.0}


@pytest.mark.parametrize("num_up", [0, 1, 3])
def test_slots_of_a_cluster_that_grows_are_those_of_all_nodes_it_may_have(
    monkeypatch: pytest.MonkeyPatch, num_up: int
) -> None:
    nodes(monkeypatch, HEAD, *[WORKER] * num_up)
    assert trial_resources(GROWING) == TrialResources(1, 0.25, 3 * 4, num_gpus=3)
    assert whole_device(GROWING) == WholeDevice(1, 1.0)
    waits = waits_for_nodes(GROWING)
    if num_up:
        assert waits is None
    else:
        assert waits is not None
        assert "resources.autoscaled: 3 x 4 CPUs and 1 GPUs more" in waits


def test_what_no_node_that_may_come_could_serve_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, HEAD)
    message = r"asks for 8 CPUs .*there are: 0 CPUs and 0 GPUs; resources\.autoscaled: 3 x 4 CPUs and 1 GPUs more\)"
    with pytest.raises(ValueError, match=message):
        trial_resources(GROWING.model_copy(update={"cpus_per_trial": 8}))
    with pytest.raises(ValueError, match="no node has as much"):
        trial_resources(ResourcesConfig())  # nothing is said of nodes to come


def test_a_ray_of_our_own_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same preset on a workstation: nobody adds a node there."""
    nodes(monkeypatch, {"CPU": 8.0, "GPU": 1.0, OWN_NODE: 1.0})
    assert trial_resources(GROWING).num_slots == 4


def test_planned_shares_are_each_students_own_and_the_smallest_makes_the_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ResourcesConfig(gpus_per_trial="planned")
    nodes(monkeypatch, {"CPU": 16.0, "GPU": 2.0})
    unplanned = trial_resources(config)
    assert unplanned == TrialResources(1, 0.25, 8, num_gpus=2, is_planned=True)
    small, large, unknown = student(width=1), student(width=8), student(width=3)
    shares = {(small.model.key, 32): 0.125, (large.model.key, 32): 1.0}
    planned = with_shares(unplanned, config, shares)
    assert planned.num_slots == 16
    assert [planned.share(each) for each in (small, large, unknown)] == [0.125, 1.0, 0.125]
    assert unplanned.share(small) == 0.25


def test_without_a_gpu_planned_is_a_cpu_core(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, {"CPU": 2.0})
    assert trial_resources(ResourcesConfig(gpus_per_trial="planned")) == TrialResources(1, 0.0, 2)


def test_cpus_bound_how_many_trials_a_gpu_has(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, {"CPU": 48.0}, {"CPU": 48.0, "GPU": 4.0})
    assert trials_beside_a_gpu(ResourcesConfig()) == 12
    assert trials_beside_a_gpu(ResourcesConfig(cpus_per_trial=5)) == 2


@pytest.mark.parametrize(("address", "asked"), [(None, (300 + 50) * 2**20), ("10.0.0.1", None)])
def test_object_store_of_a_local_cluster_has_room_for_what_is_stored(
    monkeypatch: pytest.MonkeyPatch, address: str | None, asked: int | None
) -> None:
    """A running one is as large as it is."""
    given: dict[str, Any] = {}

    def init(**options: Any) -> Any:
        given.update(options)
        return SimpleNamespace(dashboard_url=None)

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with connect(ResourcesConfig(object_store_mib=300), address, None, shared_bytes=50 * 2**20):
        assert given.get("object_store_memory") == asked
