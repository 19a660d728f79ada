"""A Ray cluster whose head and workers are hosts of their own, and a study on it, looked at while it runs."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from analysis.stored_trials import stored_trials
from tests.end_to_end import placed_losses
from tests.end_to_end.conftest import QUICK_PROFILE, kd_study, overrides
from tests.end_to_end.hosts import Host, connected_hosts
from tests.end_to_end.placed_losses import NODE, PLACES, Place, places
from tests.end_to_end.ray_head import insider, running_node, written_token
from trainables.records import StudyRecord, TrialRecord
from trainables.study_paths import StudyPaths
from trainables.whole_files import read_record

TOP = Path(__file__).parent.parent.parent
LONGEST_S = 400.0
NUM_TRIALS, NUM_EPOCHS = 12, 4
NUM_IMAGES, BATCH_SIZE = 600, 60
SECONDS_AN_EPOCH = NUM_IMAGES / BATCH_SIZE * placed_losses.SECONDS_A_STEP

STUDY = (
    f"""
name = "hosts"
dataset = {{ num_validation_images = 100, max_train_images = {NUM_IMAGES} }}
teacher = {{ model = {{ name = "cnn", options = {{ width = 2 }} }}, training = {{ epochs = 1 }} }}
search = {{ num_trials = {NUM_TRIALS}, sampler = "random" }}
verify = {{ max_students = 0 }}

[space]
name = "cnn_distillation"

[space.options]
widths = [1]
batch_sizes = [{BATCH_SIZE}]
epochs = {NUM_EPOCHS}
methods = ["placed_losses:slow"]
"""
    + QUICK_PROFILE
)


@dataclass(frozen=True)
class HostsCluster:
    """A head, and hosts that may become its workers."""

    head: Host
    others: Sequence[Host]
    address: str
    token: Path
    folder: Path

    @contextlib.contextmanager
    def worker(self, host: Host) -> Iterator[None]:
        """One CPU of the host's joins the cluster; all that it has left is ended."""
        place = Path(tempfile.mkdtemp(prefix="w-", dir=self.folder)) / "ray"
        options = (f"--address={self.address}", f"--node-ip-address={host.address}", "--num-cpus=1")
        settings = {PLACES: str(self.folder / "places"), NODE: host.address}
        try:
            with running_node(place, self.token, *options, within=host.within, settings=settings):
                yield
        finally:
            host.heal()
            host.kill()


@dataclass(frozen=True)
class RunningStudy:
    """A study whose driver runs on the head's host."""

    cluster: HostsCluster
    paths: StudyPaths
    driver: "subprocess.Popen[str]"
    began_at: float

    def places(self) -> list[Place]:
        """Where its trials were begun, so far."""
        return [place for place in places(self.cluster.folder / "places") if place.at >= self.began_at]

    def trials(self) -> dict[int, TrialRecord]:
        """As its storage has them now."""
        record = read_record(self.paths.study_json, StudyRecord)
        if record is None or not self.paths.journal.exists():
            return {}
        return {trial.number: trial for trial in stored_trials(self.paths, record)[0]}

    def wait_until(self, is_reached: Callable[[], bool]) -> None:
        """Look again and again.

        Raises:
            AssertionError: the study has ended before, or it takes too long.
        """
        give_up_at = time.monotonic() + LONGEST_S
        while not is_reached():
            assert self.driver.poll() is None, self.driver.communicate()
            assert time.monotonic() < give_up_at
            time.sleep(0.1)

    def end(self) -> str:
        """Wait for its end; returns what it printed."""
        printed, errors = self.driver.communicate(timeout=LONGEST_S)
        assert self.driver.returncode == 0, printed + errors
        return printed


@contextlib.contextmanager
def hosts_cluster(num_workers: int) -> Iterator[HostsCluster]:
    """A head with the health checks of cluster.yaml, and hosts beside it; Ray's folder has a short path, as it must."""
    with (
        tempfile.TemporaryDirectory(prefix="kd-", ignore_cleanup_errors=True) as folder,
        connected_hosts(1 + num_workers) as (head, *others),
    ):
        root = Path(folder)
        token = written_token(root)
        options = ("--head", "--port=6379", f"--node-ip-address={head.address}", "--num-cpus=0")
        quiet = "--include-dashboard=false"
        settings = health_check()
        with running_node(root / "h", token, *options, quiet, within=head.within, settings=settings) as address:
            yield HostsCluster(head, others, address, token, root)


def health_check() -> dict[str, str]:
    """What cluster.yaml sets of Ray's health checks, by environment variable."""
    commands = yaml.safe_load((TOP / "cluster.yaml").read_text(encoding="utf-8"))["head_start_ray_commands"]
    words = " ".join(commands).replace(";", " ").split()
    return dict(word.split("=", 1) for word in words if word.startswith("RAY_health_check_"))


@contextlib.contextmanager
def running_study(cluster: HostsCluster, folder: Path, *fields: str) -> Iterator[RunningStudy]:
    """A study of slow trials; its driver is killed at the end where it still runs."""
    own = folder / "own"
    own.mkdir()
    shutil.copy(placed_losses.__file__, own)
    (own / "study.toml").write_text(STUDY, encoding="utf-8")
    options = ("--address", cluster.address, "--dir", str(folder / "study"), *overrides(fields))
    began_at = time.time()
    driver = subprocess.Popen(
        [*cluster.head.within, *kd_study("run", str(own / "study.toml"), *options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=insider(cluster.token),
    )
    try:
        yield RunningStudy(cluster, StudyPaths(folder / "study"), driver, began_at)
    finally:
        driver.kill()
        driver.wait()
