"""The Ray cluster a study runs on: connected to or started, asked what it has, and told what a trial gets."""

import contextlib
import logging
import os
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ray

from study.resources import ResourcesConfig
from study.search.slots import num_fitting
from trainables.config import StudentConfig
from trainables.metrics import NEEDS_GPU

# Read by Ray and Tune when they start; what the user has set stands.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a task without a GPU share sees no GPU
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_WARN_SLOW_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "1000000000",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # study/interrupts.py has its own
    "RAY_AIR_NEW_OUTPUT": "0",
    # `ray job submit --working-dir` and a user's own modules both name a folder; the driver's holds.
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",
    # The teacher's threads wait for each other without spinning for long: where another process wants a core, an epoch
    # takes half the time (1,000 against 500 images/s on 2 cores); where none does, a tenth more.
    "GOMP_SPINCOUNT": "20000",
}


CONNECT_TIMEOUT_S = 5.0
OWN_NODE = "kd_study_own_node"  # a resource of the node that we start: nothing adds nodes to it

Shares = Mapping[tuple[str, int], float]  # of a GPU, by `ModelConfig.key` and batch size


@dataclass(frozen=True, slots=True)
class TrialResources:
    """What one trial gets, and how many run at once.

    `gpus` is the share of every trial, or, where `shares` names each student's own, the smallest of them. `num_gpus`
    is how many whole GPUs there are to share.
    """

    cpus: int
    gpus: float
    num_slots: int
    num_gpus: int = 0
    is_planned: bool = False  # each student is to have a share of its own
    shares: Shares = field(default_factory=dict)

    @property
    def num_sharing(self) -> int:
        """How many trials may be on one device, at most."""
        return min(self.num_slots, round(1 / self.gpus)) if self.gpus else self.num_slots

    def share(self, student: StudentConfig) -> float:
        """Of a GPU, for this student; 0 where trials run on CPUs."""
        return self.shares.get((student.model.key, student.training.batch_size), self.gpus)


@dataclass(frozen=True, slots=True)
class WholeDevice:
    """What a task asks for that must be alone on a device: a GPU, or all CPUs of a node."""

    cpus: int
    gpus: float


