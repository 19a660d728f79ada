"""One driver with instant trials on 32 logical workers, in a process of its own: what it has spent as trials end.

`python -m tests.benchmarks.driver_scale KIND DIRECTORY 100 1000` prints a `Mark` as JSON at each of the counts.
"""

import argparse
import contextlib
import functools
import gc
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import optuna
import psutil
import pytest
import ray
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from ray import tune
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch

from study import stages
from study.cluster import connect
from study.launch import Launch
from study.resources import ResourcesConfig
from study.watch.watched import watched
from tests.benchmarks.instant_trial import MEETING, NUM_PROCESSES, OBJECTIVES, InstantTrial
from tests.benchmarks.search_alone import run_search
from tests.factories import study_config, training_data
from trainables.records import ENDED, TrialRecord

NUM_SLOTS = NUM_PROCESSES
JOURNAL = "optuna.journal"
WIDTHS, BATCH_SIZES, METHODS = (1, 2, 4, 8, 16), (64, 128, 256), ("labels", "kd")
# What our space suggests for a student, as each side says it.
DISTRIBUTIONS: dict[str, optuna.distributions.BaseDistribution] = {
    "width": optuna.distributions.CategoricalDistribution(WIDTHS),
    "batch_size": optuna.distributions.CategoricalDistribution(BATCH_SIZES),
    "method": optuna.distributions.CategoricalDistribution(METHODS),
    "learning_rate": optuna.distributions.FloatDistribution(1e-3, 2e-2, log=True),
    "temperature": optuna.distributions.FloatDistribution(1.0, 20.0, log=True),
    "alpha": optuna.distributions.FloatDistribution(0.1, 1.0),
}
TUNE_SPACE = {
    "width": tune.choice(WIDTHS),
    "batch_size": tune.choice(BATCH_SIZES),
    "method": tune.choice(METHODS),
    "learning_rate": tune.loguniform(1e-3, 2e-2),
    "temperature": tune.loguniform(1.0, 20.0),
    "alpha": tune.uniform(0.1, 1.0),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """What a driver spent, and held at the end of it.

    Args:
        num_trials: so many had ended.
        is_whole: over the whole of a search, Tune's start and its last snapshot of all trials in it; else from the
            first trial's end on, while trials run.
        cpu_s: processor time of the driver's process, all its threads.
        wall_s: that passed.
        memory_mib: resident.
        journal_mib: on the disk.
    """

    num_trials: int
    is_whole: bool
    cpu_s: float
    wall_s: float
    memory_mib: float
    journal_mib: float

    @property
    def cpu_ms_a_trial(self) -> float:
        """Processor time."""
        return 1e3 * self.cpu_s / self.num_trials

    @property
    def wall_ms_a_trial(self) -> float:
        """Time that passed."""
        return 1e3 * self.wall_s / self.num_trials


@final
class Marks:
    """Prints a `Mark` at each of the counts, and one at the end."""

    def __init__(self, counts: Sequence[int], journal: Path) -> None:
        self._counts = frozenset(counts)
        self._journal = journal
        self._ended = set[object]()
        self._began = self._first = _clocks()

    def end(self, trial: object) -> None:
        """The trial has ended, be it told once or twice."""
        if trial in self._ended:
            return
        self._ended.add(trial)
        if len(self._ended) == 1:
            self._first = _clocks()
        if len(self._ended) in self._counts:
            self._print(self._first, is_whole=False)

    def close(self) -> None:
        """The search is over."""
        self._print(self._began, is_whole=True)

    def _print(self, since: tuple[float, float], *, is_whole: bool) -> None:
        cpu_s, wall_s = _clocks()
        size = self._journal.stat().st_size if self._journal.exists() else 0
        mark = Mark(
            num_trials=len(self._ended),
            is_whole=is_whole,
            cpu_s=cpu_s - since[0],
            wall_s=wall_s - since[1],
            memory_mib=psutil.Process().memory_info().rss / 2**20,
            journal_mib=size / 2**20,
        )
        print(json.dumps(asdict(mark)), flush=True)  # noqa: T201 - it is what this program is for


def _clocks() -> tuple[float, float]:
    return time.process_time(), time.monotonic()


def ours(directory: Path, counts: Sequence[int]) -> None:
    """The search stage as `kd-study run` runs it, watched: status, gauges, plain lines, journal."""
    options = {"widths": list(WIDTHS), "batch_sizes": list(BATCH_SIZES), "epochs": 1}
    config = study_config(
        space={"name": "cnn_distillation", "options": options}, search={"num_trials": max(counts), "sampler": "random"}
    )

    @contextlib.contextmanager
    def around(launch: Launch) -> Iterator[None]:
        marks = Marks(counts, launch.store.paths.journal)

        def tell(trials: Sequence[TrialRecord]) -> None:
            for trial in trials:
                if trial.state in ENDED:
                    marks.end(trial.number)

        launch.progress.tell_changes_to(tell)
        with watched(launch.progress, launch.store, launch.data, launch.resources):
            yield
        marks.close()

    gc.freeze()  # as the command line does with what it imports (`study.lasting_imports`)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "search_teacher", lambda *_: None)  # nobody learns: no trial's process loads torch
        run_search(directory, config, training_data(), InstantTrial, around)


def tune_alone(directory: Path, counts: Sequence[int]) -> None:
    """Tune's own random search, nothing stored."""
    _fit(directory, counts, BasicVariantGenerator())


def tune_with_store(directory: Path, counts: Sequence[int]) -> None:
    """The same with two writes a trial to an Optuna journal: its epoch, with what it is, and all facts of its end."""
    _fit(directory, counts, BasicVariantGenerator(), StoredTwice(directory / JOURNAL))


def optuna_search(directory: Path, counts: Sequence[int]) -> None:
    """Tune's own OptunaSearch with Optuna's random sampler, in the same kind of journal."""
    search = OptunaSearch(
        metric=list(OBJECTIVES),
        mode=list(OBJECTIVES.values()),
        sampler=optuna.samplers.RandomSampler(seed=0),
        storage=_journal(directory / JOURNAL),
        study_name="peer",
    )
    _fit(directory, counts, search)


KINDS: dict[str, Callable[[Path, Sequence[int]], None]] = {
    "ours": ours,
    "tune_alone": tune_alone,
    "tune_with_store": tune_with_store,
    "optuna_search": optuna_search,
}


@final
class StoredTwice(tune.Callback):
    """The least that keeps what a study of ours keeps: one write an epoch, one for all facts."""

    def __init__(self, journal: Path) -> None:
        self._storage = _journal(journal)
        directions = [
            optuna.study.StudyDirection.MAXIMIZE if each == "max" else optuna.study.StudyDirection.MINIMIZE
            for each in OBJECTIVES.values()
        ]
        self._study_id = self._storage.create_new_study(directions, "peer")
        self._ids: dict[str, int] = {}

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:  # noqa: ARG002
        """The epoch, and with it what the trial is."""
        running = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params={name: trial.config[name] for name in DISTRIBUTIONS},
            distributions=DISTRIBUTIONS,
            user_attrs={"epoch:1": _numbers(result)},
        )
        self._ids[trial.trial_id] = self._storage.create_new_trial(self._study_id, running)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:  # noqa: ARG002
        """All facts of its end."""
        facts = {name: str(trial.last_result[name]) for name in ("hostname", "pid", "device")}
        told = {"metrics": _numbers(trial.last_result), "facts": facts, "ended_at": time.time()}
        self._storage.set_trial_user_attr(self._ids[trial.trial_id], "end", told)


