"""The Ray cluster a study runs on: connected to or started, asked what it has, and told what a trial gets."""

import contextlib
import logging
import math
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import ray

from study.config import ResourcesConfig
from study.errors import StageFailedError
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


@dataclass(frozen=True, slots=True)
class TrialResources:
    """What one trial gets, and how many run at once."""

    cpus: int
    gpus: float
    num_slots: int


@dataclass(frozen=True, slots=True)
class WholeDevice:
    """What a task asks for that must be alone on a device: a GPU, or all CPUs of a node."""

    cpus: int
    gpus: float


@contextlib.contextmanager
def connect(resources: ResourcesConfig, address: str | None, import_folder: str | None) -> Iterator[str]:
    """A cluster for the time of a study: the one at `address`, or one of our own on this machine.

    Args:
        resources: of the configuration; its dashboard and object store are for a local cluster.
        address: of a running cluster ("auto", "host:port", "ray://..."); None starts a local one.
        import_folder: a folder that driver and workers must be able to import from; None: none.

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
            "object_store_memory": resources.object_store_mib * 2**20,
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


def task(function: Callable[..., Any], *, cpus: float, gpus: float, streams: bool = False) -> Any:
    """The function as a Ray task that takes so much of a node; call its `remote`.

    The share stands in the decorator and not in `.options`: only then does Ray end a GPU's worker with its task, and
    with it a CUDA context that would stay beside the trials, or on the wrong board.
    """
    options: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 3}
    if streams:
        options["num_returns"] = "streaming"
    return ray.remote(**options)(function)


def streamed(outputs: object) -> Iterator[Any]:
    """What a streaming task yields, as soon as it yields it.

    Raises:
        StageFailedError: the task ended with an exception.
    """
    for reference in cast("Iterator[ray.ObjectRef[Any]]", outputs):
        yield result_of(reference)


def result_of(reference: "ray.ObjectRef[Any]") -> Any:
    """A task's result.

    Raises:
        StageFailedError: the task ended with an exception, which is given as the cause.
    """
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise StageFailedError(f"{type(error.cause).__name__}: {error.cause}") from error


def trial_resources(config: ResourcesConfig) -> TrialResources:
    """What each trial gets on the connected cluster, and how many fit.

    Raises:
        ValueError: no node can serve one trial; the message names what the nodes have.
    """
    has_gpu = any(_amount(node, "GPU") > 0 for node in _nodes())
    gpus = config.gpus_per_trial if has_gpu else 0.0
    num_slots = sum(_fit(node, config.cpus_per_trial, gpus) for node in _nodes())
    if num_slots == 0:
        nodes = ", ".join(f"{_amount(node, 'CPU'):g} CPUs and {_amount(node, 'GPU'):g} GPUs" for node in _nodes())
        raise ValueError(
            f"resources: a trial asks for {config.cpus_per_trial} CPUs and {gpus:g} GPUs, and no node has as much "
            f"(there are: {nodes})"
        )
    return TrialResources(config.cpus_per_trial, gpus, min(num_slots, config.max_concurrent_trials or num_slots))


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
    largest = max(_nodes(), key=lambda node: (_amount(node, "GPU") > 0, _amount(node, "CPU")))
    if config.gpus_per_trial > 0 and _amount(largest, "GPU") >= 1:
        return WholeDevice(config.cpus_per_trial, 1.0)
    return WholeDevice(int(_amount(largest, "CPU")), 0.0)


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


def _amount(node: dict[str, float], resource: str) -> float:
    return float(node.get(resource, 0.0))


def _fit(node: dict[str, float], cpus: float, gpus: float) -> int:
    """How many trials a node holds; a trial's share of a GPU is of one GPU, never of two."""
    by_cpu = math.floor(_amount(node, "CPU") / cpus)
    return by_cpu if gpus == 0.0 else min(by_cpu, math.floor(_amount(node, "GPU")) * math.floor(1.0 / gpus))


def _with_folder(folder: str) -> str:
    return os.pathsep.join(part for part in (folder, os.environ.get("PYTHONPATH", "")) if part)