@contextlib.contextmanager
def connect(
    resources: ResourcesConfig, address: str | None, import_folder: str | None, *, shared_bytes: int = 0
) -> Iterator[str]:
    """A cluster for the time of a study: the one at `address`, or one of our own on this machine.

    Args:
        resources: of the configuration; its dashboard and object store are for a local cluster.
        address: of a running cluster ("auto", "host:port", "ray://..."); None starts a local one.
        import_folder: a folder that driver and workers must be able to import from; None: none.
        shared_bytes: of stored teacher outputs, by which the object store of a local cluster is larger. That of a
            running cluster is as large as it is: there, what does not fit lies on the disk of each node.

    Yields:
        The dashboard's address, or "" where there is none.

    Raises:
        ValueError: no cluster answers there, or it asks for a token that we do not give.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if address is None:
        options |= {
            "address": "local",
            "include_dashboard": resources.dashboard,
            "object_store_memory": resources.object_store_mib * 2**20 + shared_bytes,
            "resources": {OWN_NODE: 1},
        }
        if import_folder is not None:
            options["runtime_env"] = {"env_vars": {"PYTHONPATH": _with_folder(import_folder)}}
    else:
        options["address"] = address
        if import_folder is not None:
            options["runtime_env"] = {"working_dir": import_folder, "excludes": [".venv", ".git", "studies"]}
    _check_answers(address)
    try:
        context = ray.init(**options)
    except (ConnectionError, ray.exceptions.AuthenticationError) as error:
        where = "a local Ray" if address is None else f'--address "{address}"'
        raise ValueError(f"{where}: {_why_unconnected(error)}") from error
    try:
        yield context.dashboard_url or ""
    finally:
        ray.shutdown()


def trial_resources(config: ResourcesConfig) -> TrialResources:
    """What each trial gets on the connected cluster, and how many fit on the nodes that are up or may be added.

    Raises:
        ValueError: no node can serve one trial; the message names what the nodes have.
    """
    nodes = _nodes_in_all(config)
    num_gpus = sum(int(_amount(node, "GPU")) for node in nodes)
    gpus = config.unplanned_share if num_gpus else 0.0
    num_slots = _num_slots(config, nodes, gpus)
    if num_slots == 0:
        raise ValueError(
            f"resources: a trial asks for {config.cpus_per_trial} CPUs and {gpus:g} GPUs, and no node has as much "
            f"(there are: {_in_words(config)})"
        )
    is_planned = gpus > 0.0 and config.gpus_per_trial == "planned"
    return TrialResources(config.cpus_per_trial, gpus, num_slots, num_gpus if gpus else 0, is_planned)


def with_shares(resources: TrialResources, config: ResourcesConfig, shares: Shares) -> TrialResources:
    """The same with a share of its own for each student, and as many slots as the smallest of them make."""
    smallest = min(shares.values())
    num_slots = _num_slots(config, _nodes_in_all(config), smallest)
    return replace(resources, gpus=smallest, num_slots=num_slots, shares=shares)


def waits_for_nodes(config: ResourcesConfig) -> str | None:
    """What to say where no node that is up serves a trial, and the cluster must add one first; None where one does."""
    needs_gpu = config.uses_gpus and any(_amount(node, "GPU") for node in _nodes_in_all(config))
    if _num_slots(config, _nodes(), config.unplanned_share if needs_gpu else 0.0):
        return None
    return f"no node that is up serves a trial: the cluster adds one when the first task waits ({_in_words(config)})"


def check_objectives(objectives: Sequence[str], resources: TrialResources) -> None:
    """Refuse an objective that the connected cluster cannot give, before anything runs on it.

    Raises:
        ValueError: naming the objective.
    """
    for name in objectives:
        if name in NEEDS_GPU and resources.gpus == 0.0:
            raise ValueError(
                f'objective "{name}" is known on a GPU alone, and trials here run on CPUs: '
                "choose another, or a cluster with GPUs and resources.gpus_per_trial above 0"
            )


def whole_device(config: ResourcesConfig) -> WholeDevice:
    """A whole GPU where the cluster has one and trials use it; else all CPUs of the largest node."""
    largest = max(_nodes_in_all(config), key=lambda node: (_amount(node, "GPU") > 0, _amount(node, "CPU")))
    if config.uses_gpus and _amount(largest, "GPU") >= 1:
        return WholeDevice(config.cpus_per_trial, 1.0)
    return WholeDevice(int(_amount(largest, "CPU")), 0.0)


def trials_beside_a_gpu(config: ResourcesConfig) -> int:
    """How many trials one GPU can have by the CPUs of its node, which its GPUs share evenly."""
    nodes = [node for node in _nodes_in_all(config) if _amount(node, "GPU") >= 1]
    return max((int(_amount(node, "CPU") / _amount(node, "GPU") / config.cpus_per_trial) for node in nodes), default=0)


def _check_answers(address: str | None) -> None:
    """See that something listens where the cluster should be: Ray itself tries for many minutes, deaf to signals.

    Raises:
        ValueError: nothing does.
    """
    named = os.environ.get("RAY_ADDRESS") if address == "auto" else address
    host, colon, port = (named or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise ValueError(f'--address "{address}": no Ray cluster answers there ({named}: {error})') from error


def _why_unconnected(error: Exception) -> str:
    # A token that is missing here is an AuthenticationError; one that the cluster refuses is told in the cause's text.
    if isinstance(error, ray.exceptions.AuthenticationError) or "AuthenticationError" in str(error.__cause__):
        return (
            "the token that Ray asks for is missing or wrong: set RAY_AUTH_MODE=token, and give the cluster's token "
            "in ~/.ray/auth_token, in the file that RAY_AUTH_TOKEN_PATH names, or in RAY_AUTH_TOKEN"
        )
    return f"no Ray cluster answers there ({error})"


def _nodes() -> list[dict[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _nodes_in_all(config: ResourcesConfig) -> list[dict[str, float]]:
    """Those that are up, and those that the configuration says a running cluster may add."""
    return _nodes() + _nodes_to_come(config)


def _nodes_to_come(config: ResourcesConfig) -> list[dict[str, float]]:
    up, to_come = _nodes(), config.autoscaled
    if to_come is None or any(OWN_NODE in node for node in up):
        return []
    kind = to_come.amounts()
    num_up = sum(all(_amount(node, name) == amount for name, amount in kind.items()) for node in up)
    return [kind] * max(0, to_come.max_nodes - num_up)


def _num_slots(config: ResourcesConfig, nodes: Sequence[dict[str, float]], gpus: float) -> int:
    num_slots = sum(
        num_fitting(_amount(node, "CPU"), _amount(node, "GPU"), cpus=config.cpus_per_trial, gpus=gpus) for node in nodes
    )
    return min(num_slots, config.max_concurrent_trials or num_slots)


def _in_words(config: ResourcesConfig) -> str:
    up, to_come = (
        ", ".join(
            (f"{number} x " if number > 1 else "") + f"{cpus:g} CPUs and {gpus:g} GPUs"
            for (cpus, gpus), number in Counter((_amount(node, "CPU"), _amount(node, "GPU")) for node in nodes).items()
        )
        for nodes in (_nodes(), _nodes_to_come(config))
    )
    return f"{up}; resources.autoscaled: {to_come} more" if to_come else up


def _amount(node: dict[str, float], resource: str) -> float:
    return float(node.get(resource, 0.0))


def _with_folder(folder: str) -> str:
    return os.pathsep.join(part for part in (folder, os.environ.get("PYTHONPATH", "")) if part)
