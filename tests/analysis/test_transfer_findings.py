"""What the analysis says over a study: means over seeds, excess over the control, intervals, correlations, rows."""

from math import sqrt

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from analysis.transfer_comparisons import excesses
from analysis.transfer_findings import (
    MEASURES,
    compared,
    configurations,
    correlations,
    transfer_table,
    wilson_interval,
)
from analysis.transfer_records import LayerMatrix, Share, StudentTransfer, TransferRecord
from tests.analysis.study_directory import MadeTrial
from tests.analysis.transfers import name_of, student_transfer, transfer_record
from trainables.verified import Role

KD = MadeTrial(width=4, method="kd", temperature=4.0, alpha=0.5).student
LABELS = MadeTrial(width=4).student
S, P = Role.STUDENT, Role.PARTNER


def pair(agreeing: list[int], control_agreeing: list[int]) -> TransferRecord:
    """A distilled student and its labels-only partner, seed by seed."""
    mine = [
        student_transfer(3, KD, seed_index=index, control=name_of(3, P, index), num_agreeing=each)
        for index, each in enumerate(agreeing, start=1)
    ]
    its = [
        student_transfer(3, LABELS, seed_index=index, role=P, num_agreeing=each, num_on_mistakes=10)
        for index, each in enumerate(control_agreeing, start=1)
    ]
    return transfer_record(*mine, *its)


def of_accuracies(accuracies: list[float], **measured: list[float]) -> list[StudentTransfer]:
    students = [
        student_transfer(3, LABELS, seed_index=index, accuracy=accuracy) for index, accuracy in enumerate(accuracies)
    ]
    return [
        student.model_copy(update={name: values[index] for name, values in measured.items()})
        for index, student in enumerate(students)
    ]


def test_seeds_of_one_configuration_stand_together_beside_their_controls() -> None:
    distilled, labels = configurations(pair([900, 920], [890, 900]))
    assert [run.seed_index for run in distilled.runs] == [1, 2]
    assert [control and control.seed_index for control in distilled.controls] == [1, 2]
    assert labels.controls == (None, None)
    assert compared(pair([900, 920], [890, 900])) == [distilled]


def test_excess_is_over_the_control_of_the_same_seed() -> None:
    """Differences 0.010 and 0.020: mean 0.015, standard error 0.005, and t(1) at 97.5 % is 12.706."""
    distilled, _ = configurations(pair([900, 920], [890, 900]))
    excess = distilled.excess("agreement")
    assert excess is not None
    assert excess.mean == pytest.approx(0.015)
    assert excess.high == pytest.approx(0.015 + 12.706 * 0.005, rel=1e-3)
    assert distilled.mean("agreement") == pytest.approx(0.91)
    assert distilled.control_mean("agreement") == pytest.approx(0.895)
    assert distilled.share(of_controls=False, on_mistakes=False) == Share(num=910, total=1_000)
    assert distilled.share(of_controls=True, on_mistakes=True) == Share(num=10, total=40)


def test_excesses_are_one_family_of_every_measure_that_has_a_direction() -> None:
    """Differences of 0.010 and 0.020 have p 0.205 (t 3, 1 degree of freedom); times eight measures it is 1."""
    found = excesses(pair([900, 920], [890, 900]))
    assert found.num_tests == sum(measure.closer != 0 for measure in MEASURES.values()) == 8
    (distilled,) = compared(pair([900, 920], [890, 900]))
    agreement = found.of(distilled, "agreement")
    assert agreement is not None
    assert agreement.difference.p_value == pytest.approx(0.2048, abs=1e-3)
    assert agreement.p_value == 1.0
    assert not agreement.is_decided


def test_methods_without_a_teacher_are_not_compared() -> None:
    smoothed = MadeTrial(width=4, method="label_smoothing").student
    control = student_transfer(1, LABELS, role=P)
    record = transfer_record(student_transfer(1, smoothed, control=control.weights), control)
    assert compared(record) == []
    assert excesses(record).all == ()


def test_without_a_control_there_is_no_excess() -> None:
    alone = configurations(transfer_record(student_transfer(3, KD)))[0]
    assert alone.excess("agreement") is None
    assert not alone.has_control


def test_wilson_interval_is_its_closed_form() -> None:
    """Wilson 1927: the roots of (p - share)^2 = z^2 p (1 - p) / n; for none of n it begins at 0."""
    z, share, num = 1.959964, 0.5, 20
    arm = z * sqrt(share * (1 - share) / num + z**2 / (4 * num**2)) / (1 + z**2 / num)
    middle = (share + z**2 / (2 * num)) / (1 + z**2 / num)
    assert wilson_interval(Share(num=10, total=20)) == pytest.approx((middle - arm, middle + arm), rel=1e-6)
    assert wilson_interval(Share(num=0, total=20)) == pytest.approx((0.0, z**2 / (num + z**2)), abs=1e-6)
    assert wilson_interval(Share(num=0, total=0)) is None


