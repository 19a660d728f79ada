"""A search on two nodes of which one is killed in its middle: what came of it, and when its trials trained again."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from analysis.results import read_study
from study.cluster import connect
from study.resources import ResourcesConfig
from tests.benchmarks import step_times
from tests.benchmarks.search_alone import run_search
from tests.benchmarks.slowed_trial import SlowedStudentTrial
from tests.benchmarks.step_times import Step
from tests.end_to_end.ray_nodes import running_nodes, wait_for
from tests.factories import study_config, training_data
from trainables.records import TrialRecord

NUM_AT_ONCE = 2
LONGEST_S = 150.0


@dataclass(frozen=True, slots=True)
class NodeLoss:
    """A search that has come to its end all the same."""

    trials: dict[int, TrialRecord]
    steps: tuple[Step, ...]  # that were trained, on either node
    killed_at: float  # by `time.time()`

    @property
    def moved(self) -> frozenset[int]:
        """The trials that were on the node."""
        return frozenset(number for number, trial in self.trials.items() if trial.failures)

    @property
    def seconds_until_trained(self) -> float:
        """From the kill until the last one of them trained again: on the other node, for the head has no CPU."""
        again = [
            min(step.began for step in self.steps if step.trial == number and step.began > self.killed_at)
            for number in self.moved
        ]
        return max(again) - self.killed_at


def search_that_loses_a_node(directory: Path, *, num_trials: int, num_epochs: int, num_steps_before: int) -> NodeLoss:
    """Search on two nodes, each with room for all trials at once, and kill one that trains after so many epochs."""
    times = directory / "times"
    config = study_config(
        space={"name": "cnn_distillation", "options": {"widths": [1], "batch_sizes": [64], "epochs": num_epochs}},
        search={"num_trials": num_trials, "sampler": "random"},
        resources={"max_concurrent_trials": NUM_AT_ONCE},
    )
    with running_nodes(2, num_cpus=NUM_AT_ONCE) as nodes:

        def kill() -> float:
            wait_for(lambda: times.exists() and len(step_times.read(times)) >= num_steps_before, seconds=LONGEST_S)
            node = next(node for node in nodes.nodes if nodes.at_work(node))
            killed_at = time.time()
            nodes.kill(node)
            return killed_at

        with connect(ResourcesConfig(), nodes.address, None), ThreadPoolExecutor(max_workers=1) as executor:
            killing = executor.submit(kill)
            run_search(directory, config, training_data(), SlowedStudentTrial)
            killed_at = killing.result()
    trials = {trial.number: trial for trial in read_study(directory).trials}
    return NodeLoss(trials, tuple(step_times.read(times)), killed_at)
