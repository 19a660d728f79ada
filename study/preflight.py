"""All that can be refused before anything is launched: networks, losses and data are built once, and thrown away."""

import itertools

import optuna
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution
from torch import nn

import search_spaces
from search_spaces.space import SearchSpace
from study.config import StudyConfig, VerifyConfig
from study.outputs_choice import BYTES_A_LOGIT, OutputsChoice, choose, demands
from study.search.samplers import SAMPLERS
from study.search.settings import HalvingConfig
from study.search.shares import balanced_values, method_shares
from study.watch.trial_logs import check_packages
from trainables import data as datasets
from trainables import logit_metrics, models
from trainables.config import ModelConfig, StudentConfig
from trainables.data.image_arrays import TrainingData
from trainables.data.split import split
from trainables.data.transfer_set import transfer_set
from trainables.data.views import check_augmentation
from trainables.hardware.device import precision_for
from trainables.losses.distillation_loss import Need
from trainables.registry import resolve
from trainables.run_start import check_parts_of_norms, check_student

NUM_TRIED_STUDENTS = 20


def prepare(config: StudyConfig) -> tuple[SearchSpace, TrainingData]:
    """The space and the images of a study, both checked against the rest of its configuration.

    Raises:
        ValueError: one line that names what is wrong and what is allowed.
    """
    check_packages(config.logs)
    space = search_spaces.build(config.space)
    method_shares(config.search, space)
    balanced_values(config.search, space)
    resolve("sampler", SAMPLERS, config.search.sampler)
    if config.search.sampler == "grid":
        _check_finite(space, config.seed)
    data = split(datasets.load(config.dataset), config.dataset)
    _check_metrics(config, data.num_classes)
    _check_best_of(config.verify, space, config.seed)
    students = tried_students(space, config.seed)
    known = {model.key for model in space.architectures()}
    for student in students:
        if student.model.key not in known:
            raise ValueError(
                f'space "{space.name}" suggests {student.model.key}, which is not among its architectures: '
                f"{', '.join(sorted(known))}"
            )
    for model in (config.teacher.network, *(each.model for each in config.assistants), *space.architectures()):
        _check_model(model, data)
    if config.teacher.training is not None:
        check_augmentation(config.teacher.training.augmentation, data.input_shape)
        check_parts_of_norms(config.teacher.training, len(data.train), lambda: _built(config.teacher.network, data))
    _check_assistants(config, data)
    needs = [check_student(student, config.students_teacher, data) for student in students]
    _outputs_choice(config, space, data, list(zip(students, needs, strict=True)))
    if config.search.early_stopping != "none":
        num_epochs = max(student.training.epochs for student in students)
        num_images = min(len(transfer_set(data.train.labels_N, student.transfer).members_K) for student in students)
        _check_rungs(config.search.halving, num_epochs, max(space.training_batch_sizes()), num_images)
    return space, data


def check_precisions(config: StudyConfig, space: SearchSpace, device: torch.device) -> None:
    """See that the device on which all is trained computes in what is asked for.

    Raises:
        ValueError: it does not; the message names the field.
    """
    trainings = [("teacher.training", config.teacher.training)]
    trainings += [(f"assistants.{place}.training", each.training) for place, each in enumerate(config.assistants)]
    trainings += [(f'space "{space.name}": training', each.training) for each in tried_students(space, config.seed)]
    for where, training in trainings:
        if training is not None:
            try:
                precision_for(device, training.precision)
            except ValueError as error:
                raise ValueError(f"{where}.{error}") from error


def outputs_choice(config: StudyConfig, space: SearchSpace, data: TrainingData) -> OutputsChoice:
    """Of which views a study that was prepared stores its teacher's logits before the search."""
    students = tried_students(space, config.seed)
    needs = [
        frozenset() if each.training.augmentation.is_identity else check_student(each, config.students_teacher, data)
        for each in students
    ]
    return _outputs_choice(config, space, data, list(zip(students, needs, strict=True)))


def _outputs_choice(
    config: StudyConfig, space: SearchSpace, data: TrainingData, students: list[tuple[StudentConfig, frozenset[Need]]]
) -> OutputsChoice:
    return choose(
        demands(students, config.search.num_trials, method_shares(config.search, space)),
        bytes_a_view=len(data.train) * data.num_classes * BYTES_A_LOGIT,
        limit_bytes=config.teacher.max_stored_mib * 2**20,
        outputs=config.teacher.outputs,
    )


def _check_metrics(config: StudyConfig, num_classes: int) -> None:
    """See that each of the study's own metrics can be computed.

    Raises:
        ValueError: one cannot; the message says which and why.
    """
    for place, each in enumerate(config.metrics):
        try:
            logit_metrics.try_out(each, num_classes)
        except ValueError as error:
            raise ValueError(f"metrics.{place}: {error}") from error


