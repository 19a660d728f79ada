"""What a study will cost before it is run: work counted, images and files in bytes."""

from dataclasses import dataclass

from analysis.wording import size_text
from search_spaces.space import SearchSpace
from study.config import StudyConfig
from study.preflight import outputs_choice, tried_students, tried_trials
from trainables import models
from trainables.config import ModelConfig
from trainables.data.image_arrays import TrainingData
from trainables.hardware.peaks import training_flops_per_image
from trainables.models import num_parameters
from trainables.records import own_parameter

BYTES_A_NUMBER = 4
NUM_POINTS = 1_000


@dataclass(frozen=True, slots=True)
class StudyCost:
    """Floating-point operations of each part's training passes, without what early stopping saves; and bytes.

    The passes of the teacher for its students, evaluation and measuring are not counted.
    """

    teacher_flops: float
    search_flops: float
    verify_flops: float
    image_bytes: int
    disk_bytes: int


def study_cost(config: StudyConfig, space: SearchSpace, data: TrainingData) -> StudyCost:
    """Counted, not measured: a trial of the search is taken for the mean of students that are tried beforehand.

    Raises:
        ValueError: a network cannot be built.
    """
    of_network: dict[str, tuple[float, int]] = {}

    def flops(model: ModelConfig, epochs: int, num_images: int) -> float:
        if model.key not in of_network:
            network = models.build(model, input_shape=data.input_shape, num_classes=data.num_classes)
            of_network[model.key] = training_flops_per_image(network, data.input_shape), num_parameters(network)
        return of_network[model.key][0] * epochs * num_images

    num_images = len(data.train)
    teacher = config.teacher
    epochs = 0 if teacher.training is None else teacher.training.epochs
    teaching = flops(teacher.network, epochs, num_images)
    teaching += sum(flops(each.model, each.training.epochs, num_images) for each in config.assistants)
    students = tried_students(space, config.seed)
    each = [flops(s.model, s.training.epochs, round(num_images * s.transfer.share)) for s in students]
    mean = sum(each) / len(each)
    largest = max(of_network[s.model.key][1] for s in students)
    num_runs = num_verified_runs(config, space)
    pixels = data.train.images_NCHW[:1].nbytes
    logits = (num_images + len(data.validation)) * data.num_classes * BYTES_A_NUMBER
    of_views = outputs_choice(config, space, data).num_bytes
    if config.teacher.outputs == "stored" and num_runs:
        of_views *= 2  # a fresh seed's views pass through beside those of the search
    weights = sum(of_network[each.key][1] for each in (teacher.network, *(each.model for each in config.assistants)))
    weights += largest * (config.search.num_trials + num_runs)
    return StudyCost(
        teacher_flops=teaching,
        search_flops=mean * config.search.num_trials,
        verify_flops=mean * num_runs,
        image_bytes=pixels * (num_images + len(data.validation)),
        disk_bytes=logits * (1 + len(config.assistants)) + BYTES_A_NUMBER * weights + of_views,
    )


def num_verified_runs(config: StudyConfig, space: SearchSpace) -> int:
    """How many students are trained again, at most: the kinds are those among so many random students."""
    verify = config.verify
    trials = tried_trials(space, config.seed, NUM_POINTS)
    kinds = {tuple(own_parameter(each.params, name) for name in verify.best_of) for each in trials}
    num_best = min(len(kinds), config.search.num_trials) if verify.best_of else 0
    return verify.seeds * (2 * verify.max_students + num_best)


def cost_words(cost: StudyCost) -> str:
    """One line for people, before anything is measured."""
    total = cost.teacher_flops + cost.search_flops + cost.verify_flops
    parts = [("teacher", cost.teacher_flops), ("search", cost.search_flops), ("verification", cost.verify_flops)]
    shares = ", ".join(f"{name} {100 * flops / total:.0f} %" for name, flops in parts if total)
    return (
        f"at most {total:.2g} FLOP of training ({shares}); {size_text(cost.image_bytes)} of images once a node, about "
        f"{size_text(cost.disk_bytes)} of weights and outputs on disk"
    )
