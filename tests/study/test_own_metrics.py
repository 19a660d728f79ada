"""Metrics of a study's own in its configuration, its search and its status: known by name, steering like any other."""

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import search_spaces
from analysis.curves import RecordedCurves, read_curves, write_curves
from analysis.results import read_study
from study import store as stores
from study.ask_metrics import ask_metrics
from study.config import StudyConfig, overridden, parse_config, read_config
from study.export import _metrics as card_metrics
from study.preflight import prepare
from study.progress import Progress
from study.replays import replay_once
from study.search.proposer import Proposer
from study.search.searcher import of_training
from study.status import read_status, status_view
from study.warm_start import warm_start
from tests.analysis.test_own_metrics import verified
from tests.factories import study_config
from tests.study.test_proposer import FACTS, cnn_space, finish, isolated
from trainables.later_fields import without_later_fields
from trainables.metrics import Direction, Metric, Source, is_metric, metric
from trainables.records import TrialState
from trainables.study_paths import StudyPaths

BRIER = "tests.logit_metrics:brier"
DECLARED = Metric("validation_brier", "my number on validation", "", Direction.MINIMIZE, Source.TRAINING)
OBJECTIVES = ("validation_brier", "latency_p50_ms_batch1")
RECORDING = Path(__file__).parents[1] / "recorded" / "mnist-grid-0.json.gz"


def vars_of(declared: Metric) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(declared).items()}


def asked(**changes: Any) -> StudyConfig:
    return ask_metrics(study_config(**{"metrics": [BRIER], "objectives": OBJECTIVES, **changes}))


def test_metric_by_name_or_with_options_is_asked_for_what_it_declares() -> None:
    config = asked(metrics=["calibration_error", {"name": BRIER, "options": {"scale": 2.0}}])
    assert [each.name for each in config.own_metrics] == ["validation_calibration_error", "validation_brier"]
    assert config.objective_metrics == (DECLARED, metric("latency_p50_ms_batch1"))
    assert config.metrics[1].options == {"scale": 2.0}


