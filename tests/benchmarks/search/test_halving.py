"""Pareto halving against training every student to its end, on the recorded MNIST curves; and how fast a replay is."""

import time

import pytest

import search_spaces
from search_spaces.space import SearchSpace
from study.config import parse_config
from study.search.replay import Curve, Replay
from tests.benchmarks.scoreboard import Scoreboard
from tests.benchmarks.search.halving import pairs, recordings, rows

pytestmark = [pytest.mark.benchmark, pytest.mark.race]


@pytest.mark.parametrize("latency", ["latency_p50_ms_batch64", "latency_p50_ms_batch1"])
@pytest.mark.parametrize("sampler", ["random", "tpe", "known_cost"])
def test_fewer_epochs_for_the_same_front(sampler: str, latency: str, scoreboard: Scoreboard) -> None:
    found = rows(sampler, latency, pairs(sampler, latency))
    scoreboard.rows.extend(found)
    assert [row for row in found if row.is_reached is False] == []


@pytest.mark.parametrize("stopping", ["none", "pareto_halving"])
def test_replay_runs_a_thousand_trials_a_second(stopping: str, scoreboard: Scoreboard) -> None:
    """1,000 trials by the random sampler on 32 virtual workers, over a continuous space."""
    curves = recordings()[0]
    config = parse_config(
        curves.config
        | {
            "space": {"name": "cnn_distillation", "options": {"widths": (1, 2, 4, 8), "epochs": 9}},
            "search": {"sampler": "random", "num_trials": 1000, "early_stopping": stopping},
        },
        "replay",
    )
    space: SearchSpace = search_spaces.build(config.space)
    trials = curves.trials
    answers = [Curve(each.epochs, [1.0] * len(each.epochs), each.isolated) for each in trials]
    isolated = {each.student.model.key: each.isolated for each in trials}
    told = iter(range(10**9))
    replay = Replay(
        config,
        space,
        lambda *_: answers[next(told) % len(answers)],
        lambda student: isolated[student.model.key],
        num_workers=32,
    )
    began = time.perf_counter()
    found = replay.run()
    rate = len(found) / (time.perf_counter() - began)
    assert len(found) == 1000
    what = f"replay, random sampler, 1,000 trials, 32 workers, early stopping {stopping}"
    if stopping == "none":
        row = scoreboard.ratio_at_least(
            what, ours=f"{rate:,.0f} trials/s", peer="1,000 trials/s", ratio=rate / 1000, minimum=1.0
        )
        assert row.is_reached, row
    else:
        scoreboard.shown(what, ours=f"{rate:,.0f} trials/s")
