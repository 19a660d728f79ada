"""50 times SIGKILL, of workers, nodes and drivers in turn, at moments that a seed draws: nothing is lost or changed."""

import logging
import random
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
import torch

from analysis.results import StudyResults, read_study
from tests.end_to_end.killed_study import KilledStudy, pause
from tests.end_to_end.ray_nodes import running_nodes
from trainables.checkpoints import load_weights
from trainables.records import TrialState
from trainables.study_paths import StudyPaths

logger = logging.getLogger(__name__)

SEED = 7
NUM_KILLS = 50
NUM_EARLY = 4  # before the first student has begun, or soon after
LAST = 0.95  # of the study's epochs, at which the last moment may be
OWN_RAY = "driver of a Ray of its own"
IN_TURN = ("worker", "node", "driver", OWN_RAY)
UP_AGAIN_S = 8.0  # within which the next kill comes where its moment has passed while the study got up again
NUM_TRIALS = 60
FIELDS = (
    'objectives=["validation_accuracy", "num_parameters"]',  # nothing that a clock measures
    'search.sampler="grid"',
    f"search.num_trials={NUM_TRIALS}",
    "space.options.widths=[1, 2]",
    "space.options.batch_sizes=[64]",
    "space.options.steps=3",
    "space.options.epochs=3",
    "dataset.max_train_images=8000",
    "dataset.num_validation_images=1000",
    "teacher.training.epochs=6",
    "profile.inference_batch_sizes=[1]",
    "profile.reuse=false",
    "resources.max_concurrent_trials=2",
    "verify.seeds=4",
)


@pytest.mark.slow
def test_fifty_kills_lose_nothing_and_change_nothing(tmp_path: Path) -> None:
    moments, began = random.Random(SEED), time.monotonic()
    with (
        running_nodes(2, num_cpus=1) as nodes,
        closing(KilledStudy(tmp_path / "undisturbed", nodes, FIELDS, moments)) as undisturbed,
        closing(KilledStudy(tmp_path / "killed", nodes, FIELDS, moments)) as killed,
    ):
        undisturbed.start()
        undisturbed.end()
        in_all = undisturbed.progress()
        logger.info("undisturbed: %.0f s, %d epochs", time.monotonic() - began, in_all)
        num_killed = kill_again_and_again(killed, moments, in_all)
        killed.end()
        logger.info("ended by itself, %.0f s after all began", time.monotonic() - began)
    assert num_killed.total() == NUM_KILLS
    assert all(num_killed[kind] >= NUM_KILLS // len(IN_TURN) - 1 for kind in IN_TURN)
    theirs, ours = read_study(undisturbed.paths.root), read_study(killed.paths.root)
    failures = sum(len(trial.failures) for trial in ours.trials)
    processes = sum(len(trial.spans) for trial in ours.trials)
    logger.info("%d trials in %d processes, of which %d ended before them", len(ours.trials), processes, failures)
    assert not list(killed.paths.checkpoint(0).parent.glob("*.pt"))
    assert_the_same(theirs, ours, undisturbed.paths, killed.paths)


def kill_again_and_again(study: KilledStudy, stream: random.Random, in_all: int) -> "Counter[str]":
    """Kill at each moment, and see each time that what was finished stands as it stood; how many of which kind."""
    moments = [0.0] * NUM_EARLY + sorted(stream.uniform(0.0, LAST * in_all) for _ in range(NUM_KILLS - NUM_EARLY))
    before, num_killed = study.finished(), Counter[str]()
    study.start()
    is_own_ray = False
    for number, moment in enumerate(moments, start=1):
        kind = IN_TURN[(number - 1) % len(IN_TURN)]
        if kind == OWN_RAY and not is_own_ray:
            kind = "driver"
        has_passed = study.reach(moment)
        seconds = pause(stream, UP_AGAIN_S if has_passed else 1.0)
        victim = study.kill(kind)
        now = study.finished()
        lost = sorted(before.keys() - now.keys())
        changed = [each for each in before.keys() & now.keys() if before[each].record != now[each].record]
        again = [each for each in before.keys() & now.keys() if before[each].weights_of != now[each].weights_of]
        when = f"{seconds:.1f} s after epoch {moment:.1f}" + (", which had passed" if has_passed else "")
        told = (number, kind, victim, when, len(now), lost, changed, again)
        logger.info("%2d: %s killed (%s) %s: %d finished, lost %s, changed %s, trained again %s", *told)
        assert (lost, changed, again) == ([], [], [])
        before = now
        num_killed[kind] += 1
        if kind in {"driver", OWN_RAY}:
            # A teacher that two numbers of threads have trained would not be the same to the bit.
            next_kind = IN_TURN[number % len(IN_TURN)]
            is_own_ray = next_kind == OWN_RAY and study.paths.teacher.record.exists()
            study.start(on_own_ray=is_own_ray)
    return num_killed


def assert_the_same(theirs: StudyResults, ours: StudyResults, their_paths: StudyPaths, our_paths: StudyPaths) -> None:
    """The same students with the same weights, the same front, the same accuracies on the test images."""
    assert [trial.state for trial in ours.trials] == [TrialState.COMPLETE] * NUM_TRIALS
    numbers = {trial.student.model_dump_json(): trial.number for trial in ours.trials if trial.student}
    assert len(numbers) == NUM_TRIALS
    for trial in theirs.trials:
        assert trial.student is not None
        expected = load_weights(their_paths.student_weights(trial.number))
        weights = load_weights(our_paths.student_weights(numbers[trial.student.model_dump_json()]))
        assert weights.keys() == expected.keys()
        assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert front(theirs) == front(ours)
    assert accuracies_on_test(theirs) == accuracies_on_test(ours)


def front(study: StudyResults) -> set[tuple[str, float | None, float | None]]:
    return {
        (trial.student.model_dump_json(), trial.metrics["validation_accuracy"], trial.metrics["num_parameters"])
        for trial in study.front
        if trial.student is not None
    }


def accuracies_on_test(study: StudyResults) -> list[tuple[str, int, float]]:
    assert study.verification is not None
    return sorted(
        (run.fingerprint, run.seed_index, run.on_test.accuracy) for run in study.verification.runs if run.on_test
    )