def test_correlation_with_accuracy_is_scipys_over_the_students_of_one_network() -> None:
    accuracies, kl = [0.91, 0.95, 0.93, 0.97], [0.3, 0.2, 0.25, 0.22]
    found = correlations(transfer_record(*of_accuracies(accuracies, kl_t1_nats=kl)))
    by_measure = {each.measure: each for each in found}
    assert by_measure["kl_t1_nats"].coefficient == pytest.approx(spearmanr(accuracies, kl).statistic)
    assert by_measure["kl_t1_nats"].num_students == 4
    assert by_measure["kl_t4_nats"].coefficient is None  # all the same


def test_other_networks_do_not_mix_into_a_correlation() -> None:
    """Within each size the measure falls as accuracy rises; over both together it would rise."""
    small = of_accuracies([0.90, 0.91, 0.92], ece=[0.03, 0.02, 0.01])
    wide = MadeTrial(width=8).student
    large = [
        student_transfer(4, wide, seed_index=index, accuracy=accuracy, ece=ece)
        for index, (accuracy, ece) in enumerate([(0.97, 0.33), (0.98, 0.32), (0.99, 0.31)])
    ]
    found = [each.coefficient for each in correlations(transfer_record(*small, *large)) if each.measure == "ece"]
    assert found == pytest.approx([-1.0, -1.0])


def test_a_correlation_of_few_students_is_told_from_0_only_where_it_is_clear() -> None:
    """Ten students in order but for one exchange, and ten without order: by the bootstrap, and by hand."""
    accuracies = [0.90 + 0.01 * place for place in range(10)]
    ordered, mixed = [0, 1, 2, 4, 3, 5, 6, 7, 8, 9], [5, 2, 8, 0, 9, 4, 1, 7, 3, 6]
    record = transfer_record(
        *of_accuracies(accuracies, ece=[0.01 * p for p in ordered], kl_t1_nats=[float(p) for p in mixed])
    )
    by_measure = {each.measure: each for each in correlations(record)}
    clear, unclear = by_measure["ece"], by_measure["kl_t1_nats"]
    assert clear.coefficient == pytest.approx(1 - 6 * 2 / (10 * 99))  # Spearman 1904: 1 - 6 sum d^2 / (n (n^2 - 1))
    assert clear.is_told_from_0
    assert clear.interval is not None
    assert clear.interval.low is not None
    assert 0.5 < clear.interval.low < clear.interval.value
    assert not unclear.is_told_from_0
    assert unclear.interval is not None
    assert unclear.interval.low is not None
    assert unclear.interval.low < 0.0


@pytest.mark.parametrize(("num_students", "is_told"), [(4, False), (5, True)])
def test_perfect_order_is_told_from_5_students_on(num_students: int, is_told: bool) -> None:
    """Of the 5! orders two are perfect, 1.7 %; of the 4! they are 8.3 %."""
    places = range(num_students)
    record = transfer_record(*of_accuracies([0.9 + 0.01 * p for p in places], ece=[0.1 - 0.01 * p for p in places]))
    ece = next(each for each in correlations(record) if each.measure == "ece")
    assert ece.coefficient == pytest.approx(-1.0)
    assert ece.is_told_from_0 == is_told


def test_two_students_correlate_with_nothing() -> None:
    found = correlations(transfer_record(*of_accuracies([0.91, 0.95], ece=[0.1, 0.2])))
    assert {each.coefficient for each in found} == {None}


def test_matched_layers_are_those_of_one_name() -> None:
    matrix = LayerMatrix(student_layers=("a", "b"), teacher_layers=("b", "c"), values=((0.1, None), (0.9, 0.3)))
    assert matrix.matched == pytest.approx(0.9)
    assert matrix.of("b", "c") == pytest.approx(0.3)
    no_shared = LayerMatrix(student_layers=("x",), teacher_layers=("y",), values=((0.5,),))
    assert no_shared.matched is None


def test_table_has_a_row_for_each_student_and_every_measure() -> None:
    record = pair([900, 920], [890, 900])
    table = transfer_table(record)
    assert len(table) == 4
    assert set(MEASURES) <= set(table.columns)
    first = table.iloc[0]
    assert first["agreement"] == pytest.approx(0.9)
    assert first["num_agreeing_on_mistakes"] == 20
    assert first["control"] == "verify/3-partner-1.safetensors"
    assert first["agreement_class1"] == pytest.approx(0.8)
    assert pd.isna(first["boundary_distance_class1"])
    assert np.isnan(table["cka"]).sum() == 0
