"""Which students come first in a search, and that a driver that died did not enqueue them twice."""

from pathlib import Path
from typing import Any, cast

import optuna
import pytest

from search_spaces.space import SearchSpace
from study import store as stores
from study.search.baselines import baselines, enqueue_baselines
from tests.factories import study_config
from tests.study.test_proposer import cnn_space, isolated, proposer, run_all


def test_baselines_of_a_method_without_a_share_are_not_enqueued() -> None:
    config = study_config(search={"num_trials": 4, "trials_per_method": {"labels": 0, "kd": 4}})
    assert [baseline["method"] for baseline in baselines(config, cnn_space(), isolated)] == ["kd", "kd", "kd"]


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


class HalfGiven:
    """Its baselines leave batch size and learning rate to the sampler."""

    def __init__(self) -> None:
        self._space = cnn_space()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._space, name)

    def baselines(self) -> list[dict[str, object]]:
        return [{"width": 2, "method": "labels"}]


def test_baseline_that_leaves_something_to_the_sampler_is_enqueued(tmp_path: Path) -> None:
    with proposer(tmp_path, cast("SearchSpace", HalfGiven()), search={"num_trials": 2, "sampler": "random"}) as each:
        asked = [proposal.student for proposal in run_all(each)]
    assert asked[0].model.options == {"width": 2}
    assert each.records()[0].origin == "baseline"


def test_extension_after_a_driver_died_before_the_search_adds_what_is_missing(tmp_path: Path) -> None:
    """Of four trials the baselines are two a method; of six, three: the third comes once, and nothing twice."""
    space = cnn_space()
    with stores.create(tmp_path, study_config(search={"num_trials": 4, "sampler": "random"})) as store:
        enqueue_baselines(store, space, isolated)
        assert len(store.trials()) == 4
    with stores.reopen(tmp_path) as store:
        asked = stores.configure_again(store, stores.extended(store.config, tmp_path, 6))
        enqueue_baselines(asked, space, isolated)
        waiting = [trial.system_attrs["fixed_params"] for trial in asked.study.get_trials()]
    assert len(waiting) == 6
    assert all(baseline in waiting for baseline in map(dict, space.baselines()))


def test_nothing_is_enqueued_once_the_search_has_begun(tmp_path: Path) -> None:
    with stores.create(tmp_path, study_config()) as store:
        store.study.ask()
        enqueue_baselines(store, cnn_space(), isolated)
        assert len(store.trials()) == 1
