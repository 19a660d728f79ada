"""A Ray cluster on this machine as cluster.yaml makes one: a head without CPUs, one worker, and a token to enter."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.end_to_end.conftest import environment

START_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class RayHead:
    """Where a head answers, and the file that holds its token."""

    address: str
    jobs_address: str
    token: Path


def ray_command(*arguments: str) -> list[str]:
    """Ray's command line, run by this very interpreter."""
    return [sys.executable, "-c", "from ray.scripts.scripts import main; main()", *arguments]


def outsider(home: Path) -> dict[str, str]:
    """Environment of someone who has no token: neither in a variable nor in a home of their own."""
    inherited = {name: value for name, value in environment().items() if not name.startswith("RAY_")}
    return {**inherited, "HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0"}


def insider(token: Path) -> dict[str, str]:
    """Environment of someone who has the token, and gives it."""
    return {**outsider(token.parent), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}


@contextlib.contextmanager
def running_head() -> Iterator[RayHead]:
    """A head and its worker, each in a process group of its own; nothing of them is left at the end.

    The folder's path is short: Ray makes sockets in it, and a socket's path may have 107 characters.
    """
    with (
        tempfile.TemporaryDirectory(prefix="kd-", ignore_cleanup_errors=True) as folder,
        contextlib.ExitStack() as ends,
    ):
        root = Path(folder)
        token = written_token(root)
        dashboard_port = free_port()
        shown = (f"--dashboard-port={dashboard_port}", f"--ray-client-server-port={free_port()}")
        head = ends.enter_context(running_node(root / "h", token, "--head", "--port=0", "--num-cpus=0", *shown))
        ends.enter_context(running_node(root / "w", token, f"--address={head}", "--num-cpus=2"))
        yield RayHead(head, f"http://127.0.0.1:{dashboard_port}", token)


def written_token(folder: Path) -> Path:
    token = folder / "token"
    token.write_text("0123456789abcdef" * 4, encoding="utf-8")
    return token


@contextlib.contextmanager
def running_node(
    folder: Path, token: Path, *options: str, within: Sequence[str] = (), settings: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A node that runs; yields its head's address.

    Args:
        folder: that it makes for itself.
        token: of the cluster.
        options: of `ray start`.
        within: a command that runs the command after it elsewhere, in the same process.
        settings: of Ray, as environment variables.
    """
    folder.mkdir()
    own = (f"--temp-dir={folder}", "--object-store-memory=100000000", f"--dashboard-agent-listen-port={free_port()}")
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [*within, *ray_command("start", "--block", "--disable-usage-stats", *own, *options)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**insider(token), "RAY_raylet_start_wait_time_s": f"{START_TIMEOUT_S:.0f}", **(settings or {})},
            start_new_session=True,
        )
        try:
            yield _address(process, folder)
        finally:
            _end(process)


def _address(process: "subprocess.Popen[bytes]", folder: Path) -> str:
    """The head's address, which Ray writes when all of a node runs."""
    written = folder / "ray_current_cluster"
    deadline = time.monotonic() + START_TIMEOUT_S
    while not written.exists() or not written.read_text(encoding="utf-8"):
        if process.poll() is not None or time.monotonic() > deadline:
            output = (folder / "output").read_text(encoding="utf-8")
            raise RuntimeError(f"no Ray node (exit code {process.poll()}):\n{output}")
        time.sleep(0.1)
    return written.read_text(encoding="utf-8")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a node at once: asked politely, Ray drains for 30 s. Its workers have process groups of their own."""
    descendants = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for descendant in descendants:
        with contextlib.suppress(psutil.NoSuchProcess):
            descendant.kill()
    process.wait()
    _, alive = psutil.wait_procs(descendants, timeout=10.0)
    if alive:
        raise RuntimeError(f"these outlived their Ray node: {alive}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
