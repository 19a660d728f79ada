"""What the report says of the transfer analysis: words that read the numbers, its table, its place in the page."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis.report import report_html
from analysis.report_transfer import transfer_figures, transfer_table, transfer_words
from analysis.results import StudyResults, read_study
from analysis.transfer_records import Share, StudentTransfer, TeacherTransfer, TransferRecord
from tests.analysis.page import Page
from tests.analysis.study_directory import MadeTrial, write_study
from tests.analysis.transfers import name_of, student_transfer, transfer_record, verify_with_weights
from trainables.verified import Role

LABELS = MadeTrial(width=4, accuracy=0.97)
KD = MadeTrial(width=4, method="kd", temperature=4.0, alpha=0.5, accuracy=0.98)
S, P = Role.STUDENT, Role.PARTNER


def results(root: Path, *students: StudentTransfer, **changed: Any) -> StudyResults:
    study = read_study(write_study(root / "demo", [LABELS, KD]))
    return replace(study, transfer=transfer_record(*students, **changed)) if students else study


def pair(index: int, num_agreeing: int, num_on_mistakes: int, **changed: Any) -> list[StudentTransfer]:
    """A distilled student of a seed beside its control, which agrees on 880 images and on 12 of the mistakes."""
    control = student_transfer(1, LABELS.student, seed_index=index, role=P, num_agreeing=880, num_on_mistakes=12)
    return [
        student_transfer(
            1, KD.student, seed_index=index, control=name_of(1, P, index), num_agreeing=num_agreeing,
            num_on_mistakes=num_on_mistakes, **changed,
        ),
        control,
    ]  # fmt: skip


def usual(root: Path) -> StudyResults:
    return results(root, *pair(1, 950, 30), *pair(2, 952, 28), *pair(3, 951, 29))


def text_of(study: StudyResults) -> str:
    return " ".join(transfer_words(study))


def test_before_the_analysis_it_says_how_to_get_it(tmp_path: Path) -> None:
    study = results(tmp_path)
    (sentence,) = transfer_words(study)
    assert "python -m analysis transfer DIR" in sentence
    assert transfer_figures(study) == ()
    page = Page(report_html(study, (), datetime(2025, 5, 7, tzinfo=UTC)))
    assert "What was transferred" in page.text
    assert "python -m analysis transfer DIR" in page.text


def test_it_reads_agreement_beside_the_control_on_all_images_and_on_the_teachers_mistakes(tmp_path: Path) -> None:
    text = text_of(usual(tmp_path))
    assert "6 trained students and the teacher were run on the same 1,000 validation images" in text
    assert "The teacher gets 40 of them wrong (4.00 %)" in text
    assert "Width 4, kd (trial 1, means over 3 seeds): says what the teacher says on 95.10 % of all images" in text
    assert "the same network taught by labels on 88.00 %: more, +7.10 points" in text
    assert "it says the same on 29 of the 40 (57 to 84 %), the control on 12 of the 40 (18 to 45 %): more" in text


def test_difference_that_the_seeds_leave_open_is_not_called_one(tmp_path: Path) -> None:
    study = results(tmp_path, *pair(1, 870, 11), *pair(2, 900, 14), *pair(3, 872, 12))
    assert text_of(study).count("a difference that the seeds do not decide") == 2
    one_seed = results(tmp_path / "one", *pair(1, 950, 30))
    assert "a difference of one seed, +7.00 points (one seed)" in text_of(one_seed)


def test_more_is_said_by_p_values_that_are_corrected_for_every_comparison(tmp_path: Path) -> None:
    """Alone the differences 0.04, 0.05 and 0.07 have p 0.026; eight measures of two students make it 0.42."""
    other = MadeTrial(width=4, method="attention").student
    aside = [
        student_transfer(0, other, seed_index=index, control=name_of(1, P, index), num_agreeing=880, num_on_mistakes=12)
        for index in (1, 2, 3)
    ]
    alone = [student for index, agreeing in ((1, 920), (2, 930), (3, 950)) for student in pair(index, agreeing, 12)]
    text = text_of(results(tmp_path, *alone, *aside))
    assert "on 88.00 %: a difference that the seeds do not decide, +5.33 points (95 % interval +1.54" in text
    assert "corrected p 0.42" in text
    assert "corrected by Holm's method for 16 comparisons with a control: 2 distilled students" in text


def test_methods_without_a_teacher_are_no_distilled_students(tmp_path: Path) -> None:
    smoothed = MadeTrial(width=4, method="label_smoothing").student
    control = student_transfer(0, smoothed, control=name_of(1, P, 1), ece=0.2)
    text = text_of(results(tmp_path, *pair(1, 950, 30), control))
    assert "agreement with the teacher in 1 of 1" in text
    assert "distilled students' 1.00 %, labels-only students' 1.00 % and label_smoothing students' 20.00 %" in text
    assert "Width 4, label_smoothing" not in text


def test_control_that_was_tuned_for_itself_is_said_so(tmp_path: Path) -> None:
    slow = MadeTrial(width=4, learning_rate=1e-4).student
    for role, words in (
        (Role.BEST, "taught by labels (the best of its own kind, tuned for itself, not trained alike) on"),
        (None, "taught by labels (picked as the most accurate labels-only student of its network, not trained alike)"),
    ):
        students = [
            student_transfer(1, KD.student, role=role, control=name_of(0, role, 1)),
            student_transfer(0, slow, role=role),
        ]
        assert words in text_of(results(tmp_path / str(role), *students))
    assert "trained alike" not in text_of(usual(tmp_path / "alike"))


def test_of_many_students_kd_and_the_largest_differences_come_first(tmp_path: Path) -> None:
    control = student_transfer(0, LABELS.student, num_agreeing=880)
    others = [
        student_transfer(
            number, MadeTrial(width=4, method="attention").student, control=control.weights, num_agreeing=880 + number
        )
        for number in range(2, 12)
    ]  # fmt: skip
    kd = student_transfer(20, KD.student, control=control.weights, num_agreeing=881)
    words = transfer_words(results(tmp_path, control, *others, kd))
    assert "kd (trial 20)" in words[1]
    assert "attention (trial 11)" in words[2]
    assert "3 more students with a control: in the table." in words


def test_last_assistant_is_named_as_the_teacher(tmp_path: Path) -> None:
    study = usual(tmp_path)
    config = study.record.config | {"assistants": [{}]}
    assisted = replace(study, record=study.record.model_copy(update={"config": config}))
    first, *others = transfer_words(assisted)
    assert first.startswith("The teacher here is the last assistant, cnn(width=4), which taught the students.")
    assert "assistant" not in " ".join([*others, *transfer_words(study)])


def test_boundaries_that_were_not_reached_are_said_so(tmp_path: Path) -> None:
    assert "It was reached on 90 to 100 of them, by network" in text_of(usual(tmp_path))
    every = usual(tmp_path / "fewer")
    assert every.transfer is not None
    reached = every.transfer.model_copy(update={"num_boundary_images": 90})
    assert "It was reached" not in text_of(
        replace(every, transfer=reached.model_copy(update={"teacher": _reaching(reached, 90)}))
    )


def _reaching(record: TransferRecord, num_reached: int) -> TeacherTransfer:
    boundary = record.teacher.boundary.model_copy(update={"num_reached": num_reached})
    return record.teacher.model_copy(update={"boundary": boundary})


def test_teacher_without_a_mistake_is_said_so(tmp_path: Path) -> None:
    none = Share(num=0, total=0)
    students = [
        each.model_copy(update={"agreement_on_mistakes": none}) for each in [*pair(1, 950, 0), *pair(2, 952, 0)]
    ]
    text = text_of(results(tmp_path, *students))
    assert "The teacher makes no mistake here." in text
    assert "Where the teacher is wrong" not in text


def test_it_counts_the_networks_where_the_student_is_nearer_than_its_control(tmp_path: Path) -> None:
    nearer = {"kl_t1_nats": 0.01, "kl_t4_nats": 0.06, "rank_correlation": 0.7}  # the control: 0.05, 0.04, 0.5
    text = text_of(results(tmp_path, *pair(1, 950, 30, **nearer)))
    assert "KL from the teacher at T 1 in 1 of 1, KL from the teacher at T 4 in 0 of 1" in text
    assert "rank correlation of non-target logits in 1 of 1" in text


def test_without_any_control_it_says_that_nothing_can_be_said(tmp_path: Path) -> None:
    assert "No distilled student has a labels-only control" in text_of(
        results(tmp_path, student_transfer(1, KD.student))
    )


def in_order(num_students: int) -> list[StudentTransfer]:
    """The more accurate, the better calibrated."""
    return [
        student_transfer(1, KD.student, seed_index=index, accuracy=0.9 + 0.01 * index, ece=0.08 - 0.01 * index)
        for index in range(num_students)
    ]


def test_measures_that_go_with_accuracy_are_named_with_their_sign(tmp_path: Path) -> None:
    text = text_of(results(tmp_path, *in_order(5)))
    assert "Among the students of one network (5 each, whatever taught them), what goes with accuracy" in text
    assert "calibration error (ECE) (-1.00 at width 4)" in text


def test_measures_whose_sign_may_be_luck_are_not_named(tmp_path: Path) -> None:
    text = text_of(results(tmp_path, *in_order(4)))
    assert "no measure is told to go with accuracy at the one size with enough of them" in text
    assert "1 measure of 11 at least with the same sign" in text


def test_too_few_students_go_with_nothing(tmp_path: Path) -> None:
    text = text_of(results(tmp_path, *pair(1, 950, 30)))
    assert "no network has three students that differ" in text


def test_students_that_were_left_out_are_named(tmp_path: Path) -> None:
    study = results(tmp_path, *pair(1, 950, 30), left_out=("students/3.safetensors: torn",))
    assert "1 student could not be analysed: students/3.safetensors: torn." in text_of(study)


def test_study_that_has_gone_on_since_is_said_so(tmp_path: Path) -> None:
    root = write_study(tmp_path / "demo", [LABELS, KD])
    verify_with_weights(root, [(1, S, KD.student)], num_seeds=2)
    first, second = (
        student_transfer(1, KD.student, seed_index=index, weights=f"verify/1student{index}.safetensors")
        for index in (1, 2)
    )
    study = read_study(root)
    assert "has gone on since" not in text_of(replace(study, transfer=transfer_record(first, second)))
    assert "has gone on since" in text_of(replace(study, transfer=transfer_record(first)))


def test_table_has_a_row_for_each_configuration_with_its_means(tmp_path: Path) -> None:
    table = transfer_table(usual(tmp_path))
    assert [row[:4] for row in table.rows] == [("1", "4", "kd (distilled)", "3"), ("1", "4", "labels only", "3")]
    distilled, labels = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert distilled["agreement with the teacher"] == "95.10 %"
    assert distilled["agreement with the teacher, less the control's"] == "+7.10 points"
    assert labels["agreement with the teacher, less the control's"] == "-"
    assert table.rows[0][6] == "below 0.001"
    assert {len(row) for row in table.rows} == {len(table.columns)}


def test_section_stands_in_the_page_with_its_figures_and_files(tmp_path: Path) -> None:
    study = usual(tmp_path)
    html = report_html(study, (), datetime(2025, 5, 7, tzinfo=UTC))
    page = Page(html)
    assert page.open == []
    for each in transfer_figures(study):
        assert each.question in page.text
    assert {"transfer.csv", "transfer.json"} <= set(page.addresses)


def test_record_survives_its_file() -> None:
    record = transfer_record(*pair(1, 950, 30))
    assert TransferRecord.model_validate_json(record.model_dump_json()) == record
