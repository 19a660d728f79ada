"""The transfer analysis of small real networks on real validation images, from weights on the disk to the report."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from analysis import transfer_networks
from analysis.__main__ import app
from analysis.results import read_study
from analysis.transfer import analyse, write_transfer
from analysis.transfer_records import TransferRecord
from analysis.transfer_students import analysed_students
from tests.analysis.study_directory import MadeTrial, write_study
from tests.analysis.transfers import (
    NUM_REAL_IMAGES,
    TEACHER_MODEL,
    network,
    trained_study,
    validation_images,
    verify_with_weights,
)
from trainables.checkpoints import save_weights
from trainables.study_paths import StudyPaths
from trainables.verified import Role

LABELS = MadeTrial(width=1, accuracy=0.94, learning_rate=1e-3)
KD = MadeTrial(width=1, method="kd", temperature=4.0, alpha=0.5, accuracy=0.96, learning_rate=1e-3)
OTHER_LABELS = MadeTrial(width=1, accuracy=0.97, learning_rate=2e-3)
WIDE = MadeTrial(width=2, method="kd", temperature=4.0, alpha=0.5)
PERCEPTRON = MadeTrial(width=8, family="tests.analysis.test_transfer:perceptron", accuracy=0.9)


def perceptron(*, input_shape: tuple[int, int, int], num_classes: int, width: int) -> torch.nn.Module:
    """A network of one's own: layers of other names, none of them spatial, and one that puts out no tensor."""
    channels, height, image_width = input_shape
    return Perceptron(channels * height * image_width, width, num_classes)


