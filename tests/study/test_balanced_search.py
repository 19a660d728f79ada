"""As many trials of a method at each value of what is balanced, also where some may not be trained."""

from collections import Counter
from pathlib import Path

import pytest

from tests.study.test_proposer import cnn_space, proposer, run_all


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2"])
def test_every_method_has_as_many_trials_at_each_balanced_value(tmp_path: Path, sampler: str) -> None:
    search = {"num_trials": 16, "num_startup_trials": 4, "sampler": sampler, "balanced": ["width", "batch_size"]}
    with proposer(tmp_path, cnn_space(widths=[1, 2], batch_sizes=[8, 16]), search=search) as each:
        students = [proposal.student for proposal in run_all(each)]
    kinds = Counter((s.loss.name, s.model.options["width"], s.training.batch_size) for s in students)
    assert set(kinds.values()) == {2}
    assert len(kinds) == 8


def test_value_that_breaks_a_constraint_does_not_end_the_search(tmp_path: Path) -> None:
    """The latency here is the batch size: of 64 no student may be trained, and all are of 16."""
    search = {
        "num_trials": 8, "sampler": "random", "balanced": ["batch_size"],
        "constraints": {"latency_p50_ms_batch1": "<= 20"},
    }  # fmt: skip
    with proposer(tmp_path, cnn_space(batch_sizes=[16, 64]), search=search) as each:
        students = [proposal.student for proposal in run_all(each)]
    assert [s.training.batch_size for s in students] == [16] * 8
    assert Counter(s.loss.name for s in students) == {"labels": 4, "kd": 4}


def test_value_without_any_student_left_does_not_end_the_search(tmp_path: Path) -> None:
    """Of labels there are two students at each width; kd has a temperature, and with it students without end."""
    search = {"num_trials": 12, "sampler": "random", "balanced": ["width"], "trials_per_method": {"labels": 4, "kd": 8}}
    space = cnn_space(widths=[1, 2], learning_rates=[1e-3, 1e-2], steps=2)
    with proposer(tmp_path, space, search=search) as each:
        students = [proposal.student for proposal in run_all(each)]
    kinds = Counter((s.loss.name, s.model.options["width"]) for s in students)
    assert kinds == {("labels", 1): 2, ("labels", 2): 2, ("kd", 1): 4, ("kd", 2): 4}
