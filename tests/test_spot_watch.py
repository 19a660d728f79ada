"""The command of cluster.yaml by which a worker waits for its spot notice, among programs that note their words."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.spot_notice import ADDRESS, NOTICE_PATH, watching_command
from tests.test_cluster_yaml import bash, program

# Before what the command gives to Python: three nodes, of which one that was at this address is gone.
WITHOUT_RAY = """
import sys, types
nodes = [(5, '10.0.0.7', False), (6, '10.0.0.6', True), (7, '10.0.0.7', True)]
told = [dict(NodeID=number, NodeManagerAddress=address, Alive=alive) for number, address, alive in nodes]
sys.modules['ray'] = types.SimpleNamespace(init=lambda *_, **__: None, nodes=lambda: told)
"""


@pytest.fixture
def spot_watch(tmp_path: Path) -> Iterator[str]:
    """The command by which a worker waits for its notice, with all its files in the test's folder."""
    program(tmp_path, "sleep", "exec /bin/sleep .01")
    program(tmp_path, "ray", 'echo "$RAY_AUTH_MODE $@" >> $HOME/drained; test $(wc -l < $HOME/drained) = 2')
    program(tmp_path, "hostname", "echo 10.0.0.7 172.17.0.1")
    program(tmp_path, "python", f'exec {sys.executable} -c "{WITHOUT_RAY}$2" "$3" "$4"')
    yield watching_command(tmp_path)
    (tmp_path / "taken").touch()  # whatever became of the test, the loop ends


def wait_until(is_reached: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 60.0
    while not is_reached():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def test_worker_that_aws_takes_is_drained_by_its_own_loop_of_which_there_is_one(
    spot_watch: str, tmp_path: Path
) -> None:
    """Asked in vain, the address of AWS answers 404, which is curl's 22; Ray's head may be busy for once."""
    asked, taken, drained = tmp_path / "asked", tmp_path / "taken", tmp_path / "drained"
    program(
        tmp_path,
        "curl",
        'case "$*" in *" PUT "*) echo abc;; *) echo "$@" >> $HOME/asked; test -e $HOME/taken || exit 22;; esac',
    )
    assert bash(spot_watch, tmp_path).returncode == 0  # it does not wait for the end of the loop
    wait_until(lambda: asked.exists() and len(asked.read_text(encoding="utf-8").splitlines()) >= 3)
    again = bash(spot_watch.removesuffix("&"), tmp_path)
    assert again.returncode == 1
    assert not drained.exists()
    taken.touch()
    wait_until(lambda: drained.exists() and len(drained.read_text(encoding="utf-8").splitlines()) == 2)
    said = f"-sf -m 5 -H X-aws-ec2-metadata-token: abc http://{ADDRESS}{NOTICE_PATH}"
    assert set(asked.read_text(encoding="utf-8").splitlines()) == {said}
    options = "--node-id=7 --reason=DRAIN_NODE_REASON_PREEMPTION --reason-message=spot --deadline-remaining-seconds=110"
    said = f"token drain-node {options}"
    assert drained.read_text(encoding="utf-8").splitlines() == [said, said]


def test_options_of_the_drain_are_those_of_this_ray() -> None:
    """Ray promises nothing about that command: another version may have others."""
    shown = subprocess.run(
        [sys.executable, "-m", "ray.scripts.scripts", "drain-node", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for option in (
        "--reason ",
        "--reason-message",
        "--deadline-remaining-seconds",
        "DRAIN_NODE_REASON_PREEMPTION",
        "--node-id",
    ):
        assert option in shown.stdout
