"""cluster.yaml as far as it can be held without AWS: Ray takes it, versions and resources are true, it is not open."""

import re
import subprocess
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from packaging.requirements import Requirement
from ray.autoscaler._private.util import prepare_config, validate_config

from study.cluster import ENVIRONMENT, trial_resources, whole_device
from study.config import preset_names, read_config

TOP = Path(__file__).parent.parent
TEXT = (TOP / "cluster.yaml").read_text(encoding="utf-8")

HEAD_PROGRAM = Path(ray.__file__).parent / "core" / "src" / "ray" / "gcs" / "gcs_server"

# vCPUs and GPUs; a GPU of g5 is an A10G of 24 GB. https://aws.amazon.com/ec2/instance-types/g5/ and .../m5/
INSTANCE_TYPES = {"m5.large": (2, 0), "g5.xlarge": (4, 1), "g5.2xlarge": (8, 1), "g5.12xlarge": (48, 4)}


@pytest.fixture
def cluster() -> dict[str, Any]:
    """The file as written, new for each test: Ray changes what it is given."""
    loaded: dict[str, Any] = yaml.safe_load(TEXT)
    return loaded


@pytest.fixture
def node_types(cluster: dict[str, Any]) -> dict[str, dict[str, Any]]:
    types: dict[str, dict[str, Any]] = cluster["available_node_types"]
    return types


@pytest.fixture
def pyproject() -> dict[str, Any]:
    return tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))


def commands(cluster: dict[str, Any], *kinds: str) -> list[str]:
    return list(chain.from_iterable(cluster[f"{kind}_commands"] for kind in kinds))


def all_commands(cluster: dict[str, Any]) -> list[str]:
    return commands(cluster, "setup", "head_setup", "head_start_ray", "worker_start_ray")


def starts(cluster: dict[str, Any], kind: str) -> str:
    """The one command that starts Ray on a node of that kind."""
    (found,) = (command for command in commands(cluster, f"{kind}_start_ray") if "ray start" in command)
    return found


