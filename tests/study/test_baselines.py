"""Which students come first in a search, and that a driver that died did not enqueue them twice."""

from pathlib import Path
from typing import Any

import optuna
import pytest

from study.search.baselines import baselines
from tests.factories import study_config
from tests.study.test_proposer import cnn_space, isolated, proposer, run_all


def test_baselines_of_a_method_without_a_share_are_not_enqueued() -> None:
    search = study_config(search={"num_trials": 4, "trials_per_method": {"labels": 0, "kd": 4}}).search
    assert [baseline["method"] for baseline in baselines(search, cnn_space(), isolated)] == ["kd", "kd", "kd"]


def test_baselines_that_a_driver_died_over_are_enqueued_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space, enqueue, left = cnn_space(), optuna.Study.enqueue_trial, iter(range(2))

    def enqueue_two(*arguments: Any, **named: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        enqueue(*arguments, **named)

    monkeypatch.setattr(optuna.Study, "enqueue_trial", enqueue_two)
    with pytest.raises(KeyboardInterrupt), proposer(tmp_path, space, search={"num_trials": 8, "sampler": "random"}):
        pass
    monkeypatch.undo()
    with proposer(tmp_path, space) as each:
        asked = [proposal.student for proposal in run_all(each)]
    widths_and_methods = [(int(str(student.model.options["width"])), student.loss.name) for student in asked[:6]]
    assert widths_and_methods == [(width, method) for method in ("labels", "kd") for width in (1, 2, 4)]
    assert len(asked) == 8
