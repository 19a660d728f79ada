"""Which images and labels students are shown: what varies, and that no student is left without anything to learn."""

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from search_spaces.cnn_distillation import CnnDistillation
from search_spaces.methods import Methods
from search_spaces.subspaces import SUBSPACES, Labels
from study.search.candidates import enumerate_space
from tests.factories import training_data
from tests.search_spaces.test_cnn_distillation import ask
from trainables.config import ModelConfig, StudentConfig, TrainingConfig, TransferConfig
from trainables.run_start import check_student
from trainables.teacher_config import TeacherConfig

TEACHER = TeacherConfig(model=ModelConfig(name="cnn", options={"width": 4}), training=TrainingConfig(epochs=1))
SHARES = (0.0, 0.5, 1.0)


def varied(**options: object) -> Methods:
    return Methods.model_validate(
        {"transfer_shares": (0.1, 1.0), "label_shares": SHARES, "omitted_classes": (0, 2), **options}
    )


def test_every_image_and_label_is_shown_unless_told_otherwise() -> None:
    trial = ask()
    assert CnnDistillation().suggest(trial).transfer == TransferConfig()
    assert not {"transfer_share", "label_share", "omitted_class"} & set(trial.params)


def test_single_share_is_no_parameter_and_holds_for_all() -> None:
    space = CnnDistillation(methods=("kd",), transfer_shares=(0.25,), label_shares=(0.5,))
    trial = ask()
    assert space.suggest(trial).transfer == TransferConfig(share=0.25, label_share=0.5)
    assert not {"transfer_share", "label_share"} & set(trial.params)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", sorted(SUBSPACES))
def test_student_of_every_method_and_share_can_begin(method: str, seed: int) -> None:
    """`check_student` builds the loss and asks it what it needs: another truth than the space's own table."""
    trial = ask(seed)
    student = varied(methods=(method,)).suggest(trial)
    check_student(student, TEACHER, training_data())
    shown = student.transfer
    assert shown.share == trial.params["transfer_share"]
    assert shown.label_share == trial.params.get("label_share", trial.params.get(f"{method}_label_share"))
    assert shown.omitted_classes == (
        () if trial.params["omitted_class"] == "none" else (int(trial.params["omitted_class"]),)
    )


@pytest.mark.parametrize("method", [name for name, own in SUBSPACES.items() if own.labels is Labels.ALL])
def test_share_that_is_left_out_for_needing_every_label_would_be_refused(method: str) -> None:
    student = varied(methods=(method,)).suggest(ask())
    half = student.model_copy(update={"transfer": TransferConfig(label_share=0.5)})
    with pytest.raises(ValueError, match=r"needs the label of every image: transfer\.label_share = 0\.5 must be 1"):
        check_student(half, TEACHER, training_data())


@given(st.integers(0, 200))
def test_labels_alone_are_never_without_labels_and_their_share_has_a_name_of_its_own(seed: int) -> None:
    trial = ask(seed)
    student = CnnDistillation(label_shares=SHARES).suggest(trial)
    if student.loss.name == "labels":
        assert student.transfer.label_share > 0.0
        assert trial.distributions["labels_label_share"] == optuna.distributions.CategoricalDistribution((0.5, 1.0))
        assert "label_share" not in trial.params
    else:
        assert trial.distributions["label_share"] == optuna.distributions.CategoricalDistribution(SHARES)
        assert "labels_label_share" not in trial.params


def test_kd_may_be_without_any_label() -> None:
    shares = {
        CnnDistillation(label_shares=SHARES, methods=("kd",)).suggest(ask(seed)).transfer.label_share
        for seed in range(30)
    }
    assert shares == set(SHARES)


def test_methods_that_can_do_with_all_shares_share_one_parameter() -> None:
    trial = ask()
    CnnDistillation(label_shares=(0.5, 1.0)).suggest(trial)
    assert "label_share" in trial.params


def test_baselines_are_shown_every_class_and_the_largest_shares() -> None:
    space = varied(methods=("labels", "kd", "dkd"), label_shares=(0.0, 1.0, 0.5), transfer_shares=(1.0, 0.1))
    for baseline in space.baselines():
        assert space.suggest(FixedTrial(dict(baseline))).transfer == TransferConfig()  # type: ignore[arg-type]


def test_grid_holds_every_combination_once() -> None:
    """2 widths; of labels 2 shares of labels, of kd 3 and 2 temperatures; each with 2 shares and 3 omissions."""
    space = CnnDistillation(
        widths=(1, 2), batch_sizes=(64,), learning_rates=(0.01, 0.01), alphas=(0.9, 0.9), temperatures=(1, 4), steps=2,
        transfer_shares=(0.1, 1.0), label_shares=SHARES, omitted_classes=(3, 7),
    )  # fmt: skip
    students: list[StudentConfig] = []
    enumerate_space(lambda trial: students.append(space.suggest(trial)), at_most=1_000)
    assert len(students) == len({student.model_dump_json() for student in students}) == 2 * 2 * 3 * (2 + 3 * 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"label_shares": (0.0,)},
            r'label_shares = \[0\.0\]: method "labels" needs the labels of some of its images.* above 0',
        ),
        (
            {"label_shares": (0.0, 0.5), "methods": ("kd", "dkd")},
            r'method "dkd" needs the labels of all .* so that 1 must',
        ),
        ({"transfer_shares": (0.0, 1.0)}, "greater than 0"),
        ({"transfer_shares": (1.5,)}, "less than or equal to 1"),
        ({"label_shares": (-0.1, 1.0)}, "greater than or equal to 0"),
        ({"label_shares": (0.5, 0.5)}, r"label_shares = \[0\.5, 0\.5\] names a value twice"),
        ({"omitted_classes": (3, 3)}, r"omitted_classes = \[3, 3\] names a value twice"),
        ({"omitted_classes": (-1,)}, "greater than or equal to 0"),
        ({"transfer_shares": ()}, "at least 1 item"),
    ],
)
def test_impossible_images_and_labels_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CnnDistillation.model_validate(options)
