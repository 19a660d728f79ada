"""Quarters of a GPU, planned shares and what no node could serve, on nodes whose GPUs Ray counts and nobody has."""

import contextlib
import logging
import shutil
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from analysis.results import read_study
from study import store as stores
from study.config import read_config
from tests.end_to_end import placed_losses
from tests.end_to_end.conftest import QUICK_PROFILE, kd_study, overrides
from tests.end_to_end.placed_losses import NODE, PLACES, Place, places
from tests.end_to_end.ray_head import insider, running_node, written_token
from trainables.measurements import CoTenancy, ProfilesRecord, Together
from trainables.records import TrialRecord, TrialState
from trainables.study_paths import StudyPaths
from trainables.whole_files import read_record, write_record

pytestmark = pytest.mark.slow  # three nodes, and a dozen processes that load torch: two minutes

logger = logging.getLogger(__name__)

GPUS, CPUS = {"small": 1, "large": 2}, {"small": 2, "large": 4}
# How many images a second so many processes train in all: made up, so that the shares are 1/4, 1/2 and 1.
TOGETHER = {1: (100.0, 200.0, 300.0), 2: (100.0, 200.0, 201.0), 4: (100.0, 101.0)}
PLANNED = {1: 0.25, 2: 0.5, 4: 1.0}

STUDY = (
    """
name = "requests"
dataset = { num_validation_images = 100, max_train_images = 600 }
teacher = { model = { name = "cnn", options = { width = 2 } }, training = { epochs = 1 } }
search = { num_trials = 6, sampler = "random", balanced = ["width"] }
verify = { max_students = 0 }

[space]
name = "cnn_distillation"

[space.options]
widths = [1, 2, 4]
batch_sizes = [64]
epochs = 2
methods = ["placed_losses:slow"]
"""
    + QUICK_PROFILE
)


@dataclass(frozen=True)
class Nodes:
    """A head without anything, a node with one GPU and one with two; and a folder for what runs on them."""

    address: str
    token: Path
    folder: Path

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = kd_study(*arguments, "--address", self.address)
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=400, env=insider(self.token)
        )

    @property
    def study_toml(self) -> Path:
        return self.folder / "own" / "study.toml"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("requests")
    (folder / "own").mkdir()
    shutil.copy(placed_losses.__file__, folder / "own")
    (folder / "own" / "study.toml").write_text(STUDY, encoding="utf-8")
    with (
        tempfile.TemporaryDirectory(prefix="kd-", ignore_cleanup_errors=True) as short,
        contextlib.ExitStack() as ends,
    ):
        root = Path(short)
        token = written_token(root)
        head = ("--head", "--port=0", "--num-cpus=0", "--include-dashboard=false")
        address = ends.enter_context(running_node(root / "h", token, *head))
        for name, num_gpus in GPUS.items():
            has = (f"--num-cpus={CPUS[name]}", f"--num-gpus={num_gpus}")
            settings = {PLACES: str(folder / "places"), NODE: name, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}
            ends.enter_context(running_node(root / name, token, f"--address={address}", *has, settings=settings))
        yield Nodes(address, token, folder)


