"""The space of all methods: each with its own hyperparameters, none of another's, and the same of everything else."""

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

import search_spaces
from search_spaces.methods import Methods
from search_spaces.subspaces import SUBSPACES
from tests.factories import training_data
from trainables.config import LossConfig, ModelConfig, NamedConfig, StudentConfig, TrainingConfig
from trainables.losses import LOSSES
from trainables.run_start import check_student
from trainables.teacher_config import TeacherConfig

SHARED = {"width", "method", "batch_size", "learning_rate"}
TEACHER = TeacherConfig(model=ModelConfig(name="cnn", options={"width": 4}), training=TrainingConfig(epochs=1))


def suggested(method: str, seed: int = 0) -> tuple[optuna.Trial, StudentConfig]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    return trial, Methods(methods=(method,)).suggest(trial)


def test_every_method_of_the_project_has_its_subspace_but_for_the_sum_of_others() -> None:
    assert set(SUBSPACES) == set(LOSSES) - {"sum"}
    assert Methods().methods == tuple(SUBSPACES)


@pytest.mark.parametrize("method", sorted(SUBSPACES))
@given(seed=st.integers(0, 50))
def test_student_has_the_options_of_its_method_within_their_ranges_and_no_other_parameter(
    method: str, seed: int
) -> None:
    trial, student = suggested(method, seed)
    own = SUBSPACES[method].options
    prefix = "" if method == "kd" else f"{method}_"
    assert set(trial.params) == SHARED | {f"{prefix}{option}" for option in own}
    for option, values in own.items():
        value = student.loss.options[option]
        assert isinstance(value, float)
        assert values.low <= value <= values.high


@pytest.mark.parametrize("method", sorted(SUBSPACES))
def test_student_of_every_method_can_begin_under_a_teacher(method: str) -> None:
    _, student = suggested(method)
    check_student(student, TEACHER, training_data())


def test_papers_own_values_lie_within_the_ranges() -> None:
    """Defaults of the losses are the papers' own; a range that leaves one out would not be the literature's."""
    published = {
        "kd": {"temperature": 4.0, "alpha": 0.9}, "dkd": {"beta": 8.0, "temperature": 4.0},
        "dist": {"weight": 2.0, "temperature": 4.0}, "hint": {"weight": 100.0}, "attention": {"weight": 1000.0},
        "similarity": {"weight": 3000.0}, "relational": {"weight": 1.0}, "contrastive": {"weight": 0.8, "tau": 0.07},
        "boundary": {"weight": 2.0, "temperature": 3.0}, "standardized": {"weight": 9.0, "kd.temperature": 2.0},
        "function_matching": {"temperature": 1.0}, "label_smoothing": {"epsilon": 0.1},
        "teacher_free_kd": {"weight": 0.1, "temperature": 20.0},
    }  # fmt: skip
    for method, options in published.items():
        for option, value in options.items():
            values = SUBSPACES[method].options[option]
            assert values.low <= value <= values.high, (method, option)


def test_images_are_mixed_for_function_matching_alone_and_shifted_alike_for_all() -> None:
    space = Methods(shift_pixels=2)
    for baseline in space.baselines():
        student = space.suggest(optuna.trial.FixedTrial(dict(baseline)))  # type: ignore[arg-type]
        assert student.training.augmentation.shift_pixels == 2
        assert (student.training.augmentation.mixup > 0.0) is (student.loss.name == "function_matching")


def test_mixed_images_alone_are_views_that_may_be_repeated() -> None:
    """And the methods whose images are shown as they are have no views: they are what they were."""
    space = Methods(num_views=4)
    for baseline in space.baselines():
        augmentation = space.suggest(optuna.trial.FixedTrial(dict(baseline))).training.augmentation  # type: ignore[arg-type]
        assert augmentation.repeats_nothing is (not augmentation.mixup)


def test_one_s_own_method_is_taken_with_its_defaults() -> None:
    space = search_spaces.build(NamedConfig(name="methods", options={"methods": ("labels", "my.module:mine")}))
    fixed = optuna.trial.FixedTrial({"width": 2, "method": "my.module:mine", "batch_size": 64, "learning_rate": 0.002})
    assert space.suggest(fixed).loss == LossConfig(name="my.module:mine")  # type: ignore[arg-type]


def test_options_of_a_method_can_be_fixed_and_are_then_not_searched() -> None:
    options = {"dkd": {"beta": 4.0}, "sum": {"terms": ("labels", "dkd"), "weights": (1.0, 0.5), "dkd.beta": 2.0}}
    space = search_spaces.build(
        NamedConfig(name="methods", options={"methods": ("dkd", "sum"), "method_options": options})
    )
    students = {}
    for baseline in space.baselines():
        student = space.suggest(optuna.trial.FixedTrial(dict(baseline)))  # type: ignore[arg-type]
        students[student.loss.name] = student
        assert "dkd_beta" not in baseline
        check_student(student, TEACHER, training_data())
    assert students["dkd"].loss.options["beta"] == 4.0
    assert students["sum"].loss.options == options["sum"]


def test_options_of_a_method_that_is_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match=r'method_options: "dkd" is none of methods = \[.labels., .kd.\]'):
        Methods(methods=("labels", "kd"), method_options={"dkd": {"beta": 4.0}})
