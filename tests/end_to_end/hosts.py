"""Several hosts on one machine: network namespaces at a switch of their own, whose cables can be pulled."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psutil

LONGEST_END_S = 20.0


@dataclass(frozen=True)
class Host:
    """One of them; its processes share this machine's files, users and memory with all others.

    `name` is its namespace's, `switch` the switch's, and `port` the cable's end there.
    """

    name: str
    address: str
    switch: str
    port: str

    @property
    def within(self) -> list[str]:
        """Before a command: it then runs here, in the same process."""
        return ["ip", "netns", "exec", self.name]

    def cut_off(self) -> None:
        """Pull the cable: from now on there is silence, and no connection is closed."""
        _ip("-n", self.switch, "link", "set", self.port, "down")

    def heal(self) -> None:
        """Plug it in again."""
        _ip("-n", self.switch, "link", "set", self.port, "up")

    def processes(self) -> list[psutil.Process]:
        """All that run here."""
        found = []
        for number in _ip("netns", "pids", self.name).split():
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(int(number)))
        return found

    def kill(self) -> None:
        """End all that run here, and what they start meanwhile."""
        give_up_at = time.monotonic() + LONGEST_END_S
        while running := self.processes():
            if time.monotonic() > give_up_at:
                raise RuntimeError(f"these outlived their host {self.name}: {running}")
            for process in running:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(running, timeout=1.0)


def why_none() -> str | None:
    """What this machine lacks for hosts; None: nothing."""
    if shutil.which("ip") is None:
        return "the program ip (iproute2) is missing"
    try:
        with connected_hosts(2):
            return None
    except subprocess.CalledProcessError as error:
        return f"no right to make network namespaces ({str(error.stderr).strip()})"


@contextlib.contextmanager
def connected_hosts(number: int) -> Iterator[list[Host]]:
    """So many of them, which reach each other and nothing else; nothing of them is left at the end.

    Raises:
        subprocess.CalledProcessError: this user may not make them.
    """
    prefix = f"kd-{os.getpid()}"
    switch = f"{prefix}-switch"
    hosts = [Host(f"{prefix}-{place}", f"10.77.0.{place}", switch, f"port{place}") for place in range(1, number + 1)]
    with contextlib.ExitStack() as ends:
        _namespace(switch, ends)
        _ip("-n", switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", switch, "link", "set", "switch", "up")
        for host in hosts:
            _namespace(host.name, ends)
            ends.callback(host.kill)
            _plug_in(host, hosts)
        yield hosts


def _namespace(name: str, ends: contextlib.ExitStack) -> None:
    _ip("netns", "add", name)
    ends.callback(_ip, "netns", "delete", name)


def _plug_in(host: Host, hosts: Sequence[Host]) -> None:
    """A cable from the host to the switch.

    The neighbours' hardware addresses are written down: whoever sends to one that is cut off is not told that nobody is
    there, as in a cloud, whose network answers for machines that are gone.
    """
    inside = ("-n", host.name)
    end = ("peer", "name", "eth0", "address", _hardware_address(host), "netns", host.name)
    _ip("-n", host.switch, "link", "add", host.port, "type", "veth", *end)
    _ip("-n", host.switch, "link", "set", host.port, "master", "switch", "up")
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "address", "add", f"{host.address}/24", "dev", "eth0")
    _ip(*inside, "link", "set", "eth0", "up")
    _ip(*inside, "route", "add", "default", "dev", "eth0")  # by which Ray finds out its own address
    for other in hosts:
        if other != host:
            known = (other.address, "lladdr", _hardware_address(other), "dev", "eth0", "nud", "permanent")
            _ip(*inside, "neighbour", "add", *known)


def _hardware_address(host: Host) -> str:
    return f"02:00:00:00:00:{int(host.address.rpartition('.')[2]):02x}"


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout
