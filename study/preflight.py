"""All that can be refused before anything is launched: networks, losses and data are built once, and thrown away."""

import optuna
import torch
from optuna.distributions import FloatDistribution

import search_spaces
from search_spaces.space import SearchSpace
from study.config import StudyConfig
from study.search.samplers import SAMPLERS
from study.search.shares import method_shares
from trainables import data as datasets
from trainables import losses, models
from trainables.config import ModelConfig, StudentConfig
from trainables.data.image_arrays import TrainingData
from trainables.data.split import split
from trainables.losses.distillation_loss import LossContext
from trainables.registry import resolve

NUM_TRIED_STUDENTS = 20


def prepare(config: StudyConfig) -> tuple[SearchSpace, TrainingData]:
    """The space and the images of a study, both checked against the rest of its configuration.

    Raises:
        ValueError: one line that names what is wrong and what is allowed.
    """
    space = search_spaces.build(config.space)
    method_shares(config.search, space)
    resolve("sampler", SAMPLERS, config.search.sampler)
    if config.search.sampler == "grid":
        _check_finite(space, config.seed)
    data = split(datasets.load(config.dataset.name), config.dataset)
    students = _tried_students(space, config.seed)
    known = {model.key for model in space.architectures()}
    for student in students:
        if student.model.key not in known:
            raise ValueError(
                f'space "{space.name}" suggests {student.model.key}, which is not among its architectures: '
                f"{', '.join(sorted(known))}"
            )
        losses.build(student.loss, LossContext(num_classes=data.num_classes, num_train_images=len(data.train)))
    for model in (config.teacher.model, *space.architectures()):
        _check_model(model, data)
    return space, data


def _tried_students(space: SearchSpace, seed: int) -> list[StudentConfig]:
    """The baselines and some random students, suggested in a storage that is thrown away."""
    study = _throwaway_study(space, seed)
    return [space.suggest(study.ask()) for _ in range(len(space.baselines()) + NUM_TRIED_STUDENTS)]


def _check_finite(space: SearchSpace, seed: int) -> None:
    """See that a grid can hold every student of the space.

    Raises:
        ValueError: a parameter takes any value of a range; the message names it.
    """
    study = _throwaway_study(space, seed)
    for _ in range(len(space.baselines()) + NUM_TRIED_STUDENTS):
        space.suggest(study.ask())
    for trial in study.get_trials(deepcopy=False):
        for name, distribution in trial.distributions.items():
            if isinstance(distribution, FloatDistribution) and distribution.step is None:
                raise ValueError(
                    f'search.sampler = "grid" needs a space of finitely many students: {name} takes any value from '
                    f'{distribution.low:g} to {distribution.high:g} in space "{space.name}" '
                    "(cnn_distillation takes steps = 3, say, for three values of each range)"
                )


def _throwaway_study(space: SearchSpace, seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for baseline in space.baselines():
        study.enqueue_trial(dict(baseline))
    return study


def _check_model(model: ModelConfig, data: TrainingData) -> None:
    network = models.build(model, input_shape=data.input_shape, num_classes=data.num_classes).eval()
    with torch.inference_mode():
        logits_NC = network(torch.zeros(2, *data.input_shape))
    if tuple(logits_NC.shape) != (2, data.num_classes):
        raise ValueError(
            f"model {model.key} takes 2 images to {tuple(logits_NC.shape)}: it must give (2, {data.num_classes}) logits"
        )