def test_what_is_declared_is_stored_with_the_study_and_read_without_the_code_that_computes_it(tmp_path: Path) -> None:
    with stores.create(tmp_path, asked()) as store:
        assert [each.name for each in store.study.directions] == ["MINIMIZE", "MINIMIZE"]
    path = StudyPaths(tmp_path).study_json
    record = json.loads(path.read_text("utf-8"))
    record["config"]["metrics"][0]["name"] = "a_module_that_is_not_here:brier"
    path.write_text(json.dumps(record), encoding="utf-8")
    results = read_study(tmp_path)
    assert results.objectives[0] == DECLARED
    assert results.record.own_metrics == (DECLARED,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": ["calibration"]}, r'metrics\.0: unknown metric "calibration": allowed are calibration_error'),
        ({"metrics": [BRIER, "tests.logit_metrics:accuracy"]}, r'metrics\.1: .* "accuracy" is taken'),
        (
            {"metrics": [BRIER, {"name": BRIER, "options": {"scale": 2.0}}]},
            "metrics.*: validation_brier stands twice: each metric may stand once",
        ),
        ({"objectives": ["validation_brjer"]}, 'unknown metric "validation_brjer": allowed are .*, validation_brier, '),
        (
            {"search": {"constraints": {"validation_brjer": "<= 1"}}},
            'search: constraints: unknown metric "validation_brj',
        ),
        (
            {"search": {"constraints": {"validation_brier": "< 1"}}},
            r'search: constraints\.validation_brier = "< 1": it',
        ),
        (
            {"metrics": [{"name": BRIER, "declared": {**vars_of(DECLARED), "direction": "maximize"}}]},
            r"metrics\.0: metric .* declares .*minimize.* when the study began: bring it back",
        ),
    ],
)
def test_metric_that_there_is_not_is_one_line_before_anything_is_launched(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        asked(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ('objectives=["validation_brier", "latency_p51_ms_batch1"]', 'unknown metric "latency_p51_ms_batch1"'),
        ('objectives=["validation_brier", "train_seconds"]', '"train_seconds" is sampled while other trials run'),
        ('metrics=["a:b", "a:b"]', r"metrics = .*a:b\(\) stands twice"),
        ("metrics=3", "metrics = 3: "),
        ('metrics=[{ path = "a:b" }]', r"metrics\.0\.path: there is no such field; allowed are name, options"),
        ('search.constraints={ latency = "<= 3" }', 'search: constraints: unknown metric "latency"'),
    ],
)
def test_what_no_metric_could_be_called_is_refused_when_the_file_is_read(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_config("smoke", [f'metrics=["{BRIER}"]', override])


def test_name_that_only_its_code_knows_is_let_pass_until_it_is_asked() -> None:
    config = read_config("smoke", [f'metrics=["{BRIER}"]', 'objectives=["validation_brier"]'])
    assert config.own_metrics == ()
    assert ask_metrics(config).own_metrics == (DECLARED,)
    with pytest.raises(ValueError, match='unknown metric "validation_brier"'):
        read_config("smoke", ['objectives=["validation_brier"]'])


def test_metric_that_cannot_be_computed_is_refused_with_the_images_classes() -> None:
    config = ask_metrics(study_config(metrics=[BRIER, "tests.logit_metrics:raising"]))
    with pytest.raises(ValueError, match=r'metrics\.1: metric "mine" raised IndexError: no such bin'):
        prepare(config)


def test_fingerprint_of_the_study_covers_its_metrics_and_older_ones_stand() -> None:
    stages = ("teach", "profile", "study")
    one, same = asked(objectives=("validation_accuracy",)), study_config(objectives=("validation_accuracy",))
    assert "metrics" not in without_later_fields(same.model_dump(mode="json"))  # what fingerprints are made of
    changed = {stage for stage in stages if same.fingerprint(stage) != one.fingerprint(stage)}  # type: ignore[arg-type]
    assert changed == {"study"}


def test_stored_form_comes_back_as_the_same_study() -> None:
    config = asked()
    assert parse_config(config.model_dump(mode="json"), "json") == config == ask_metrics(config)


def test_trials_keep_it_epoch_by_epoch_and_the_front_goes_by_its_direction(tmp_path: Path) -> None:
    """Each trial has the same latency: the one with the least is the front."""
    result: dict[str, Any] = {"epoch": 1, "validation_brier": 0.5, "validation_other": 0.1, "done": False}
    assert of_training(result, (DECLARED,)) == {"epoch": 1, "validation_brier": 0.5}
    constraints = {"validation_brier": ">= 0.2"}
    with stores.create(tmp_path, asked(search={"num_trials": 3, "constraints": constraints})) as store:
        each = Proposer(store, cnn_space(), isolated)
        for value in (0.4, 0.3, 0.1):
            proposal = each.next()
            assert proposal is not None
            told = {"epoch": 1.0, "validation_brier": value, "latency_p50_ms_batch1": 1.0}
            each.started(proposal.number, 0)
            each.record_epoch(proposal.number, told)
            each.complete(proposal.number, told, FACTS)
    results = read_study(tmp_path)
    assert [trial.number for trial in results.front] == [1]
    assert results.trials[2].breaks == "validation_brier >= 0.2"
    assert results.trials[1].epochs[0]["validation_brier"] == 0.3


def test_trial_that_does_not_tell_it_fails(tmp_path: Path) -> None:
    with stores.create(tmp_path, asked()) as store:
        each = Proposer(store, cnn_space(), isolated)
        proposal = each.next()
        assert proposal is not None
        finish(each, proposal)
        (trial,) = store.trials()
    assert (trial.state, trial.reason) == (TrialState.FAILED, "validation_brier is None")


def test_status_names_it_without_the_study_s_configuration(tmp_path: Path) -> None:
    with stores.create(tmp_path, asked(search={"num_trials": 1})) as store:
        proposer = Proposer(store, cnn_space(), isolated)
        proposal = proposer.next()
        assert proposal is not None
        told = {"epoch": 1.0, "validation_brier": 0.25, "latency_p50_ms_batch1": 1.0}
        proposer.complete(proposal.number, told, FACTS)
        progress = Progress(store.paths, store.record, Console(quiet=True), 1)
        progress.show_trials(store.trials(), 1)
        progress.finish("done", "")
    StudyPaths(tmp_path).study_json.unlink()
    console = Console(width=120, file=io.StringIO())
    console.print(status_view(read_status(tmp_path)))
    shown = console.file.getvalue()  # type: ignore[attr-defined] # a StringIO
    assert "my number on" in shown
    assert "0.25" in shown


def with_a_copy(*, negated: bool = False) -> RecordedCurves:
    """The recorded students, whose negative log-likelihood is also told as a metric of the study's own."""
    curves, sign = read_curves(RECORDING), -1.0 if negated else 1.0
    direction = Direction.MAXIMIZE if negated else Direction.MINIMIZE
    declared = {**vars_of(DECLARED), "name": "validation_copy", "direction": direction.value}

    def copied(epoch: dict[str, float | None]) -> dict[str, float | None]:
        return {**epoch, "validation_copy": sign * float(epoch["validation_nll"] or 0.0)}

    trials = [
        each.model_copy(update={"epochs": tuple(copied(epoch) for epoch in each.epochs)}) for each in curves.trials
    ]
    config = {**curves.config, "metrics": [{"name": "not.here:copy", "declared": declared}]}
    return curves.model_copy(update={"trials": tuple(trials), "config": config})


def test_search_and_early_stopping_treat_it_as_the_declared_metric_that_it_equals() -> None:
    """The negative of validation_nll, to be maximised, leads to the same students, stopped at the same rungs."""
    curves = with_a_copy(negated=True)

    def found(quality: str) -> list[tuple[float, ...]]:
        settings = [
            f'objectives=["{quality}", "latency_p50_ms_batch64"]', "search.num_trials=8",
            "search.trials_per_method={labels=3, kd=5}", "search.sampler=known_cost", "search.num_startup_trials=2",
            "search.early_stopping=pareto_halving",
        ]  # fmt: skip
        config = parse_config(overridden(curves.config, settings), "test")
        summary, _ = replay_once(curves, config, seed=3, num_workers=2)
        return [(summary.num_asked, summary.num_complete, summary.epochs, summary.hypervolume)]

    assert np.array(found("validation_copy")) == pytest.approx(np.array(found("validation_nll")), rel=1e-9)


def test_evidence_by_another_metric_of_the_same_name_is_refused(tmp_path: Path) -> None:
    write_curves(with_a_copy(), tmp_path / "there.json.gz")
    told = ["search.sampler=known_cost", 'objectives=["validation_copy", "latency_p50_ms_batch64"]']
    same = parse_config(overridden(with_a_copy().config, told), "test")
    other = parse_config(overridden(with_a_copy(negated=True).config, told), "test")
    space = search_spaces.build(same.space)
    assert len(warm_start(tmp_path / "there.json.gz", same, space).curves.trials) == 160
    with pytest.raises(ValueError, match=r"its metric validation_copy is another: .*direction is .minimize. there"):
        warm_start(tmp_path / "there.json.gz", other, space)


def test_card_of_an_exported_student_tells_it_of_the_test_images(tmp_path: Path) -> None:
    """Of the very weights, not the mean over the seeds."""
    results = verified(tmp_path)
    assert results.verification is not None
    run = results.verification.runs[1]
    told = card_metrics(results, results.trials[0], run)
    assert run.on_test is not None
    assert told["test_brier"] == run.on_test.own["brier"] == 0.4


def test_name_is_a_metric_of_its_study_alone() -> None:
    assert is_metric("validation_brier", (DECLARED,))
    assert not is_metric("validation_brier")
    with pytest.raises(ValueError, match='unknown metric "validation_brier"'):
        metric("validation_brier")
