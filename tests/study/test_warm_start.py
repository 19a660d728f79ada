"""Another study's students as evidence: which of them fit, what they tell here, and that they go with the study."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

import search_spaces
from analysis.curves import read_curves, write_curves
from analysis.report_words import asked
from analysis.results import StudyResults
from study import replays
from study import store as stores
from study.cli import app
from study.config import StudyConfig, overridden, parse_config
from study.search.evidence import evidence_trials, point_of
from study.search.proposer import Proposer
from study.warm_start import WarmStart, warm_start
from trainables.config import StudentConfig
from trainables.metrics import metric
from trainables.records import METRICS_ATTRIBUTE, EvidenceRecord

RECORDING = Path(__file__).parents[1] / "recorded" / "mnist-grid-0.json.gz"
FEW_EPOCHS = "space.options.epochs=2"


def configured(*overrides: str) -> StudyConfig:
    """As the recorded study, with the sampler that takes evidence."""
    shares = "search.trials_per_method={labels=6, kd=6}"
    told = ["search.sampler=known_cost", "search.num_trials=12", shares, *overrides]
    return parse_config(overridden(read_curves(RECORDING).config, told), "test")


def started(*overrides: str, source: Path = RECORDING) -> WarmStart:
    config = configured(*overrides)
    return warm_start(source, config, search_spaces.build(config.space))


def twice_as_slow(student: StudentConfig) -> dict[str, float | None]:
    return {"latency_p50_ms_batch64": 2.0 * float(str(student.model.options["width"]))}


def test_every_student_of_the_same_space_fits_whatever_its_training_seed() -> None:
    told = started("seed=7")
    assert len(told.curves.trials) == 160
    assert told.left_out == {}


def test_trials_tell_what_training_showed_there_and_what_the_profile_says_here() -> None:
    config = configured()
    recorded = read_curves(RECORDING).trials
    objectives = [metric(name) for name in ("validation_accuracy", "latency_p50_ms_batch64")]
    trials = evidence_trials(recorded, search_spaces.build(config.space), objectives, twice_as_slow)
    assert [each.params for each in trials] == [each.parameters for each in recorded]
    for there, here in zip(recorded, trials, strict=True):
        assert here.values == [there.epochs[-1]["validation_accuracy"], 2.0 * float(there.parameters["width"])]
        assert here.user_attrs["epoch:3"] == there.epochs[2]
        assert here.user_attrs[METRICS_ATTRIBUTE]["latency_p50_ms_batch64"] == here.values[1]


def test_student_whose_architecture_was_not_measured_here_tells_nothing() -> None:
    config = configured()
    objectives = [metric("validation_accuracy"), metric("latency_p50_ms_batch64")]
    space = search_spaces.build(config.space)
    assert evidence_trials(read_curves(RECORDING).trials[:3], space, objectives, lambda _: {}) == ()


def test_students_outside_the_space_are_left_out_and_the_reason_is_told() -> None:
    """Of eight widths three are left, of two batch sizes one: 10 ways of teaching each."""
    told = started("space.options.widths=[1, 2, 4]", "space.options.batch_sizes=[64]")
    assert len(told.curves.trials) == 3 * 10
    assert told.left_out == {"width lies outside the space": 100, "batch_size lies outside the space": 30}
    assert "left out: 100 (width lies outside the space), 30 (batch_size lies outside the space)" in told.text


def test_student_that_was_trained_otherwise_is_another() -> None:
    (trial, *_) = read_curves(RECORDING).trials
    with pytest.raises(ValueError, match=r"^training\.epochs is 9 there and 2 here$"):
        point_of(trial, search_spaces.build(configured(FEW_EPOCHS).space))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["teacher.model.options.width=16"],
            r"its teacher is another: teacher\.model\.options\.width is 48 there and 16",
        ),
        (["teacher.training.seed=5"], r"its teacher is another: teacher\.training\.seed is 0 there and 5 here"),
        (["dataset.num_validation_images=999"], r"its dataset is another: dataset\.num_validation_images is \d+ there"),
        ([FEW_EPOCHS], r"none of its 160 students fits: 160 \(training\.epochs is 9 there and 2 here\)"),
        (
            ["search.sampler=tpe"],
            'search.sampler = "tpe" takes no evidence: allowed with --warm-start are known_cost, and',
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(overrides: Sequence[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        started(*overrides)


def test_student_whose_objective_was_not_recorded_does_not_fit(tmp_path: Path) -> None:
    curves = read_curves(RECORDING)
    epochs = tuple({**epoch, "validation_accuracy": None} for epoch in curves.trials[0].epochs)
    unknown = curves.trials[0].model_copy(update={"epochs": epochs})
    write_curves(curves.model_copy(update={"trials": (unknown, *curves.trials[1:])}), tmp_path / "x.json.gz")
    told = started(source=tmp_path / "x.json.gz")
    assert told.left_out == {"validation_accuracy is unknown": 1}
    assert len(told.curves.trials) == 159


def test_evidence_goes_with_the_study_and_its_first_student_is_asked_by_the_model(tmp_path: Path) -> None:
    """Of all that were seen, it is one of the better half of its own width: a cold start takes what comes."""
    source = tmp_path / "there.json.gz"
    source.write_bytes(RECORDING.read_bytes())
    config = configured()
    space = search_spaces.build(config.space)
    told = warm_start(source, config, space)
    with stores.create(tmp_path / "new", config, evidence=told.curves) as store:
        first = Proposer(store, space, twice_as_slow).next()
    source.unlink()
    assert first is not None
    with stores.reopen(tmp_path / "new") as store:
        assert len(store.evidence) == 160
        assert store.record.evidence == EvidenceRecord(
            study="mnist-grid", created_at=told.curves.created_at, num_students=160
        )
        again = Proposer(store, space, twice_as_slow).next()
    assert again == first
    peers = [each for each in told.curves.trials if each.student.model == first.student.model]
    (asked_for,) = [each for each in peers if each.student == first.student]
    accuracies = sorted(float(each.epochs[-1]["validation_accuracy"] or 0.0) for each in peers)
    assert float(asked_for.epochs[-1]["validation_accuracy"] or 0.0) >= accuracies[len(accuracies) // 2]


def test_evidence_that_is_gone_from_the_study_is_missed(tmp_path: Path) -> None:
    with stores.create(tmp_path, configured(), evidence=started().curves) as store:
        store.paths.evidence.unlink()
    with pytest.raises(ValueError, match=r"evidence\.json\.gz: neither"), stores.reopen(tmp_path):
        pass


def test_dry_run_tells_how_many_fit_and_a_misfit_is_one_line(tmp_path: Path) -> None:
    options = ["run", "mnist", "--dry-run", "--dir", str(tmp_path / "new"), "--warm-start", str(RECORDING)]
    said = CliRunner().invoke(app, options)
    assert said.exit_code == 2
    assert said.stderr.count("\n") == 1
    assert said.stderr.startswith(f"kd-study: --warm-start {RECORDING}: ")
    toml = ["run", "mnist-grid", "--set", "search.sampler=known_cost", *options[2:]]
    said = CliRunner().invoke(app, toml)
    assert said.exit_code == 0, said.output
    assert f"warm start: 160 students of study mnist-grid ({RECORDING}) are evidence" in said.stdout.replace("\n", " ")


def test_report_tells_of_the_evidence(tmp_path: Path) -> None:
    config = configured()
    with stores.create(tmp_path, config, evidence=started().curves) as store:
        results = StudyResults(store.record, None, None, (), ())
    assert "The sampler was told beforehand of 160 students of study mnist-grid" in asked(results)[0]


def test_what_a_killed_driver_left_of_its_evidence_stands_in_nobodys_way_and_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / ".evidence.json-x1.gz").touch()
    (tmp_path / "evidence.json.gz").write_bytes(RECORDING.read_bytes())
    with stores.create(tmp_path, configured()) as store:
        assert store.evidence == ()
    assert not [path.name for path in tmp_path.iterdir() if "evidence" in path.name]


def test_copy_of_the_evidence_counts_only_what_had_no_end_as_left_out() -> None:
    told = started("space.options.widths=[1, 2, 4]")
    assert told.curves.num_left_out == read_curves(RECORDING).num_left_out == 0
    assert sum(told.left_out.values()) == 100


def test_study_without_an_end_and_a_torn_recording_are_each_one_line(tmp_path: Path) -> None:
    torn = bytearray(RECORDING.read_bytes())
    torn[100:200] = bytes(100)
    (tmp_path / "torn.json.gz").write_bytes(torn)
    with pytest.raises(ValueError, match=r"^--warm-start: .*torn\.json\.gz: neither a study's directory nor recorded"):
        started(source=tmp_path / "torn.json.gz")
    with stores.create(tmp_path / "new", configured()):
        pass
    with pytest.raises(ValueError, match=r"^--warm-start: study mnist-grid has no trial that ran to its end$"):
        started(source=tmp_path / "new")


def test_replay_of_a_warm_started_study_is_told_what_that_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configured("search.num_trials=1", "search.trials_per_method={labels=1, kd=0}")
    with stores.create(tmp_path / "new", config, evidence=started().curves):
        pass
    told: list[int] = []

    def note(*_: object, evidence: Sequence[object], **__: object) -> None:
        told.append(len(evidence))
        raise KeyboardInterrupt

    monkeypatch.setattr(replays, "read_curves", lambda _: read_curves(RECORDING))
    monkeypatch.setattr(replays, "Replay", note)
    with pytest.raises(KeyboardInterrupt):
        replays.replay(tmp_path / "new", [], num_workers=1, num_seeds=1, save=None)
    assert told == [160]