class Perceptron(torch.nn.Module):
    def __init__(self, num_pixels: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.unused = torch.nn.Linear(2, 2)
        self.pair = Pair()
        self.inner = torch.nn.Linear(num_pixels, width)
        self.classifier = torch.nn.Linear(width, num_classes)

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        pixels, _ = self.pair(images_NCHW)
        logits: torch.Tensor = self.classifier(self.inner(pixels).relu())
        return logits


class Pair(torch.nn.Module):
    def forward(self, images_NCHW: torch.Tensor) -> tuple[torch.Tensor, int]:
        return images_NCHW.flatten(1), 0


def analysed(root: Path) -> TransferRecord:
    return analyse(read_study(root), StudyPaths(root), progress=lambda _: None)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three students of the search; none is verified."""
    root = tmp_path_factory.mktemp("transfer") / "demo"
    return trained_study(root, [LABELS, KD, OTHER_LABELS, WIDE], {0: 5, 1: 6, 2: 7})


@pytest.fixture(scope="module")
def record(study: Path) -> TransferRecord:
    return analysed(study)


def test_agreement_is_counted_image_by_image(record: TransferRecord) -> None:
    images = validation_images()
    with torch.inference_mode():
        every = images.normalized(torch.arange(len(images)))
        teacher_N, student_N = (
            network(model, seed)(every).argmax(dim=1) for model, seed in ((TEACHER_MODEL, 0), (KD.model, 6))
        )
    same_N, is_mistake_N = teacher_N == student_N, teacher_N != images.labels_N
    student = next(each for each in record.students if each.trial == 1)
    assert (student.agreement.num, student.agreement.total) == (int(same_N.sum()), NUM_REAL_IMAGES)
    assert student.agreement_on_mistakes.num == int((same_N & is_mistake_N).sum())
    assert student.agreement_on_mistakes.total == record.teacher.num_mistakes == int(is_mistake_N.sum())
    assert student.accuracy == pytest.approx(float((student_N == images.labels_N).double().mean()))
    by_class = {each.label: each for each in student.classes}
    of_three_N = images.labels_N == 3
    assert by_class[3].num_images == int(of_three_N.sum())
    assert by_class[3].agreement == pytest.approx(float(same_N[of_three_N].double().mean()))


def test_means_over_classes_are_those_over_all_images(record: TransferRecord) -> None:
    for student in record.students:
        weighted = sum(each.num_images * (each.agreement or 0.0) for each in student.classes)
        assert weighted == pytest.approx(student.agreement.num)
        assert sum(each.num_images for each in student.classes) == record.num_images
    reached = [each for each in record.students if each.boundary.num_reached == record.num_images]
    assert len(reached) >= 2
    for student in reached:
        distances = sum(each.num_images * (each.boundary_distance or 0.0) for each in student.classes)
        assert distances / record.num_images == pytest.approx(student.boundary.mean_distance)


def test_directions_are_to_the_teachers_boundary_for_both_networks(record: TransferRecord) -> None:
    """The teacher's likeliest class and runner-up, whatever the student's are."""
    images = validation_images()
    every, student, teacher = (
        images.normalized(torch.arange(len(images))),
        network(KD.model, 6),
        network(TEACHER_MODEL, 0),
    )
    pairs_N2 = teacher(every).topk(2, dim=1).indices
    directions = []
    for each in (student, teacher):
        watched = every.clone().requires_grad_(True)
        chosen_N2 = each(watched).gather(1, pairs_N2)
        (gradient,) = torch.autograd.grad((chosen_N2[:, 0] - chosen_N2[:, 1]).sum(), watched)
        directions.append(gradient.flatten(1))
    expected = torch.nn.functional.cosine_similarity(directions[0], directions[1], dim=1).mean()
    found = next(each for each in record.students if each.trial == 1).boundary.cosine
    assert found == pytest.approx(float(expected), abs=1e-4)


def test_student_that_is_the_teacher_agrees_in_everything(tmp_path: Path) -> None:
    root = trained_study(tmp_path / "demo", [MadeTrial(width=4)], {0: 0})
    student = analysed(root).students[0]
    assert student.agreement.fraction == 1.0
    assert student.agreement_on_mistakes.fraction == 1.0
    assert student.kl_t1_nats == pytest.approx(0.0, abs=1e-9)
    assert student.rank_correlation == pytest.approx(1.0)
    assert student.boundary.cosine == pytest.approx(1.0, abs=1e-5)
    for matrix in (student.cka, student.attention):
        assert matrix.of("stage1", "stage1") == pytest.approx(1.0, abs=1e-5)
        assert matrix.of("stage2", "stage2") == pytest.approx(1.0, abs=1e-5)
    assert student.cka.of("stage1", "classifier") == pytest.approx(student.cka.of("classifier", "stage1") or 0.0)


def test_layers_that_are_not_spatial_have_no_attention(record: TransferRecord) -> None:
    attention = record.students[0].attention
    assert attention.student_layers == ("stage1", "stage2", "classifier")
    assert attention.of("classifier", "classifier") is None
    assert attention.of("stage1", "classifier") is None
    assert 0.0 < (attention.of("stage1", "stage2") or 0.0) <= 1.0


def test_network_of_ones_own_is_analysed_by_the_layers_that_run(tmp_path: Path) -> None:
    root = trained_study(tmp_path / "demo", [PERCEPTRON], {0: 1})
    student = analysed(root).students[0]
    assert student.cka.student_layers == ("inner", "classifier")
    assert student.cka.teacher_layers == ("stage1", "stage2", "classifier")
    assert all(
        student.attention.of(mine, its) is None
        for mine in student.attention.student_layers
        for its in student.attention.teacher_layers
    )
    assert student.boundary.num_reached > 0


def test_control_of_a_searched_student_is_the_one_trained_alike(study: Path) -> None:
    """Trial 2 is more accurate, but only trial 0 differs from trial 1 in method alone; trial 3 has no weights."""
    found = {each.trial: each.control for each in analysed_students(read_study(study), StudyPaths(study))}
    assert found == {0: None, 1: "students/0.safetensors", 2: None}


def test_control_that_none_was_trained_alike_is_the_best_of_the_network(tmp_path: Path) -> None:
    distilled = MadeTrial(width=1, method="kd", temperature=4.0, alpha=0.5, learning_rate=5e-3)
    root = trained_study(tmp_path / "demo", [LABELS, distilled, OTHER_LABELS], {0: 5, 1: 6, 2: 7})
    found = {each.trial: each.control for each in analysed_students(read_study(root), StudyPaths(root))}
    assert found[1] == "students/2.safetensors"


def test_verified_students_stand_for_the_study_each_beside_the_partner_of_its_seed(tmp_path: Path) -> None:
    root = trained_study(tmp_path / "demo", [LABELS, KD], {0: 5, 1: 6})
    verify_with_weights(root, [(1, Role.STUDENT, KD.student), (1, Role.PARTNER, LABELS.student)])
    found = analysed(root).students
    assert [(each.role, each.seed_index) for each in found] == [
        (Role.STUDENT, 1), (Role.STUDENT, 2), (Role.PARTNER, 1), (Role.PARTNER, 2),
    ]  # fmt: skip
    assert [each.control for each in found[:2]] == [f"verify/1partner{index}.safetensors" for index in (1, 2)]


def test_run_that_serves_two_students_is_analysed_once(tmp_path: Path) -> None:
    root = trained_study(tmp_path / "demo", [LABELS, KD], {})
    verify_with_weights(root, [(0, Role.STUDENT, LABELS.student), (1, Role.STUDENT, KD.student)], num_seeds=1)
    results = read_study(root)
    assert results.verification is not None
    twice = results.verification.runs[1].model_copy(update={"trial": 0, "role": Role.PARTNER})
    runs = (results.verification.runs[0], twice, results.verification.runs[1])
    verification = results.verification.model_copy(update={"runs": runs})
    StudyPaths(root).verification_json.write_text(verification.model_dump_json(), encoding="utf-8")
    found = analysed_students(read_study(root), StudyPaths(root))
    assert [(each.trial, each.role) for each in found] == [(0, Role.STUDENT), (1, Role.STUDENT)]


def test_samples_are_stated_and_the_same_in_every_call(
    study: Path, record: TransferRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (record.num_layer_images, record.num_boundary_images) == (NUM_REAL_IMAGES, NUM_REAL_IMAGES)
    monkeypatch.setattr(transfer_networks, "NUM_LAYER_IMAGES", 50)
    monkeypatch.setattr(transfer_networks, "NUM_BOUNDARY_IMAGES", 20)
    first, second = analysed(study), analysed(study)
    assert (first.num_layer_images, first.num_boundary_images) == (50, 20)
    assert first.students == second.students
    assert first.students[0].agreement == record.students[0].agreement  # of all images
    assert first.students[0].cka.of("stage1", "stage1") != record.students[0].cka.of("stage1", "stage1")


def test_weights_that_cannot_be_used_are_left_out_with_the_reason(tmp_path: Path) -> None:
    """One file is torn, one network's answers are not finite, one file is of another network, one is in order."""
    root = trained_study(tmp_path / "demo", [LABELS, KD, WIDE, OTHER_LABELS], {0: 5, 1: 6, 2: 7, 3: 8})
    paths, weights = StudyPaths(root), network(KD.model, 6).state_dict()
    paths.student_weights(0).write_bytes(b"torn")
    save_weights(paths.student_weights(1), {name: torch.full_like(each, torch.nan) for name, each in weights.items()})
    save_weights(paths.student_weights(2), weights)
    found = analysed(root)
    assert [each.trial for each in found.students] == [3]
    reasons = dict(each.split(": ", 1) for each in found.left_out)
    assert "not a readable safetensors file" in reasons["students/0.safetensors"]
    assert reasons["students/1.safetensors"] == "an output is not finite"
    assert reasons["students/2.safetensors"].endswith("its weights do not fit cnn(width=2)")
    paths.student_weights(3).unlink()
    with pytest.raises(ValueError, match="no student could be analysed: students/"):
        analysed(root)


def test_dataset_that_is_not_the_studys_is_refused(tmp_path: Path) -> None:
    root = trained_study(tmp_path / "demo", [LABELS], {0: 5}, validation_accuracy=0.99)
    with pytest.raises(ValueError, match="the dataset is not the one that the study saw"):
        analysed(root)


@pytest.mark.parametrize(
    ("has_teacher", "message"),
    [(False, "there is no trained teacher yet"), (True, "there is no trained student yet")],
)
def test_study_that_is_not_far_enough_is_one_line_and_exit_code_2(
    has_teacher: bool, message: str, tmp_path: Path
) -> None:
    root = write_study(tmp_path / "demo", [KD], teacher=has_teacher)
    result = CliRunner().invoke(app, ["transfer", str(root)])
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not StudyPaths(root).transfer_json.exists()


def test_directory_that_is_no_study_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["transfer", str(tmp_path)])
    assert result.exit_code == 2
    assert result.stderr == f"analysis: {tmp_path} holds no study: study.json is missing\n"


def test_command_writes_record_rows_and_a_report_that_reads_them(study: Path) -> None:
    result = CliRunner().invoke(app, ["transfer", str(study), "--no-images"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(study / "report.html")
    assert result.stderr.splitlines()[0] == "1 of 3: students/2.safetensors"
    stored = read_study(study).transfer
    assert stored is not None
    rows = pd.read_csv(StudyPaths(study).transfer_csv)
    assert rows["weights"].tolist() == [each.weights for each in stored.students]
    assert rows["agreement"].tolist() == pytest.approx([each.agreement.fraction for each in stored.students])
    page = (study / "report.html").read_text(encoding="utf-8")
    assert 'id="transfer_layers"' in page
    assert f"on the same {NUM_REAL_IMAGES} validation images" in page


def test_failed_analysis_leaves_the_old_one(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_transfer(study, images=False, progress=lambda _: None)
    before = StudyPaths(study).transfer_json.read_bytes()
    monkeypatch.setattr("analysis.transfer.student_measures", lambda *_: {})
    with pytest.raises(ValueError, match="no student could be analysed"):
        write_transfer(study, images=False, progress=lambda _: None)
    assert StudyPaths(study).transfer_json.read_bytes() == before