@final
class Counted(tune.Callback):
    """Tells the marks of each trial's end."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:  # noqa: ARG002
        """One has ended."""
        self._marks.end(trial.trial_id)


def _fit(directory: Path, counts: Sequence[int], search: Any, *callbacks: tune.Callback) -> None:
    """Tune on the connected cluster, with the settings that a study of ours has."""
    marks = Marks(counts, directory / JOURNAL)
    tuner = tune.Tuner(
        InstantTrial,
        param_space=TUNE_SPACE,
        tune_config=tune.TuneConfig(
            search_alg=search, num_samples=max(counts), max_concurrent_trials=NUM_SLOTS, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name="peer",
            storage_path=str(directory),
            callbacks=[*callbacks, Counted(marks)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            verbose=0,
        ),
    )
    results = tuner.fit()
    marks.close()
    if results.errors:
        raise RuntimeError(f"{len(results.errors)} trials failed: {results.errors[0]}")


def _journal(path: Path) -> JournalStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return JournalStorage(JournalFileBackend(str(path)))


def _numbers(result: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in result.items() if isinstance(value, float)}


def main() -> None:
    """Run one driver on a local cluster that counts as many CPUs as there are slots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("directory", type=Path)
    parser.add_argument("counts", type=int, nargs="+")
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as meeting, pytest.MonkeyPatch.context() as patch:
        patch.setenv(MEETING, meeting)
        patch.setattr(ray, "init", functools.partial(ray.init, num_cpus=NUM_SLOTS))
        with connect(ResourcesConfig(dashboard=False, object_store_mib=128), None, None):
            KINDS[asked.kind](asked.directory, asked.counts)


if __name__ == "__main__":
    main()