def _check_assistants(config: StudyConfig, data: TrainingData) -> None:
    """See that each could begin under the one above it; it alone sees its views, which are not stored for it.

    Raises:
        ValueError: one could not; the message says which.
    """
    for place, assistant in enumerate(config.assistants):
        above = config.model_copy(update={"assistants": config.assistants[:place]}).students_teacher
        try:
            check_student(assistant.student, above, data, stores_views=False)
        except ValueError as error:
            raise ValueError(f"assistants.{place}: {error}") from error


def tried_students(space: SearchSpace, seed: int) -> list[StudentConfig]:
    """The baselines, some random students, and then one for each choice that none of them has made.

    Suggested in a storage that is thrown away.
    """
    study = _throwaway_study(space, seed)
    students = [space.suggest(study.ask()) for _ in range(len(space.baselines()) + NUM_TRIED_STUDENTS)]
    trials = study.get_trials(deepcopy=False)
    made = {(name, value) for trial in trials for name, value in trial.params.items()}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            for choice in distribution.choices if isinstance(distribution, CategoricalDistribution) else ():
                if (name, choice) not in made:
                    made.add((name, choice))
                    study.enqueue_trial({**trial.params, name: choice})
                    students.append(space.suggest(study.ask()))
    return students


def _check_best_of(verify: VerifyConfig, space: SearchSpace, seed: int) -> None:
    """See that the space has the parameters that make a kind of student.

    Raises:
        ValueError: it has one of them not; the message names those that it has.
    """
    names: set[str] = set()
    for trial in tried_trials(space, seed):
        own = f"{trial.params.get('method')}_"
        names |= {each for name in trial.params for each in (name, name.removeprefix(own))}
    unknown = [name for name in verify.best_of if name not in names]
    if unknown:
        raise ValueError(
            f'verify.best_of = {list(verify.best_of)}: space "{space.name}" has no parameter "{unknown[0]}" that '
            f"varies; it has {', '.join(sorted(names))}"
        )


def tried_trials(space: SearchSpace, seed: int, num_random: int = NUM_TRIED_STUDENTS) -> list[optuna.trial.FrozenTrial]:
    """The baselines and so many random students, as trials of a storage that is thrown away."""
    study = _throwaway_study(space, seed)
    for _ in range(len(space.baselines()) + num_random):
        space.suggest(study.ask())
    return study.get_trials(deepcopy=False)


def _check_finite(space: SearchSpace, seed: int) -> None:
    """See that a grid can hold every student of the space.

    Raises:
        ValueError: a parameter takes any value of a range; the message names it.
    """
    for trial in tried_trials(space, seed):
        for name, distribution in trial.distributions.items():
            if isinstance(distribution, FloatDistribution) and distribution.step is None:
                raise ValueError(
                    f'search.sampler = "grid" needs a space of finitely many students: {name} takes any value from '
                    f'{distribution.low:g} to {distribution.high:g} in space "{space.name}" '
                    "(cnn_distillation takes steps = 3, say, for three values of each range)"
                )


def _check_rungs(halving: HalvingConfig, num_epochs: int, batch_size: int, num_images: int) -> None:
    """See that a student that trains in batches of this size trains at least one between each report and the next.

    Raises:
        ValueError: it does not; the message names the rung.
    """
    num_batches = -(-num_images // batch_size)
    rungs = halving.epochs_of_rungs(num_epochs)
    for earlier, later in itertools.pairwise(sorted({0.0, *map(float, range(1, num_epochs + 1)), *rungs})):
        if (later - earlier) * num_batches < 1.0 - 1e-9:
            given = (
                f"first_rung = {halving.first_rung:g}" if halving.rungs is None else f"rungs = {list(halving.rungs)}"
            )
            raise ValueError(
                f"search.halving.{given}: from epoch {earlier:g} to epoch {later:g} there is no whole batch of "
                f"{batch_size}, the largest of the space: rungs must be at least {1 / num_batches:.2g} epochs "
                f"({num_images} images are {num_batches} batches) after the start of their epoch, before its end and "
                "apart"
            )


def _throwaway_study(space: SearchSpace, seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for baseline in space.baselines():
        study.enqueue_trial(dict(baseline))
    return study


def _built(model: ModelConfig, data: TrainingData) -> nn.Module:
    return models.build(model, input_shape=data.input_shape, num_classes=data.num_classes)


def _check_model(model: ModelConfig, data: TrainingData) -> None:
    network = _built(model, data).eval()
    with torch.inference_mode():
        logits_NC = network(torch.zeros(2, *data.input_shape))
    if tuple(logits_NC.shape) != (2, data.num_classes):
        raise ValueError(
            f"model {model.key} takes 2 images to {tuple(logits_NC.shape)}: it must give (2, {data.num_classes}) logits"
        )
