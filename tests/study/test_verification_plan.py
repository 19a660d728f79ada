"""What is verified: a spread of the front, partners that differ in method alone, seeds that the search never saw."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.results import read_study
from study.config import VerifyConfig
from study.verification_plan import best_of, fresh_seed, partner_of, plan, spread
from tests.analysis.study_directory import MadeTrial, write_study
from trainables.config import LossConfig, TransferConfig
from trainables.metrics import metric
from trainables.records import TrialRecord
from trainables.verified import PlannedRun, Role

OBJECTIVES = [metric("validation_accuracy"), metric("latency_p50_ms_batch1")]
KD = {"method": "kd", "temperature": 4.0, "alpha": 0.5}


def stored(root: Path, made: Sequence[MadeTrial]) -> tuple[TrialRecord, ...]:
    return read_study(write_study(root, made)).trials


def planned(
    trials: Sequence[TrialRecord], *, max_students: int = 4, seeds: int = 3, seed: int = 0, teacher: str = "t"
) -> list[PlannedRun]:
    config = VerifyConfig(max_students=max_students, seeds=seeds)
    return plan(trials, OBJECTIVES, config, seed=seed, teacher_fingerprint=teacher)


def front_of(count: int) -> list[MadeTrial]:
    return [
        MadeTrial(width=width, latency_ms=0.1 * width, accuracy=0.9 + 0.005 * width, **KD)  # type: ignore[arg-type]
        for width in (1, 2, 4, 8, 16)[:count]
    ]


def test_partner_of_a_distilled_student_learns_from_labels_and_is_alike_in_all_else(tmp_path: Path) -> None:
    (trial,) = stored(tmp_path, front_of(1))
    assert trial.student is not None
    partner = partner_of(trial.student, [trial])
    assert partner is not None
    assert partner.loss == LossConfig(name="labels")
    assert partner.model_copy(update={"loss": trial.student.loss}) == trial.student


def test_partner_of_a_labels_only_student_takes_the_best_distillation_of_its_network(tmp_path: Path) -> None:
    made = [
        MadeTrial(width=4, batch_size=64, learning_rate=0.01),
        MadeTrial(width=4, method="kd", temperature=2.0, alpha=0.3, accuracy=0.96, batch_size=256),
        MadeTrial(width=4, method="kd", temperature=8.0, alpha=0.9, accuracy=0.98, batch_size=256),
        MadeTrial(width=8, method="kd", temperature=1.0, alpha=0.1, accuracy=0.99),
        MadeTrial(width=4, method="kd", temperature=16.0, alpha=0.1, accuracy=0.999, state="pruned"),
    ]
    trials = stored(tmp_path, made)
    assert trials[0].student is not None
    partner = partner_of(trials[0].student, trials)
    assert partner is not None
    assert partner.loss == LossConfig(name="kd", options={"temperature": 8.0, "alpha": 0.9})
    assert partner.training == trials[0].student.training


def test_labels_only_student_of_a_network_that_nobody_distilled_into_has_no_partner(tmp_path: Path) -> None:
    runs = planned(stored(tmp_path, [MadeTrial(width=4)]))
    assert [run.role for run in runs] == [Role.STUDENT] * 3


def test_both_ends_of_the_front_are_verified(tmp_path: Path) -> None:
    runs = planned(stored(tmp_path, front_of(5)), max_students=3)
    assert list(dict.fromkeys(run.trial for run in runs)) == [0, 2, 4]


def test_single_verified_student_is_the_most_accurate(tmp_path: Path) -> None:
    assert {run.trial for run in planned(stored(tmp_path, front_of(5)), max_students=1)} == {4}


@given(num_students=st.integers(0, 12), max_students=st.integers(0, 12))
def test_spread_takes_as_many_as_allowed_each_once_in_order(num_students: int, max_students: int) -> None:
    students = [trial_of(number) for number in range(num_students)]
    numbers = [trial.number for trial in spread(students, max_students)]
    assert len(numbers) == min(num_students, max_students)
    assert numbers == sorted(set(numbers))
    if max_students >= 2 and num_students >= 2:
        assert {0, num_students - 1} <= set(numbers)


def trial_of(number: int) -> TrialRecord:
    fields: dict[str, Any] = {"number": number, "metrics": {"validation_accuracy": 0.5}}
    return TrialRecord.model_construct(**fields)


def test_stopped_student_is_never_verified(tmp_path: Path) -> None:
    assert planned(stored(tmp_path, [MadeTrial(state="pruned"), MadeTrial(state="fail", accuracy=None)])) == []


def test_no_students_are_asked_for_no_runs(tmp_path: Path) -> None:
    assert planned(stored(tmp_path, front_of(3)), max_students=0) == []


def test_pairs_share_their_seeds_and_none_is_the_searchs(tmp_path: Path) -> None:
    runs = planned(stored(tmp_path, front_of(3)), seeds=3)
    seeds = {(run.trial, run.role): [] for run in runs}  # type: dict[tuple[int, Role], list[int]]
    for run in runs:
        seeds[run.trial, run.role].append(run.student.training.seed)
    assert len({tuple(each) for each in seeds.values()}) == 1
    fresh = next(iter(seeds.values()))
    assert len(set(fresh)) == 3
    assert 0 not in fresh


@given(st.integers(0, 2**32 - 1), st.integers(1, 100))
def test_fresh_seed_is_a_seed_and_another_one(seed: int, index: int) -> None:
    assert 0 <= fresh_seed(seed, index) < 2**32
    assert fresh_seed(seed, index) != seed


def test_equal_configurations_have_one_fingerprint_and_a_new_teacher_another(tmp_path: Path) -> None:
    """A labels-only and a distilled student of the front that are each other's partners are trained once."""
    made = [
        MadeTrial(width=2, accuracy=0.97, latency_ms=0.1),
        MadeTrial(width=2, accuracy=0.97, latency_ms=0.1, **KD),  # type: ignore[arg-type]
    ]
    trials = stored(tmp_path, made)
    runs = planned(trials)
    assert len(runs) == 12
    assert len({run.fingerprint for run in runs}) == 6
    assert not {run.fingerprint for run in runs} & {run.fingerprint for run in planned(trials, teacher="other")}


