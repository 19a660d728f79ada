"""What every sampler of the registry does: it asks the same again, and keeps what is fixed."""

import subprocess
import sys
from typing import Any

import pytest

from study.search.samplers import SAMPLERS, SamplingContext, proposals
from study.search.settings import SearchConfig
from tests.study.search.toy_space import cost, error, study_of, suggest


def run(name: str, *, seed: int, num_trials: int = 7) -> list[dict[str, Any]]:
    """Asked with this sampler, method by turns."""
    made = proposals(SamplingContext(SearchConfig(sampler=name, num_startup_trials=4), seed, suggest, {1: cost}))
    study = study_of(made(0, {}))
    for number in range(num_trials):
        study.sampler = made(1_000 * seed + number, {"method": ("labels", "kd")[number % 2]})
        trial = study.ask()
        parameters = suggest(trial)
        study.tell(trial, [error(parameters), cost(parameters)])
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("name", SAMPLERS)
def test_same_seed_and_history_same_proposals_which_keep_what_is_fixed(name: str) -> None:
    asked = run(name, seed=1)
    assert asked == run(name, seed=1)
    assert asked != run(name, seed=2)
    assert [parameters["method"] for parameters in asked] == ["labels", "kd"] * 3 + ["labels"]


def test_samplers_are_listed_without_loading_what_they_model_with() -> None:
    program = "import sys, study.search.samplers\nprint(*{'torch', 'botorch', 'scipy'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == []


def test_unknown_sampler_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match='unknown sampler "annealing": allowed are gp, grid, known_cost'):
        proposals(SamplingContext(SearchConfig(sampler="annealing"), 0, suggest, {}))
