"""A study on several hosts, one of which is cut off, killed or drained: nothing is lost, and nothing is there twice."""

import logging
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.hosts import Host, why_none
from tests.end_to_end.hosts_cluster import (
    LONGEST_S,
    NUM_EPOCHS,
    NUM_TRIALS,
    SECONDS_AN_EPOCH,
    HostsCluster,
    RunningStudy,
    health_check,
    hosts_cluster,
    running_study,
)
from tests.end_to_end.placed_losses import Place
from tests.end_to_end.ray_head import insider, ray_command
from tests.end_to_end.spot_notice import told_on, watching_command
from trainables.records import TrialRecord, TrialState

pytestmark = pytest.mark.slow  # hosts that are given up after half a minute, and processes that load torch

logger = logging.getLogger(__name__)

DRAINING = """
import sys, ray
ray.init(sys.argv[1], logging_level="error", log_to_driver=False)
print(*ray._private.state.state.get_draining_nodes())
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[HostsCluster]:
    if (reason := why_none()) is not None:
        pytest.skip(reason)
    with hosts_cluster(2) as made:
        yield made


@pytest.fixture
def study(cluster: HostsCluster, tmp_path: Path) -> Iterator[RunningStudy]:
    """One on two workers, with a trial on each in the middle of its training, and another one that is finished."""
    first, second = cluster.others
    with cluster.worker(first), cluster.worker(second), running_study(cluster, tmp_path) as running:
        running.wait_until(lambda: bool(complete(running)) and in_the_middle(running, second) is not None)
        yield running


def test_study_goes_on_without_a_host_that_is_cut_off_and_its_late_process_spoils_nothing(
    study: RunningStudy,
) -> None:
    _, host = study.cluster.others
    number, place = begun_on(study, host)
    before = complete(study)
    process = psutil.Process(place.pid)
    process.suspend()  # it comes late: its epoch ends when the trial has ended elsewhere
    host.cut_off()
    cut_at = time.time()
    study.wait_until(lambda: bool(study.trials()[number].failures))
    given_up_s = time.time() - cut_at
    logger.info("cut off in trial %d; given up after %.1f s, %s", number, given_up_s, settings_in_words())
    assert given_up_s < longest_silence_s() + 5.0
    study.wait_until(lambda: study.trials()[number].state is TrialState.COMPLETE)
    weights = study.paths.student_weights(number).read_bytes()
    logger.info("trial %d has ended elsewhere %.1f s after the cut", number, time.time() - cut_at)
    process.resume()
    still = [each.name() for each in host.processes()]
    logger.info("on the host that is cut off still run: %s", still)
    time.sleep(2 * SECONDS_AN_EPOCH)
    assert not study.paths.checkpoint(number).exists()
    host.heal()
    healed_at = time.time()
    study.end()
    while host.processes():
        assert time.time() - healed_at < LONGEST_S, host.processes()
        time.sleep(0.1)
    logger.info("healed; its processes have ended by themselves %.1f s later", time.time() - healed_at)
    assert study.paths.student_weights(number).read_bytes() == weights
    assert_whole(study, before, failed=[number])


def test_study_goes_on_without_a_host_whose_processes_are_killed(study: RunningStudy) -> None:
    _, host = study.cluster.others
    number, _ = begun_on(study, host)
    before = complete(study)
    host.kill()
    killed_at = time.time()
    study.wait_until(lambda: bool(study.trials()[number].failures))
    logger.info("killed in trial %d; given up after %.1f s", number, time.time() - killed_at)
    study.end()
    assert_whole(study, before, failed=[number])


def test_host_whose_spot_notice_comes_is_drained_and_used_until_it_is_gone(study: RunningStudy, tmp_path: Path) -> None:
    """By the command of cluster.yaml, from an address of AWS that answers here.

    Ray gives a drained node no new process; Tune begins trials in those that it has, and each epoch is kept. That it is
    gone counts as no failure where Ray hears of the node before it misses the process, which is chance.
    """
    _, host = study.cluster.others
    _, place = begun_on(study, host)
    before = complete(study)
    notice, said = tmp_path / "notice", tmp_path / "kd-study-spot.log"
    with told_on(host, notice):
        watch_for_notice(study.cluster, host, tmp_path)
        time.sleep(1.0)  # it asks in vain
        assert said.read_text(encoding="utf-8") == ""
        notice.touch()
        told_at = time.time()
        study.wait_until(lambda: is_drained(tmp_path))
        logger.info("drained %.1f s after the notice", time.time() - told_at)
    assert draining(study.cluster) == [place.node_id]
    drained_at = time.time()
    study.wait_until(lambda: (found := in_the_middle(study, host)) is not None and found[1].at > drained_at)
    number, place = begun_on(study, host)
    host.kill()
    told = (number, place.at - drained_at, time.time() - drained_at, len(study.trials()[number].epochs))
    logger.info("trial %d begun there %.1f s after the drain; its host killed %.1f s after it, %d epochs told", *told)
    study.end()
    (again,) = [each for each in study.places() if each.number == number and each.at > place.at]
    logger.info("trial %d begun again on %s %.1f s after the drain", number, again.node, again.at - drained_at)
    assert again.node != host.address
    failures = study.trials()[number].failures
    assert all("ActorUnavailableError" in each for each in failures)  # the process was missed first
    assert_whole(study, before, failed=[number] * len(failures))


def watch_for_notice(cluster: HostsCluster, host: Host, folder: Path) -> None:
    """What cluster.yaml runs on a worker, which returns at once; hosts here share the file that says where Ray is."""
    for name, command in (("ray", ray_command()), ("python", [sys.executable])):
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
        (folder / name).chmod(0o755)
    inside = insider(cluster.token)
    own = {"RAY_ADDRESS": cluster.address, "PATH": f"{folder}:{inside['PATH']}"}
    subprocess.run(
        [*host.within, "bash", "-c", watching_command(folder)], check=True, env={**inside, **own}, timeout=10
    )


def is_drained(folder: Path) -> bool:
    """Whether the command has come to its end, which it does once Ray's head has taken the word."""
    tried = ["flock", "-n", str(folder / "kd-study-spot.lock"), "true"]
    return subprocess.run(tried, check=False).returncode == 0