@pytest.mark.parametrize("fields", [{"max_students": -1}, {"seeds": 0}])
def test_impossible_settings_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="greater than or equal"):
        VerifyConfig(**fields)


def test_best_of_each_kind_is_verified_where_it_is_asked_for(tmp_path: Path) -> None:
    """Most accurate on validation, whatever its latency, of those that finished; the front may be left out."""
    made = [
        MadeTrial(width=2, accuracy=0.95),
        MadeTrial(width=2, accuracy=0.96, learning_rate=1e-2),
        MadeTrial(width=8, accuracy=0.98),
        MadeTrial(width=2, accuracy=0.94, **KD),  # type: ignore[arg-type]
        MadeTrial(width=2, accuracy=0.99, state="pruned", method="attention"),
        MadeTrial(width=8, accuracy=0.97, method="attention"),
    ]
    trials = stored(tmp_path, made)
    assert [trial.number for trial in best_of(trials, ("method", "width"))] == [1, 2, 3, 5]
    config = VerifyConfig(max_students=0, seeds=2, best_of=("method", "width"))
    runs = plan(trials, OBJECTIVES, config, seed=0, teacher_fingerprint="t")
    assert {run.role for run in runs} == {Role.BEST}
    assert [run.trial for run in runs] == [1, 1, 2, 2, 3, 3, 5, 5]
    assert len({run.student.training.seed for run in runs}) == 2


def test_parameter_that_a_method_has_not_is_a_value_of_its_own(tmp_path: Path) -> None:
    """Labels have no temperature; of kd each temperature has its best."""
    made = [
        MadeTrial(accuracy=0.95),
        MadeTrial(accuracy=0.96, learning_rate=1e-2),
        *(
            MadeTrial(method="kd", temperature=temperature, alpha=alpha, accuracy=accuracy)
            for temperature, alpha, accuracy in ((2.0, 0.5, 0.94), (2.0, 0.9, 0.97), (8.0, 0.5, 0.93), (8.0, 0.9, 0.92))
        ),
    ]
    trials = stored(tmp_path, made)
    assert [trial.number for trial in best_of(trials, ("method", "temperature"))] == [1, 3, 4]
    assert [trial.number for trial in best_of(trials, ("method",))] == [1, 3]
    assert best_of(trials, ()) == []