@pytest.fixture(scope="module")
def quarters(nodes: Nodes) -> Path:
    """The directory of a study whose trials have a quarter of a GPU each."""
    directory = nodes.folder / "quarters"
    ended = nodes.run(
        "run", str(nodes.study_toml), "--dir", str(directory), *overrides(["resources.gpus_per_trial=0.25"])
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    logger.info("gpus_per_trial = 0.25:\n%s", ended.stdout)
    return directory


def test_quarters_fit_into_what_the_nodes_have(nodes: Nodes, quarters: Path) -> None:
    placed = placed_trials(nodes, quarters)
    assert {place.resources["GPU"] for _, place in placed} == {0.25}
    assert_fits(placed)


def test_planned_shares_are_each_networks_own_and_ray_gives_them(nodes: Nodes, quarters: Path) -> None:
    """The profile is the other study's, with made-up speeds of several processes on a GPU."""
    config = read_config(str(nodes.study_toml), ["resources.gpus_per_trial='planned'"])
    paths = StudyPaths(nodes.folder / "planned")
    measured = read_record(StudyPaths(quarters).profiles_json, ProfilesRecord)
    assert measured is not None
    with stores.create(paths.root, config, import_folder=str(nodes.study_toml.parent)) as store:
        write_record(store.paths.profiles_json, with_speeds(measured))
    ended = nodes.run("resume", str(paths.root))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    logger.info('gpus_per_trial = "planned":\n%s', ended.stdout)
    placed = placed_trials(nodes, paths.root)
    for trial, place in placed:
        assert place.resources["GPU"] == PLANNED[int(str(trial.parameters["width"]))]
    assert_fits(placed)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (["resources.cpus_per_trial=5"], "a trial asks for 5 CPUs and 0.25 GPUs, and no node has as much"),
        (
            ["resources.cpus_per_trial=8", "resources.gpus_per_trial=1.0"],
            "a trial asks for 8 CPUs and 1 GPUs, and no node has as much",
        ),
    ],
)
def test_what_no_node_could_serve_is_refused_with_what_the_nodes_have(
    nodes: Nodes, tmp_path: Path, fields: list[str], said: str
) -> None:
    ended = nodes.run("run", str(nodes.study_toml), "--dir", str(tmp_path / "study"), *overrides(fields))
    logger.info("%s: exit code %d: %s", fields, ended.returncode, ended.stderr.strip())
    assert ended.returncode == 2
    assert said in ended.stderr
    for node in ("0 CPUs and 0 GPUs", "2 CPUs and 1 GPUs", "4 CPUs and 2 GPUs"):  # in Ray's order, which is none
        assert node in ended.stderr.partition("there are: ")[2]
    assert not (tmp_path / "study").exists()


def with_speeds(measured: ProfilesRecord) -> ProfilesRecord:
    students = {}
    for key, profile in measured.students.items():
        speeds = TOGETHER[int(str(profile.model.options["width"]))]
        together = tuple(Together(num_processes=2**place, images_per_s=speed) for place, speed in enumerate(speeds))
        known = {
            "co_tenancy": CoTenancy(board_mib=23_028.0, context_mib=300.0, together=together),
            "peak_memory_mib": 50.0,
        }
        trainings = tuple(each.model_copy(update=known) for each in profile.trainings)
        students[key] = profile.model_copy(update={"trainings": trainings})
    return measured.model_copy(update={"students": students})


def placed_trials(nodes: Nodes, directory: Path) -> list[tuple[TrialRecord, Place]]:
    """Each trial of a finished study with its place; all are told."""
    trials = read_study(directory).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    told = places(nodes.folder / "places")
    placed = []
    for trial in trials:
        ((started, ended),) = trial.spans
        assert ended is not None
        (place,) = [each for each in told if each.number == trial.number and started <= each.at <= ended]
        placed.append((trial, place))
        about = (trial.number, trial.parameters["width"], place.node, place.resources, place.devices, place.pid)
        logger.info("trial %d, width %s: node %s, %s, CUDA_VISIBLE_DEVICES=%s, process %d", *about)
    return placed


def assert_fits(placed: list[tuple[TrialRecord, Place]]) -> None:
    """At no moment was more asked of a GPU, or of a node's CPUs, than there is."""
    for moment in (place.at for _, place in placed):
        shares, cpus = defaultdict[tuple[str, str], float](float), Counter[str]()
        for trial, place in placed:
            ((_, ended),) = trial.spans
            assert ended is not None
            if place.at <= moment < ended:
                assert place.devices in {str(device) for device in range(GPUS[place.node])}
                shares[place.node, place.devices] += place.resources["GPU"]
                cpus[place.node] += 1
        assert all(share <= 1.0 for share in shares.values())
        assert all(number <= CPUS[node] for node, number in cpus.items())
