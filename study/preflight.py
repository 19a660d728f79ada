"""All that can be refused before anything is launched: networks, losses and data are built once, and thrown away."""

import optuna
import torch

import search_spaces
from search_spaces.space import SearchSpace
from study.config import StudyConfig
from study.search.proposer import method_shares
from trainables import data as datasets
from trainables import losses, models
from trainables.config import ModelConfig, StudentConfig
from trainables.data.image_arrays import TrainingData
from trainables.data.split import split
from trainables.losses.distillation_loss import LossContext

NUM_TRIED_STUDENTS = 20


def prepare(config: StudyConfig) -> tuple[SearchSpace, TrainingData]:
    """The space and the images of a study, both checked against the rest of its configuration.

    Raises:
        ValueError: one line that names what is wrong and what is allowed.
    """
    space = search_spaces.build(config.space)
    method_shares(config.search, space)
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
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for baseline in space.baselines():
        study.enqueue_trial(dict(baseline))
    num_students = len(space.baselines()) + NUM_TRIED_STUDENTS
    return [space.suggest(study.ask()) for _ in range(num_students)]


def _check_model(model: ModelConfig, data: TrainingData) -> None:
    network = models.build(model, input_shape=data.input_shape, num_classes=data.num_classes).eval()
    with torch.inference_mode():
        logits_NC = network(torch.zeros(2, *data.input_shape))
    if tuple(logits_NC.shape) != (2, data.num_classes):
        raise ValueError(
            f"model {model.key} takes 2 images to {tuple(logits_NC.shape)}: it must give (2, {data.num_classes}) logits"
        )
