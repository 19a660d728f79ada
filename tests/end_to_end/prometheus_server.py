"""A Prometheus on loopback that scrapes what Ray's own configuration names, and answers queries over its HTTP API."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.end_to_end.ray_head import free_port

BINARY = shutil.which("prometheus")
START_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Prometheus:
    """Where it answers."""

    address: str

    def answers(self, query: str, *, minutes: float = 10.0, step_s: int = 5) -> list[dict[str, Any]]:
        """The series of a range query over the last minutes, as Grafana asks it.

        Raises:
            RuntimeError: Prometheus refuses the query; the message is its own.
        """
        now = time.time()
        asked = {"query": query, "start": now - 60.0 * minutes, "end": now, "step": step_s}
        found: list[dict[str, Any]] = self._get(f"/api/v1/query_range?{urllib.parse.urlencode(asked)}")["result"]
        return found

    def label_values(self, label: str, series: str) -> list[str]:
        """What a dashboard's variable offers."""
        found: list[str] = self._get(f"/api/v1/label/{label}/values?{urllib.parse.urlencode({'match[]': series})}")
        return found

    def _get(self, path: str) -> Any:
        try:
            with urllib.request.urlopen(self.address + path, timeout=10) as answer:  # noqa: S310 - our own, on loopback
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.read().decode()}") from error


@contextlib.contextmanager
def running_prometheus(config: Path, folder: Path) -> Iterator[Prometheus]:
    """One with Ray's configuration file; nothing of it is left at the end."""
    port = free_port()
    command = [
        str(BINARY), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            server = Prometheus(f"http://127.0.0.1:{port}")
            _await_ready(server, process, folder / "prometheus.log")
            yield server
        finally:
            process.terminate()
            process.wait(timeout=30)


def _await_ready(server: Prometheus, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, RuntimeError):
            server.answers("vector(1)")
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"no Prometheus (exit code {process.poll()}):\n{log.read_text()}")
        time.sleep(0.2)
