"""PostgreSQL from the system's own package, on a port of this machine, for one test: nothing of it is left."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.ray_head import free_port

UNPRIVILEGED = "postgres"  # the package makes this user: PostgreSQL refuses to run as root


@dataclass(frozen=True)
class PostgresqlServer:
    """A server that can be ended and begun again, with what it holds."""

    programs: Path
    data: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://keeper@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.data}"
        log = str(self.data / "log")
        _run(self.programs / "pg_ctl", "start", "-w", "-D", str(self.data), "-l", log, "-o", options)

    def stop(self) -> None:
        """At once, as a machine that goes: connections are cut."""
        _run(self.programs / "pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.data))


@contextlib.contextmanager
def running_postgresql() -> Iterator[PostgresqlServer]:
    """A new, empty server; without the package (Debian: postgresql) the test is skipped."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: initdb is neither on the path nor in /usr/lib/postgresql")
    with tempfile.TemporaryDirectory(prefix="kd-pg-") as folder:  # short: its socket lies there
        root = Path(folder)
        data = root / "data"
        if os.geteuid() == 0:
            shutil.chown(root, UNPRIVILEGED)
        _run(programs / "initdb", "-A", "trust", "-U", "keeper", "-N", "-D", str(data))
        server = PostgresqlServer(programs, data, free_port())
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):  # a test may have ended it
                server.stop()


def _programs() -> Path | None:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (str(installed[-1]) if installed else None)
    return None if found is None else Path(found).resolve().parent


def _run(program: Path, *arguments: str) -> None:
    command: Sequence[str] = [str(program), *arguments]
    if os.geteuid() == 0:
        command = ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups", *command]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")
