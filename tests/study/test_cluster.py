"""What a trial gets on the nodes that there are; the nodes are Ray's own description of them, made up here."""

from typing import Any

import pytest
import ray

from study.cluster import TrialResources, WholeDevice, check_objectives, streamed, trial_resources, whole_device
from study.config import ResourcesConfig
from study.errors import StageFailedError


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
    assert trial_resources(ResourcesConfig(gpus_per_trial=0.25)) == TrialResources(1, 0.25, 4 + 16)
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


def test_failed_task_is_told_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    cause = ArithmeticError("the loss is nan")

    def get(_: object) -> None:
        raise ray.exceptions.RayTaskError("train_teacher", "traceback", cause)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(ray, "get", get)
    with pytest.raises(StageFailedError, match="ArithmeticError: the loss is nan"):
        next(streamed(iter([object()])))
