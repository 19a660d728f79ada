"""What is tried next, and what becomes of it, without Ray: the storage alone decides."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest

import search_spaces
from search_spaces.space import SearchSpace
from study import store as stores
from study.search.baselines import enqueue_baselines
from study.search.proposer import Proposal, Proposer
from tests.factories import study_config
from trainables.config import LossConfig, ModelConfig, NamedConfig, StudentConfig, TrainingConfig
from trainables.records import TrialState

FACTS = {"hostname": "here"}


class TwoStudents:
    """A space of two students: everything else it suggests is a duplicate."""

    name = "two"
    methods = ("labels",)

    def suggest(self, trial: optuna.Trial) -> StudentConfig:
        width = trial.suggest_categorical("width", [1, 2])
        model = ModelConfig(name="cnn", options={"width": width})
        return StudentConfig(model=model, loss=LossConfig(name="labels"), training=TrainingConfig(epochs=1))

    def baselines(self) -> list[dict[str, object]]:
        return []

    def architectures(self) -> list[ModelConfig]:
        return [ModelConfig(name="cnn", options={"width": width}) for width in (1, 2)]

    def training_batch_sizes(self) -> list[int]:
        return [128]


def cnn_space(**options: Any) -> SearchSpace:
    given = {"widths": (1, 2, 4), "batch_sizes": (64,), "epochs": 2, **options}
    return search_spaces.build(NamedConfig(name="cnn_distillation", options=given))


def metrics(number: int, epoch: int = 1) -> dict[str, float | None]:
    return {"epoch": epoch, "validation_accuracy": 0.5 + number / 100, "latency_p50_ms_batch1": 1.0}


@contextmanager
def proposer(directory: Path, space: SearchSpace, **changes: Any) -> Iterator[Proposer]:
    opened = (
        stores.reopen(directory)
        if (directory / "study.json").exists()
        else stores.create(directory, study_config(**changes))
    )
    with opened as store:
        enqueue_baselines(store, space, isolated)
        yield Proposer(store, space, isolated)


def isolated(student: StudentConfig) -> dict[str, float | None]:
    return {"latency_p50_ms_batch1": float(student.training.batch_size)}


def finish(each: Proposer, proposal: Proposal) -> None:
    each.started(proposal.number, 0)
    each.record_epoch(proposal.number, metrics(proposal.number))
    each.complete(proposal.number, metrics(proposal.number), FACTS)


def run_all(each: Proposer) -> list[Proposal]:
    proposals = []
    while (proposal := each.next()) is not None:
        proposals.append(proposal)
        finish(each, proposal)
    return proposals


def test_labels_only_student_of_each_width_comes_first(tmp_path: Path) -> None:
    with proposer(tmp_path, cnn_space(), search={"num_trials": 8}) as each:
        first = run_all(each)[:3]
    assert [(p.student.model.options["width"], p.student.loss.name) for p in first] == [
        (1, "labels"),
        (2, "labels"),
        (4, "labels"),
    ]


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2"])
def test_every_method_gets_the_same_number_of_trials(tmp_path: Path, sampler: str) -> None:
    search = {"num_trials": 20, "num_startup_trials": 4, "sampler": sampler}
    with proposer(tmp_path, cnn_space(), search=search) as each:
        methods = Counter(proposal.student.loss.name for proposal in run_all(each))
    assert methods == {"labels": 10, "kd": 10}


def test_methods_share_trials_as_configured(tmp_path: Path) -> None:
    search = {"num_trials": 12, "sampler": "random", "trials_per_method": {"labels": 3, "kd": 9}}
    with proposer(tmp_path, cnn_space(), search=search) as each:
        methods = Counter(proposal.student.loss.name for proposal in run_all(each))
    assert methods == {"labels": 3, "kd": 9}


def test_all_trials_share_the_studys_training_seed(tmp_path: Path) -> None:
    with proposer(tmp_path, cnn_space(), seed=11) as each:
        assert {proposal.student.training.seed for proposal in run_all(each)} == {11}


def test_study_interrupted_at_any_trial_asks_what_it_would_have_asked(tmp_path: Path) -> None:
    search = {"num_trials": 10, "num_startup_trials": 4}
    with proposer(tmp_path / "whole", cnn_space(), search=search) as each:
        whole = [proposal.student for proposal in run_all(each)]
    for interrupted_at in range(10):
        directory = tmp_path / str(interrupted_at)
        with proposer(directory, cnn_space(), search=search) as each:
            before = []
            for _ in range(interrupted_at):
                proposal = each.next()
                assert proposal is not None
                before.append(proposal.student)
                finish(each, proposal)
            each.next()  # handed out, and the driver dies
        with proposer(directory, cnn_space()) as each:
            after = [proposal.student for proposal in run_all(each)]
        assert before + after == whole


def test_driver_that_dies_between_asking_and_configuring_asks_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = {"num_trials": 6, "num_startup_trials": 2}
    with proposer(tmp_path / "whole", cnn_space(), search=search) as each:
        whole = [proposal.student for proposal in run_all(each)]
    space = cnn_space()
    with proposer(tmp_path / "cut", space, search=search) as each:
        for _ in range(4):
            proposal = each.next()
            assert proposal is not None
            finish(each, proposal)

        def die(trial: optuna.Trial) -> StudentConfig:
            trial.suggest_categorical("width", [1, 2, 4])
            raise KeyboardInterrupt

        monkeypatch.setattr(type(space), "suggest", lambda _, trial: die(trial))
        with pytest.raises(KeyboardInterrupt):
            each.next()
        monkeypatch.undo()
    with proposer(tmp_path / "cut", space) as each:
        assert [proposal.student for proposal in run_all(each)] == whole[4:]


def test_unfinished_trials_are_handed_out_first_with_what_is_known_of_them(tmp_path: Path) -> None:
    with proposer(tmp_path, cnn_space()) as each:
        first, second = each.next(), each.next()
        assert first is not None
        assert second is not None
        each.started(first.number, 0)
        each.record_epoch(first.number, metrics(0, epoch=1))
    with proposer(tmp_path, cnn_space()) as each:
        again = [each.going_on(), each.next()]
        assert [(p.number, p.num_stored_reports) for p in again if p is not None] == [(0, 1), (1, 0)]
        assert [p.student for p in again if p is not None] == [first.student, second.student]


def test_epoch_told_again_replaces_itself(tmp_path: Path) -> None:
    with proposer(tmp_path, cnn_space()) as each:
        proposal = each.next()
        assert proposal is not None
        for accuracy in (0.5, 0.5, 0.6):
            each.record_epoch(proposal.number, {"epoch": 1, "validation_accuracy": accuracy})
        assert [epoch["validation_accuracy"] for epoch in each.records()[0].epochs] == [0.6]


def test_stopped_trial_is_pruned_and_stands_on_no_front(tmp_path: Path) -> None:
    with proposer(tmp_path, cnn_space()) as each:
        proposal = each.next()
        assert proposal is not None
        each.prune(proposal.number, metrics(0), FACTS, "cannot reach the front")
        record = each.records()[0]
    assert record.state is TrialState.PRUNED
    assert record.reason == "cannot reach the front"
    assert not record.may_stand_on_a_front


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_trial_without_a_finite_objective_fails_with_the_reason(tmp_path: Path, value: float | None) -> None:
    with proposer(tmp_path, cnn_space()) as each:
        proposal = each.next()
        assert proposal is not None
        told = {**metrics(0), "latency_p50_ms_batch1": value}
        each.complete(proposal.number, told if value is None else {**told, "latency_p50_ms_batch1": value}, FACTS)
        record = each.records()[0]
    assert record.state is TrialState.FAILED
    assert record.reason == f"latency_p50_ms_batch1 is {value}"


def test_failed_trials_count_so_that_a_study_that_always_fails_ends(tmp_path: Path) -> None:
    with proposer(tmp_path, cnn_space(), search={"num_trials": 5}) as each:
        for _ in range(5):
            proposal = each.next()
            assert proposal is not None
            each.fail(proposal.number, "out of memory")
        assert each.next() is None


def test_duplicate_is_told_the_same_values_is_not_trained_and_does_not_count(tmp_path: Path) -> None:
    search = {"num_trials": 3, "sampler": "random"}
    with proposer(tmp_path, TwoStudents(), search=search) as each:
        proposals = run_all(each)
        duplicates = [record for record in each.records() if record.duplicate_of is not None]
        originals = {record.number: record for record in each.records() if record.duplicate_of is None}
    assert len(proposals) == 2  # the space holds no third student, and the search ends all the same
    assert duplicates
    for duplicate in duplicates:
        assert duplicate.duplicate_of is not None
        assert duplicate.state is TrialState.COMPLETE
        assert duplicate.metrics == originals[duplicate.duplicate_of].metrics
        assert not duplicate.may_stand_on_a_front


def test_students_that_are_equal_are_duplicates_however_their_numbers_and_options_are_written(tmp_path: Path) -> None:
    ways = iter([{"width": 2, "kernel": 3}, {"kernel": 3, "width": 2.0}, {"kernel": 3, "width": 1}])

    class Written(TwoStudents):
        def suggest(self, trial: optuna.Trial) -> StudentConfig:
            student = super().suggest(trial)
            return student.model_copy(update={"model": ModelConfig(name="cnn", options=next(ways))})

    with proposer(tmp_path, Written(), search={"num_trials": 2, "sampler": "random"}) as each:
        run_all(each)
        assert [record.duplicate_of for record in each.records()] == [None, 0, None]


def test_duplicate_of_a_running_trial_is_told_when_that_one_ends(tmp_path: Path) -> None:
    with proposer(tmp_path, TwoStudents(), search={"num_trials": 3, "sampler": "random"}) as each:
        first, second = each.next(), each.next()
        assert first is not None
        assert second is not None
        assert each.next() is None  # only duplicates are left
        waiting = [record for record in each.records() if record.duplicate_of == first.number]
        assert {record.state for record in waiting} == {TrialState.RUNNING}
        finish(each, first)
        told = [record for record in each.records() if record.duplicate_of == first.number]
        assert {record.state for record in told} == {TrialState.COMPLETE}


def test_spans_hold_each_launch_and_only_the_last_has_an_end(tmp_path: Path) -> None:
    with proposer(tmp_path, cnn_space()) as each:
        proposal = each.next()
        assert proposal is not None
        each.started(proposal.number, 1)
    with proposer(tmp_path, cnn_space()) as each:
        proposal = each.going_on()
        assert proposal is not None
        finish(each, proposal)
        record = each.records()[0]
    assert record.slot == 0
    assert [end is None for _, end in record.spans] == [True, False]


def test_state_of_a_trial_is_removed_when_its_end_is_stored(tmp_path: Path) -> None:
    with proposer(tmp_path, cnn_space()) as each:
        proposal = each.next()
        assert proposal is not None
        checkpoint = tmp_path / "checkpoints" / f"{proposal.number}.pt"
        checkpoint.parent.mkdir()
        checkpoint.touch()
        finish(each, proposal)
    assert not checkpoint.exists()


@pytest.mark.parametrize("num_trials", [1, 3, 7])
def test_methods_have_equal_shares_however_few_the_trials(tmp_path: Path, num_trials: int) -> None:
    space = cnn_space()
    config = study_config(search={"num_trials": num_trials, "sampler": "random"})
    with stores.create(tmp_path, config) as store:
        enqueue_baselines(store, space, isolated)
        each = Proposer(store, space, isolated)
        methods = Counter(proposal.student.loss.name for proposal in run_all(each))
    assert abs(methods["labels"] - methods["kd"]) <= 1
    assert methods.total() == num_trials


def test_exhausted_space_is_remembered(tmp_path: Path) -> None:
    search = {"num_trials": 3, "sampler": "random"}
    with proposer(tmp_path, TwoStudents(), search=search) as each:
        run_all(each)
        assert each.is_finished
        num_asked = len(each.records())
    with proposer(tmp_path, TwoStudents()) as each:
        assert each.is_finished
        assert each.next() is None
        assert len(each.records()) == num_asked
