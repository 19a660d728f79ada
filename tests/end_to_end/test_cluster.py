"""`--address auto` and `ray job submit`, on a Ray cluster of this machine that asks for a token."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from analysis.results import read_study
from study.status import read_status
from tests.end_to_end.conftest import SMALL, kd_study, overrides
from tests.end_to_end.ray_head import RayHead, insider, outsider, ray_command, running_head
from trainables.records import TrialState
from trainables.study_paths import StudyPaths

TINY = (*SMALL, "search.num_trials=2", "space.options.widths=[1]", "space.options.epochs=1", "verify.max_students=0")

# A driver that names its folder for the workers, as a study with modules of its own does.
DRIVER = """
import os
import own_losses
import ray
from study.cluster import connect
from study.resources import ResourcesConfig
from study.tasks import result_of

with connect(ResourcesConfig(), "auto", os.getcwd()):
    print("a worker has", result_of(ray.remote(own_losses.squared_logits).remote()))
"""


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with running_head() as running:
        yield running


def test_study_runs_on_the_cluster_to_its_report(head: RayHead, tmp_path: Path) -> None:
    """The head has no CPU: what the trials run on is the worker's."""
    command = kd_study("run", "smoke", "--address", "auto", "--dir", str(tmp_path / "study"), *overrides(TINY))
    result = run(command, {**insider(head.token), "RAY_ADDRESS": head.address})
    assert result.returncode == 0, result.stderr
    assert f"dashboard at {head.jobs_address}" in result.stdout
    assert "2 students, 2 at once" in result.stdout
    assert_finished(tmp_path / "study", num_trials=2)


@pytest.mark.parametrize("given", [{}, {"RAY_AUTH_MODE": "token"}], ids=["not asked to give one", "none to give"])
def test_study_without_the_token_is_refused(head: RayHead, tmp_path: Path, given: dict[str, str]) -> None:
    command = kd_study("run", "smoke", "--address", "auto", "--dir", str(tmp_path / "study"), *overrides(TINY))
    hurried = {"RAY_gcs_server_port_wait_time_s": "1"}  # Ray tries for 20 s otherwise
    result = run(command, {**outsider(tmp_path), "RAY_ADDRESS": head.address, **hurried, **given})
    assert result.returncode == 2
    assert '--address "auto": the token that Ray asks for is missing or wrong' in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "study").exists()


def test_submitted_job_runs_a_study_to_its_report(head: RayHead, tmp_path: Path) -> None:
    fields = [*TINY, "search.num_trials=1"]
    study = kd_study("run", "smoke", "--address", "auto", "--dir", str(tmp_path / "study"), *overrides(fields))
    result = run(submit(head, *study), insider(head.token))
    assert result.returncode == 0, result.stdout
    assert "report: " in result.stdout
    assert_finished(tmp_path / "study", num_trials=1)


def test_job_without_the_token_is_refused(head: RayHead, tmp_path: Path) -> None:
    result = run(submit(head, "touch", str(tmp_path / "done")), outsider(tmp_path))
    assert result.returncode != 0
    assert "Unauthorized: Missing authentication token" in result.stderr
    assert not (tmp_path / "done").exists()


def test_job_with_a_working_directory_may_name_it_for_its_workers(head: RayHead, tmp_path: Path) -> None:
    (tmp_path / "own_losses.py").write_text('def squared_logits() -> str:\n    return "own losses"\n', encoding="utf-8")
    (tmp_path / "driver.py").write_text(DRIVER, encoding="utf-8")
    result = run(submit(head, sys.executable, "driver.py", working_dir=tmp_path), insider(head.token))
    assert result.returncode == 0, result.stdout
    assert "a worker has own losses" in result.stdout


def submit(head: RayHead, *entrypoint: str, working_dir: Path | None = None) -> list[str]:
    """`ray job submit`, which waits for the job's end and shows what it prints."""
    brought = [] if working_dir is None else ["--working-dir", str(working_dir)]
    return ray_command("job", "submit", "--address", head.jobs_address, *brought, "--", *entrypoint)


def run(command: list[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)


def assert_finished(directory: Path, *, num_trials: int) -> None:
    assert StudyPaths(directory).report_html.stat().st_size > 0
    assert read_status(directory).stage == "done"
    assert [trial.state for trial in read_study(directory).trials] == [TrialState.COMPLETE] * num_trials