def workers(node_types: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [node_type for name, node_type in node_types.items() if name != "head"]


def bash(command: str, home: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["/bin/bash", "-c", command],
        env={"HOME": str(home), "PATH": f"{home}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def program(folder: Path, name: str, body: str) -> None:
    """One of this name, before the system's own for `bash` with that home."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


def test_ray_accepts_it_without_aws(cluster: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TOP)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    prepared = prepare_config(cluster)
    validate_config(prepared)
    # What is not written here comes from Ray's own file, whose set-up installs a nightly Ray.
    assert "wheels/latest" not in str(prepared)
    assert prepared["setup_commands"] == yaml.safe_load(TEXT)["setup_commands"]


def test_every_command_is_one_that_bash_can_read(cluster: dict[str, Any]) -> None:
    for command in all_commands(cluster):
        read = subprocess.run(["/bin/bash", "-n"], input=command, capture_output=True, text=True, check=False)
        assert read.stderr == "", command


def test_every_node_has_the_versions_of_pyproject(cluster: dict[str, Any], pyproject: dict[str, Any]) -> None:
    (install,) = (command for command in commands(cluster, "setup") if "'ray[" in command)
    installed = {requirement.name: requirement for requirement in map(Requirement, re.findall(r"'([^']+)'", install))}
    asked = {found.name: found for found in map(Requirement, pyproject["project"]["dependencies"])}
    assert installed.keys() == {"ray", "torch", "torchvision"}
    for name in ("torch", "torchvision"):
        assert installed[name].specifier == asked[name].specifier
    (pin,) = installed["ray"].specifier
    assert pin.operator == "=="
    assert pin.version in asked["ray"].specifier
    assert "*" not in pin.version
    assert installed["ray"].extras == asked["ray"].extras
    assert metadata.version("ray") in asked["ray"].specifier  # the Ray that has just accepted the file


def test_nodes_promise_what_their_machines_have(node_types: dict[str, dict[str, Any]]) -> None:
    for node_type in workers(node_types):
        cpus, gpus = INSTANCE_TYPES[node_type["node_config"]["InstanceType"]]
        assert node_type["resources"] == {"CPU": cpus, "GPU": gpus}


def test_head_takes_no_trial_and_is_not_taken_away(
    cluster: dict[str, Any], node_types: dict[str, dict[str, Any]]
) -> None:
    assert cluster["head_node_type"] == "head"
    assert node_types["head"]["resources"] == {"CPU": 0, "GPU": 0}
    assert node_types["head"]["node_config"]["InstanceType"] in INSTANCE_TYPES
    assert "InstanceMarketOptions" not in node_types["head"]["node_config"]
    assert all(each["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"} for each in workers(node_types))


def test_no_worker_is_paid_for_that_no_trial_waits_for_and_no_mistake_costs_a_fleet(
    cluster: dict[str, Any], node_types: dict[str, dict[str, Any]]
) -> None:
    for each in workers(node_types):
        assert each["min_workers"] == 0
        assert each["max_workers"] <= cluster["max_workers"] <= 8
    assert 1 <= cluster["idle_timeout_minutes"] <= 30
    assert node_types["head"]["max_workers"] == 0
    assert cluster["provider"]["cache_stopped_nodes"] is False


@pytest.mark.parametrize("preset", [name for name in preset_names() if name.endswith("-a10g")])
def test_presets_for_it_know_the_workers_that_it_may_add(
    node_types: dict[str, dict[str, Any]], preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a study starts none may be up: what Ray shows is the head alone, which takes no trial."""
    (worker,) = workers(node_types)
    config = read_config(preset).resources
    assert config.autoscaled is not None
    assert config.autoscaled.amounts() == worker["resources"]
    assert config.autoscaled.max_nodes == worker["max_workers"]
    head = {"Alive": True, "Resources": node_types["head"]["resources"]}
    monkeypatch.setattr(ray, "nodes", lambda: [head])
    assert trial_resources(config).num_slots == 4 * worker["max_workers"]
    assert whole_device(config).gpus == 1.0


def test_the_image_is_pinned_once_by_the_reader_for_the_region_of_the_file(
    cluster: dict[str, Any], node_types: dict[str, dict[str, Any]]
) -> None:
    (image,) = {each["node_config"]["ImageId"] for each in node_types.values()}
    assert re.fullmatch(r"AMI-OF-YOUR-REGION|ami-[0-9a-f]{8,17}", image)
    assert f"aws ssm get-parameter --region {cluster['provider']['region']} " in TEXT
    (edit,) = re.findall(r'sed -i "s/(.*?)/\$AMI/" cluster.yaml', TEXT)
    assert len(re.findall(edit, TEXT, re.MULTILINE)) == (image == "AMI-OF-YOUR-REGION")


@pytest.mark.parametrize(
    ("driver", "said"),
    [("595.91.07", ""), ("580.65.06", ""), ("570.133.20", "driver 570: torch needs R580"), (None, "driver none")],
)
def test_an_image_without_a_driver_for_torch_fails_at_once(
    cluster: dict[str, Any], tmp_path: Path, driver: str | None, said: str
) -> None:
    program(tmp_path, "modinfo", "exit 1" if driver is None else f"echo {driver}")
    result = bash(commands(cluster, "setup")[0], tmp_path)
    assert result.returncode == (1 if said else 0)
    assert said in result.stdout


@pytest.mark.parametrize("kind", ["head", "worker"])
def test_ray_starts_with_a_token_on_every_node(cluster: dict[str, Any], kind: str) -> None:
    before, _, after = starts(cluster, kind).partition("ray start")
    assert re.search(r"(^|\s)export RAY_AUTH_MODE=token(;| [^;]*;)", before)
    assert "RAY_AUTH_MODE" not in after


def test_a_silent_worker_is_given_up_within_half_a_minute_by_settings_that_ray_reads(
    cluster: dict[str, Any], tmp_path: Path
) -> None:
    """Ray's head asks the next time a period after an answer, or after the time for one: so often it asks in vain."""
    program(tmp_path, "ray", "env > $HOME/given")
    assert bash(starts(cluster, "head"), tmp_path).returncode == 0
    given = dict(line.split("=", 1) for line in (tmp_path / "given").read_text(encoding="utf-8").splitlines())
    known = HEAD_PROGRAM.read_bytes()
    values = {}
    for name in ("initial_delay_ms", "period_ms", "timeout_ms", "failure_threshold"):
        values[name] = int(given[f"RAY_health_check_{name}"])
        assert f"RAY_health_check_{name}".encode() in known
    silent_ms = values["failure_threshold"] * (values["period_ms"] + values["timeout_ms"])
    assert silent_ms <= 32_000
    assert values["failure_threshold"] >= 3  # one late answer, and one more, is no death
    assert "RAY_health_check" not in " ".join(commands(cluster, "worker_start_ray"))


def test_the_token_is_one_file_on_every_node_and_stands_nowhere_else(cluster: dict[str, Any]) -> None:
    """Ray's default path; a token in a command would be in process lists and logs."""
    path = "~/.ray/auth_token"
    assert cluster["file_mounts"][path] == path
    for command in all_commands(cluster):
        assert not re.search(r"RAY_AUTH_MODE=(?!token\b)|RAY_AUTH_TOKEN", command), command


def test_a_shell_on_a_node_gives_the_token_and_is_set_up_once(cluster: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    token = tmp_path / ".ray" / "auth_token"
    token.touch(mode=0o644)
    (set_up,) = (command for command in commands(cluster, "setup") if ".bashrc" in command)
    for _ in range(2):
        assert bash(set_up, tmp_path).returncode == 0
    assert (tmp_path / ".bashrc").read_text(encoding="utf-8").count("export") == 1
    assert token.stat().st_mode & 0o777 == 0o600
    shown = bash("source ~/.bashrc; echo $RAY_AUTH_MODE; echo $PATH; env", tmp_path).stdout.splitlines()
    assert shown[0] == "token"
    assert shown[1].startswith(f"{tmp_path}/kd-study-env/bin:")
    # A local Ray gets these from us; the nodes of a cluster have started before us.
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"):
        assert f"{name}={ENVIRONMENT[name]}" in shown


def test_dashboard_and_jobs_answer_on_loopback_alone(cluster: dict[str, Any]) -> None:
    assert "--dashboard-host=127.0.0.1" in starts(cluster, "head").split()
    for command in all_commands(cluster):
        assert re.findall(r"--dashboard-host(?!=127\.0\.0\.1\b)", command) == []


def test_nodes_get_the_project_and_none_of_what_lies_around_it(
    cluster: dict[str, Any], pyproject: dict[str, Any]
) -> None:
    packages = {pattern.rstrip("*") for pattern in pyproject["tool"]["setuptools"]["packages"]["find"]["include"]}
    given = {remote: local for remote, local in cluster["file_mounts"].items() if remote.startswith("~/kd-study/")}
    assert set(given.values()) == packages | {"pyproject.toml", pyproject["project"]["readme"]}
    for remote, local in given.items():
        assert remote == f"~/kd-study/{local}"
        assert (TOP / local).exists()


def mount(cluster: dict[str, Any]) -> str:
    """The one command that mounts what all nodes share."""
    (found,) = (command for command in all_commands(cluster) if "sudo mount" in command)
    return found


def test_studies_lie_on_storage_that_all_nodes_share_and_that_outlives_them(cluster: dict[str, Any]) -> None:
    """EFS by its name in the region of the machines, with Amazon's options for it, under one path on every node.

    https://docs.aws.amazon.com/efs/latest/ug/mounting-fs-nfs-mount-settings.html
    """
    assert mount(cluster) in commands(cluster, "setup")
    (options, server, path) = re.findall(r"-o (\S+) (\S+):/ (\S+);", mount(cluster))[0]
    advised = {"nfsvers=4.1", "rsize=1048576", "wsize=1048576", "hard", "timeo=600", "retrans=2", "noresvport"}
    assert set(options.split(",")) == advised
    region = cluster["provider"]["region"]
    assert re.fullmatch(rf"(EFS-OF-YOUR-REGION|fs-[0-9a-f]{{8,17}})\.efs\.{region}\.amazonaws\.com", server)
    assert path == "~/studies"
    if "EFS-OF-YOUR-REGION." in TEXT:
        (edit,) = re.findall(r'sed -i "s/(EFS.*?)/fs-', TEXT)
        assert TEXT.replace("s/" + edit, "").count(edit) == 1


@pytest.mark.parametrize(("is_mounted", "asked"), [(False, 1), (True, 0)])
def test_what_is_mounted_is_not_mounted_twice_and_a_node_without_it_fails(
    cluster: dict[str, Any], tmp_path: Path, is_mounted: bool, asked: int
) -> None:
    program(tmp_path, "mountpoint", f"exit {0 if is_mounted else 1}")
    program(tmp_path, "sudo", 'echo "$@" >> $HOME/asked')
    assert bash(mount(cluster), tmp_path).returncode == 0
    lines = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in lines] == ["mount"] * asked + ["chown"]
    assert (tmp_path / "studies").is_dir()
    program(tmp_path, "sudo", "exit 32")
    assert bash(mount(cluster), tmp_path).returncode == 32


@pytest.mark.parametrize(("switch", "told"), [("off", ["quit"]), ("on", ["quit", "-d"])])
def test_one_word_switches_mps_on_workers(
    cluster: dict[str, Any], tmp_path: Path, switch: str, told: list[str]
) -> None:
    (line,) = (command for command in commands(cluster, "worker_start_ray") if command.startswith("mps="))
    assert line.startswith("mps=off;")  # as the file comes
    program(tmp_path, "nvidia-cuda-mps-control", 'if test "$1"; then echo "$1"; else cat; fi >> $HOME/told')
    assert bash(line.replace("mps=off", f"mps={switch}"), tmp_path).returncode == 0
    assert (tmp_path / "told").read_text(encoding="utf-8").split() == told
