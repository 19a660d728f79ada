"""A Ray cluster of several nodes on this machine, each of which may be killed at once and with all that runs on it."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from typing import Any, final

import psutil
import pytest
from ray.cluster_utils import Cluster

STORE = 100 * 2**20  # bytes of each node's object store
OWN_PROCESSES = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray::SPILL", "ray::RESTORE")


@final
class RayNodes:
    """A head without CPUs, to which drivers connect, and nodes on which the work is done."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.nodes: list[Any] = []

    @property
    def address(self) -> str:
        """Of the head, for `--address`."""
        return str(self._cluster.address)

    def add(self, num_cpus: int) -> None:
        """Another node; returns when the head knows it."""
        self.nodes.append(self._cluster.add_node(num_cpus=num_cpus, object_store_memory=STORE))

    def kill(self, node: Any) -> None:
        """SIGKILL of the node's own processes and of its workers, which would outlive it by a moment otherwise."""
        workers = _descendants(node)
        self.nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
        psutil.wait_procs(workers, timeout=10.0)

    def at_work(self, node: Any) -> dict[psutil.Process, str]:
        """The processes on the node that run a task or a trial, each with what it runs."""
        found = {}
        for process in _descendants(node):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                title = " ".join(process.cmdline()).strip()
                if title.startswith("ray::") and not title.startswith(OWN_PROCESSES):
                    found[process] = title.removeprefix("ray::")
        return found


@contextlib.contextmanager
def running_nodes(num_nodes: int, num_cpus: int) -> Iterator[RayNodes]:
    """So many nodes of so many CPUs, and their head; nothing of them is left at the end.

    Whether Ray asks for a token is as this process has it: Ray keeps that once for a process.
    """
    with (
        tempfile.TemporaryDirectory(prefix="kd-", ignore_cleanup_errors=True) as folder,  # a short path, for sockets
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("RAY_TMPDIR", folder)  # `--address auto` of others does not find it
        patch.setenv("RAY_raylet_start_wait_time_s", "120")  # a busy machine
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            nodes = RayNodes(cluster)
            for _ in range(num_nodes):
                nodes.add(num_cpus)
            yield nodes
        finally:
            cluster.shutdown()  # type: ignore[no-untyped-call]


def wait_for(what: Any, *, seconds: float, every_s: float = 0.05) -> Any:
    """What the function gives as soon as it gives something.

    Raises:
        TimeoutError: it has given nothing for so long.
    """
    give_up_at = time.monotonic() + seconds
    while not (given := what()):
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"nothing within {seconds:g} s")
        time.sleep(every_s)
    return given


def _descendants(node: Any) -> list[psutil.Process]:
    (raylet,) = node.all_processes["raylet"]
    try:
        return psutil.Process(raylet.process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