def test_parameter_that_a_method_has_for_itself_counts_under_the_common_name(tmp_path: Path) -> None:
    trials = [
        trial.model_copy(update={"parameters": {**trial.parameters, name: share}})
        for trial, (name, share) in zip(
            stored(tmp_path, [MadeTrial(accuracy=0.9), MadeTrial(accuracy=0.8), MadeTrial(accuracy=0.7)]),
            [("labels_label_share", 0.5), ("labels_label_share", 0.5), ("labels_label_share", 1.0)],
            strict=True,
        )
    ]
    assert [trial.parameter("label_share") for trial in trials] == [0.5, 0.5, 1.0]
    assert [trial.number for trial in best_of(trials, ("label_share",))] == [0, 2]


def test_images_of_a_part_are_drawn_anew_with_each_seed_and_alike_for_all_kinds(tmp_path: Path) -> None:
    trials = [
        trial.model_copy(update={"student": trial.student and trial.student.model_copy(update={"transfer": shown})})
        for trial, shown in zip(
            stored(tmp_path, [MadeTrial(), MadeTrial(**KD), MadeTrial(width=8)]),  # type: ignore[arg-type]
            [TransferConfig(share=0.1), TransferConfig(label_share=0.1), TransferConfig()],
            strict=True,
        )
    ]
    runs = plan(
        trials, OBJECTIVES, VerifyConfig(max_students=0, best_of=("method", "width")), seed=0, teacher_fingerprint="t"
    )
    draws = {number: [run.student.transfer.seed for run in runs if run.trial == number] for number in range(3)}
    assert draws[0] == draws[1] == [fresh_seed(0, index) for index in (1, 2, 3)]
    assert draws[2] == [0, 0, 0]


def test_kind_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\['width', 'width'\] names a parameter twice"):
        VerifyConfig(best_of=("width", "width"))


def shown(trial: TrialRecord, transfer: TransferConfig) -> TrialRecord:
    assert trial.student is not None
    return trial.model_copy(update={"student": trial.student.model_copy(update={"transfer": transfer})})


def test_partner_is_shown_the_same_images_and_labels(tmp_path: Path) -> None:
    """Of the two distilled students the better one has seen all images, the labels-only one a tenth of them."""
    labels, tenth, whole = stored(tmp_path, [MadeTrial(accuracy=0.9), MadeTrial(**KD), MadeTrial(accuracy=0.99, **KD)])  # type: ignore[arg-type]
    part = TransferConfig(share=0.1)
    trials = [shown(labels, part), shown(tenth, part), whole]
    assert trials[0].student is not None
    partner = partner_of(trials[0].student, trials)
    assert partner is not None
    assert partner == trials[1].student
    assert partner_of(trials[0].student, [trials[0], whole]) is None


def test_student_without_labels_has_no_labels_only_partner(tmp_path: Path) -> None:
    (trial,) = stored(tmp_path, [MadeTrial(**KD)])  # type: ignore[arg-type]
    student = shown(trial, TransferConfig(label_share=0.0)).student
    assert student is not None
    assert partner_of(student, [trial]) is None


def taught_by(trial: TrialRecord, method: str, *, mixup: float = 0.0) -> TrialRecord:
    assert trial.student is not None
    augmentation = trial.student.training.augmentation.model_copy(update={"mixup": mixup})
    training = trial.student.training.model_copy(update={"augmentation": augmentation})
    student = trial.student.model_copy(update={"loss": LossConfig(name=method), "training": training})
    return trial.model_copy(update={"student": student})


def test_partner_is_shown_mixed_images_only_where_its_own_method_is(tmp_path: Path) -> None:
    (labels,) = stored(tmp_path, [MadeTrial(width=4)])
    matched = taught_by(labels, "function_matching", mixup=1.0)
    assert labels.student is not None
    assert matched.student is not None
    assert partner_of(matched.student, ()) == labels.student
    assert partner_of(labels.student, [matched]) == matched.student


def test_controls_without_a_teacher_are_no_partner_of_labels(tmp_path: Path) -> None:
    (labels,) = stored(tmp_path, [MadeTrial(width=4)])
    assert labels.student is not None
    controls = [taught_by(labels, name) for name in ("label_smoothing", "teacher_free_kd")]
    assert partner_of(labels.student, controls) is None
    assert partner_of(labels.student, [*controls, taught_by(labels, "dist")]) is not None
