"""Which labels-only student is the control of a distilled one, where none was trained in the same way."""

from dataclasses import replace
from pathlib import Path

from analysis.results import read_study
from analysis.transfer_students import analysed_students
from tests.analysis.study_directory import MadeTrial
from tests.analysis.transfers import trained_study, verify_with_weights
from trainables.config import TransferConfig
from trainables.study_paths import StudyPaths
from trainables.verified import Role

LABELS = MadeTrial(width=1, accuracy=0.94, learning_rate=1e-3)
KD = MadeTrial(width=1, method="kd", temperature=4.0, alpha=0.5, accuracy=0.96, learning_rate=1e-3)
OTHER_LABELS = MadeTrial(width=1, accuracy=0.97, learning_rate=2e-3)
WIDE = MadeTrial(width=2, method="kd", temperature=4.0, alpha=0.5)


def test_control_of_a_searched_student_learned_from_the_same_images(tmp_path: Path) -> None:
    """The search's only labels-only student saw every image, the distilled one a tenth of them."""
    root = trained_study(tmp_path / "demo", [LABELS, KD], {0: 5, 1: 6})
    results = read_study(root)
    few = KD.student.model_copy(update={"transfer": TransferConfig(share=0.1)})
    trials = (results.trials[0], results.trials[1].model_copy(update={"student": few}))
    found = analysed_students(replace(results, trials=trials), StudyPaths(root))
    assert [each.control for each in found] == [None, None]


def test_control_of_the_best_of_a_kind_is_the_labels_only_best_of_its_network(tmp_path: Path) -> None:
    """Its learning rate is its own; network, images and training seed are the same. A front's student is none."""
    few = TransferConfig(share=0.1, seed=3)
    scarce = [each.student.model_copy(update={"transfer": few}) for each in (OTHER_LABELS, KD)]
    root = trained_study(tmp_path / "demo", [LABELS, KD, OTHER_LABELS, WIDE, LABELS, KD], {})
    sides = [
        (0, Role.STUDENT, LABELS.student.model_copy(update={"transfer": few})),
        (1, Role.BEST, KD.student),
        (2, Role.BEST, OTHER_LABELS.student),
        (3, Role.BEST, WIDE.student),
        (4, Role.BEST, scarce[0]),
        (5, Role.BEST, scarce[1].model_copy(update={"transfer": few.model_copy(update={"seed": 4})})),
        (3, Role.STUDENT, MadeTrial(width=1, method="kd", learning_rate=9e-3).student),
    ]
    verify_with_weights(root, sides)
    controls = {
        (each.trial, each.role, each.seed_index): each.control
        for each in analysed_students(read_study(root), StudyPaths(root))
    }
    for index in (1, 2):
        assert controls[1, Role.BEST, index] == f"verify/2best of its kind{index}.safetensors"
        assert controls[5, Role.BEST, index] == f"verify/4best of its kind{index}.safetensors"
        assert controls[3, Role.BEST, index] is None
        assert controls[3, Role.STUDENT, index] is None
