"""Which weights leave a study, chosen without a look at the test images, and what their card says of them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from study import export as exporting
from study.export import export
from tests.analysis.study_directory import MadeTrial, write_study
from tests.factories import study_config
from tests.verifications import Sides, verification
from trainables.checkpoints import save_weights
from trainables.config import DatasetConfig, StudentConfig
from trainables.data import load
from trainables.data.split import split
from trainables.models import build
from trainables.records import StudyRecord
from trainables.study_paths import StudyPaths
from trainables.verified import Role, VerificationRecord
from trainables.whole_files import read_record, write_record

SHARED = {"train_seconds": 3.0, "num_co_tenants": 1.0}
STUDENT = MadeTrial(width=2, accuracy=0.97, metrics={"train_images_per_s": 9_000.0, **SHARED})
PARTNER = MadeTrial(width=2, method="kd", temperature=2.0, alpha=0.5).student


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Trial 0 is verified with three seeds; the second validates best, and the third is best on the test images."""
    root = write_study(tmp_path / "study", [STUDENT, MadeTrial(state="pruned"), replace(STUDENT, duplicate_of=0)])
    paths = StudyPaths(root)
    record = read_record(paths.study_json, StudyRecord)
    assert record is not None
    write_record(paths.study_json, record.model_copy(update={"config": study_config().model_dump(mode="json")}))
    sides: Sides = {(0, Role.STUDENT): (STUDENT.student, [0.95, 0.96, 0.98]), (0, Role.PARTNER): (PARTNER, [0.94] * 3)}
    made = verification(sides)
    validated = {1: 0.93, 2: 0.99, 3: 0.94}
    runs = tuple(run.model_copy(update={"validation_accuracy": validated[run.seed_index]}) for run in made.runs)
    write_record(paths.verification_json, made.model_copy(update={"runs": runs}))
    for run in runs:
        write_weights(paths.verified_weights(run.fingerprint), run.student, run.seed_index)
    write_weights(paths.student_weights(0), STUDENT.student, 0)
    return root


def write_weights(path: Path, student: StudentConfig, seed: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        save_weights(path, build(student.model, input_shape=(1, 28, 28), num_classes=10).state_dict())


def test_retraining_that_validates_best_is_taken_whatever_the_test_images_say(study: Path, tmp_path: Path) -> None:
    card = export(study, 0, tmp_path / "out")
    assert card.weights_of.endswith("-2.safetensors")
    assert card.metrics["validation_accuracy"] == 0.99
    assert card.metrics["test_accuracy"] == 0.96
    assert card.metrics["test_accuracy_mean_over_seeds"] == pytest.approx((0.95 + 0.96 + 0.98) / 3)
    exported = (tmp_path / "out" / "student.safetensors").read_bytes()
    assert exported == (study / card.weights_of).read_bytes()
    assert card.num_checked_images == 1_000


def test_card_holds_what_is_of_the_network_and_nothing_of_another_run(study: Path, tmp_path: Path) -> None:
    metrics = export(study, 0, tmp_path / "out").metrics
    assert metrics["train_images_per_s"] == 9_000.0
    assert metrics["latency_p50_ms_batch1"] == STUDENT.latency_ms
    assert not {"train_seconds", "num_co_tenants", "epoch", "validation_nll"} & metrics.keys()


def test_partner_is_exported_on_request(study: Path, tmp_path: Path) -> None:
    card = export(study, 0, tmp_path / "out", role=Role.PARTNER)
    assert card.student.loss == PARTNER.loss
    assert card.metrics["test_accuracy"] == 0.94


def test_trial_that_was_not_verified_leaves_with_the_weights_of_the_search(study: Path, tmp_path: Path) -> None:
    StudyPaths(study).verification_json.unlink()
    card = export(study, 0, tmp_path / "out")
    assert card.weights_of == "students/0.safetensors"
    assert card.metrics["validation_accuracy"] == 0.97
    assert "test_accuracy" not in card.metrics
    with pytest.raises(ValueError, match="trial 0 was not verified beside a partner"):
        export(study, 0, tmp_path / "partner", role=Role.PARTNER)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (1, "--trial 1 is pruned: allowed are those that ran their full budget, 0"),
        (2, "trial 2 repeats trial 0 and was not trained: export that one"),
        (9, "--trial 9 does not exist: allowed are"),
    ],
)
def test_trial_that_has_no_student_to_give_is_refused(study: Path, tmp_path: Path, number: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        export(study, number, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_images_that_check_the_program_are_validation_images() -> None:
    data = split(load("mnist"), DatasetConfig())
    images = exporting._validation_images(data)
    pixels = data.validation.images_NCHW[:1_000].astype("float64") / 255
    assert torch.allclose(images.double(), torch.from_numpy((pixels - 0.1307) / 0.3081), atol=1e-5)


def test_best_of_its_kind_leaves_with_its_retraining_too(study: Path, tmp_path: Path) -> None:
    paths = StudyPaths(study)
    made = read_record(paths.verification_json, VerificationRecord)
    assert made is not None
    runs = tuple(run.model_copy(update={"role": Role.BEST}) for run in made.runs if run.role is Role.STUDENT)
    write_record(paths.verification_json, made.model_copy(update={"runs": runs, "trials": ()}))
    card = export(study, 0, tmp_path / "out")
    assert card.metrics["test_accuracy"] == 0.96
    assert card.metrics["test_accuracy_mean_over_seeds"] == pytest.approx((0.95 + 0.96 + 0.98) / 3)
