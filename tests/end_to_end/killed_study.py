"""A study whose workers, nodes and drivers are killed: what stands in its directory, and who is killed next."""

import contextlib
import random
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import psutil

from analysis.results import read_study
from tests.end_to_end.conftest import environment, kd_study, overrides
from tests.end_to_end.ray_nodes import RayNodes, wait_for
from trainables.records import TrialRecord, TrialState
from trainables.study_paths import StudyPaths

LONGEST_S = 300.0  # until something happens
WHOLE_STUDY_S = 1_800.0  # on a busy machine
EPOCH = re.compile(r'"trial_id":(\d+),"user_attr":\{"epoch:([^"]+)"')


@dataclass(frozen=True, slots=True)
class Finished:
    """A student that ran its full budget, and when its weights were last written."""

    record: TrialRecord
    weights_of: int  # nanoseconds, by the file system


@final
class KilledStudy:
    """One study, from `run` to its end, however often its driver has to be started.

    Args:
        directory: of the study; nothing is there yet.
        nodes: that it runs on.
        fields: of its configuration, over the preset `smoke`.
        stream: by which victims are drawn.
    """

    def __init__(self, directory: Path, nodes: RayNodes, fields: Sequence[str], stream: random.Random) -> None:
        self.paths = StudyPaths(directory)
        self._nodes = nodes
        self._fields = fields
        self._stream = stream
        self._num_epochs = next(int(each.rpartition("=")[2]) for each in fields if ".options.epochs=" in each)
        self._driver: subprocess.Popen[bytes] | None = None

    def start(self, *, on_own_ray: bool = False) -> None:
        """A driver: `resume` as soon as there is a study; before that one died too early, and `run` begins again."""
        where = [] if on_own_ray else ["--address", self._nodes.address]
        if self.paths.study_json.exists():
            command = kd_study("resume", str(self.paths.root), *where)
        else:
            command = kd_study("run", "smoke", "--dir", str(self.paths.root), *where, *overrides(self._fields))
        with self.paths.root.with_suffix(".log").open("ab") as log:
            self._driver = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment())

    def end(self) -> None:
        """Let the driver come to the study's end by itself."""
        assert self._driver is not None
        assert self._driver.wait(timeout=WHOLE_STUDY_S) == 0, self._said()

    def close(self) -> None:
        """Leave no driver behind."""
        if self._driver is not None:
            self._driver.kill()
            self._driver.wait()

    def progress(self) -> int:
        """Epochs of trials that are stored, and those of students trained again that are whole."""
        journal = self.paths.journal
        told = set(EPOCH.findall(journal.read_text(encoding="utf-8"))) if journal.exists() else set()
        cards = [each for each in self.paths.verify.glob("*.json") if each != self.paths.verification_json]
        return len(told) + self._num_epochs * len(cards)

    def reach(self, moment: float) -> bool:
        """Wait until the study has come so far; returns whether it had before."""
        if self.progress() >= moment:
            return True
        wait_for(lambda: self.progress() >= moment or not self._is_going, seconds=LONGEST_S, every_s=0.1)
        return False

    def kill(self, kind: str) -> str:
        """SIGKILL of a driver, of a process at work on the nodes, or of a node with all its processes; says of whom.

        Raises:
            AssertionError: the study has come to its end.
        """
        assert self._is_going, f"it had ended by itself: {self._said()}"
        if kind == "worker":
            return str(wait_for(self._kill_worker, seconds=LONGEST_S))
        if kind == "node":
            nodes = self._nodes.nodes
            node = self._stream.choice([each for each in nodes if self._nodes.at_work(each)] or nodes)
            doing = ", ".join(sorted(self._nodes.at_work(node).values())) or "nothing at work on it"
            self._nodes.kill(node)
            self._nodes.add(num_cpus=1)
            return doing
        self.close()
        return "the study goes on by resume"

    def finished(self) -> dict[int, Finished]:
        """The students that ran their full budget, by number; read as whoever watches reads them."""
        if not self.paths.study_json.exists() or not self.paths.journal.exists():
            return {}
        complete = [each for each in read_study(self.paths.root).trials if each.state is TrialState.COMPLETE]
        return {
            each.number: Finished(each, self.paths.student_weights(each.number).stat().st_mtime_ns) for each in complete
        }

    @property
    def _is_going(self) -> bool:
        return self._driver is not None and self._driver.poll() is None

    def _kill_worker(self) -> str | None:
        """What one of those did that are at work now; None: there is none, or it ended by itself just then."""
        assert self._is_going, f"it had ended by itself: {self._said()}"
        found = [each for node in self._nodes.nodes for each in self._nodes.at_work(node).items()]
        if found:
            victim, doing = self._stream.choice(sorted(found, key=lambda each: each[0].pid))
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
                return doing
        return None

    def _said(self) -> str:
        return self.paths.root.with_suffix(".log").read_text(encoding="utf-8")[-2_000:]


def pause(stream: random.Random, longest_s: float) -> float:
    """Sleep for a time that the stream draws, which is returned."""
    seconds = stream.uniform(0.0, longest_s)
    time.sleep(seconds)
    return seconds
