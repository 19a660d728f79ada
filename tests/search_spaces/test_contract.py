"""Every entry of the space registry keeps the promises of `SearchSpace`."""

import optuna
import pytest

import search_spaces
from search_spaces import SPACES
from search_spaces.space import SearchSpace
from trainables.config import NamedConfig, StudentConfig

REQUIRED = {"network_distillation": {"student": "resnet20", "widths": (0.5, 1.0)}}


@pytest.fixture(params=sorted(SPACES))
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return search_spaces.build(NamedConfig(name=request.param, options=REQUIRED.get(request.param, {})))


def suggested(space: SearchSpace, count: int = 60) -> list[tuple[optuna.trial.FrozenTrial, StudentConfig]]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    students = [space.suggest(study.ask()) for _ in range(count)]
    return list(zip(study.trials, students, strict=True))


def test_every_suggested_network_is_among_the_architectures(space: SearchSpace) -> None:
    known = {model.key for model in space.architectures()}
    assert {student.model.key for _, student in suggested(space)} <= known


def test_every_suggested_batch_size_is_announced(space: SearchSpace) -> None:
    assert {student.training.batch_size for _, student in suggested(space)} <= set(space.training_batch_sizes())


def test_same_answers_give_the_same_student(space: SearchSpace) -> None:
    for frozen, student in suggested(space, count=20):
        fixed = optuna.trial.FixedTrial(frozen.params)
        assert space.suggest(fixed) == student  # type: ignore[arg-type] # a FixedTrial answers as a Trial does


def test_method_parameter_names_the_students_method(space: SearchSpace) -> None:
    for frozen, student in suggested(space):
        assert frozen.params["method"] == student.loss.name
        assert student.loss.name in space.methods


def test_baselines_begin_with_a_labels_only_student_of_each_architecture(space: SearchSpace) -> None:
    baselines = [space.suggest(optuna.trial.FixedTrial(dict(each))) for each in space.baselines()]  # type: ignore[arg-type]
    first = baselines[: len(space.architectures())]
    assert {student.loss.name for student in first} == {"labels"}
    assert [student.model.key for student in first] == [model.key for model in space.architectures()]