def draining(cluster: HostsCluster) -> list[str]:
    """The nodes that the head counts as gone before long."""
    command = [*cluster.head.within, sys.executable, "-W", "ignore", "-c", DRAINING, cluster.address]
    asked = subprocess.run(
        command, check=True, env=insider(cluster.token), stdout=subprocess.PIPE, text=True, timeout=100
    )
    return asked.stdout.split()


def complete(study: RunningStudy) -> dict[int, TrialRecord]:
    return {number: trial for number, trial in study.trials().items() if trial.state is TrialState.COMPLETE}


def begun_on(study: RunningStudy, host: Host) -> tuple[int, Place]:
    found = in_the_middle(study, host)
    assert found is not None
    return found


def in_the_middle(study: RunningStudy, host: Host) -> tuple[int, Place] | None:
    """The trial that was begun there last, where it has told an epoch and is not at its end."""
    there = [place for place in study.places() if place.node == host.address]
    trial = study.trials().get(there[-1].number) if there else None
    if trial is None or trial.state is not TrialState.RUNNING or not 1 <= len(trial.epochs) < NUM_EPOCHS - 1:
        return None
    return trial.number, there[-1]


def assert_whole(study: RunningStudy, before: dict[int, TrialRecord], failed: list[int]) -> None:
    after = study.trials()
    for trial in after.values():
        where = [place.node for place in study.places() if place.number == trial.number]
        logger.info("trial %d: %s, on %s, failures %s", trial.number, trial.state, " then ".join(where), trial.failures)
    assert [trial.state for trial in after.values()] == [TrialState.COMPLETE] * NUM_TRIALS
    assert {number: after[number] for number in before} == before
    assert [number for number, trial in after.items() if trial.failures] == failed
    for trial in after.values():
        assert [epoch["epoch"] for epoch in trial.epochs] == list(range(1, NUM_EPOCHS + 1))


def longest_silence_s() -> float:
    """As Ray's head counts: so many answers not in time, a period between them and one before."""
    period, timeout, number = (
        int(health_check()[f"RAY_health_check_{name}"]) for name in ("period_ms", "timeout_ms", "failure_threshold")
    )
    return number * (period + timeout) / 1000


def settings_in_words() -> str:
    return ", ".join(f"{name.removeprefix('RAY_health_check_')} {value}" for name, value in health_check().items())
