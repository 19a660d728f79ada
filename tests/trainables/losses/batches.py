"""One batch that holds all that any method may need, and the context that goes with it."""

# Shapes: N batch, C classes, M training images.

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from trainables.config import LossConfig, OptionValue
from trainables.losses import build
from trainables.losses.distillation_loss import (
    DistillationLoss,
    DistillationStep,
    LossContext,
    Need,
    Networks,
    Outputs,
)
from trainables.losses.with_labels import WithLabels

NUM_CLASSES, NUM_TRAIN_IMAGES = 5, 40
IMAGE_SHAPE = (1, 4, 4)
LABELS_M = np.arange(NUM_TRAIN_IMAGES, dtype=np.int64) % NUM_CLASSES
# The teacher is wider, and its first layer has larger maps.
CONTEXT = LossContext(
    num_classes=NUM_CLASSES,
    num_train_images=NUM_TRAIN_IMAGES,
    student_features={"stage1": (3, 4, 4), "stage2": (4, 2, 2), "classifier": (NUM_CLASSES,)},
    teacher_features={"stage1": (6, 8, 8), "stage2": (7, 2, 2), "classifier": (NUM_CLASSES,)},
    train_labels_N=LABELS_M,
)


class LinearNetwork(nn.Module):
    """Logits that are a linear map of the pixels, put out in a dtype as under autocast."""

    def __init__(self, weight: Tensor, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self._dtype = dtype

    def forward(self, images_NCHW: Tensor) -> Tensor:
        return (images_NCHW.flatten(1) @ self.weight.T).to(self._dtype)


@dataclass(frozen=True)
class Batch:
    """A step with its networks; every tensor that a gradient could reach asks for it."""

    step: DistillationStep
    student: LinearNetwork
    teacher: LinearNetwork

    @property
    def of_student(self) -> list[Tensor]:
        return [self.step.student.logits_NC, *self.step.student.features.values(), self.student.weight]

    @property
    def of_teacher(self) -> list[Tensor]:
        assert self.step.teacher is not None
        return [self.step.teacher.logits_NC, *self.step.teacher.features.values(), self.teacher.weight]

    def at(self, progress: float) -> "Batch":
        return replace(self, step=replace(self.step, progress=progress))


def method(name: str, seed: int = 0, **options: OptionValue) -> DistillationLoss:
    """A method as the registry builds it; its own parameters from the seed."""
    torch.manual_seed(seed)
    return build(LossConfig(name=name, options=options), CONTEXT)


def term(loss: DistillationLoss) -> DistillationLoss:
    """The method's own part, where it stands beside labels: cross-entropy must not hide what it does."""
    return loss.term if isinstance(loss, WithLabels) else loss


def batch(
    num_images: int = 8, *, seed: int = 0, scale: float = 1.0, dtype: torch.dtype = torch.float32, progress: float = 0.5
) -> Batch:
    """Images near a pattern of their class, and two networks that mostly know it.

    Args:
        num_images: N; they are different training images.
        seed: of all that is drawn.
        scale: of logits and features, the networks' among them.
        dtype: of the student's outputs, as under autocast; the teacher's too.
        progress: share of the training that is done.
    """
    stream = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=stream)

    patterns = normal(NUM_CLASSES, 16)
    student = LinearNetwork(scale * (0.2 * patterns + 0.1 * normal(NUM_CLASSES, 16)), dtype)
    teacher = LinearNetwork(scale * (0.3 * patterns + 0.05 * normal(NUM_CLASSES, 16)), dtype)
    indices_N = torch.randperm(NUM_TRAIN_IMAGES, generator=stream)[:num_images]
    labels_N = torch.as_tensor(LABELS_M)[indices_N]
    images_NCHW = (patterns[labels_N] + 0.3 * normal(num_images, 16)).view(num_images, *IMAGE_SHAPE)

    def outputs(network: LinearNetwork, shapes: Mapping[str, tuple[int, ...]]) -> Outputs:
        features = {name: scale * normal(num_images, *shape) for name, shape in shapes.items()}
        asked = {name: each.to(dtype).requires_grad_() for name, each in features.items()}
        return Outputs(network(images_NCHW).detach().requires_grad_(), asked)

    step = DistillationStep(
        outputs(student, CONTEXT.student_features),
        outputs(teacher, CONTEXT.teacher_features),
        labels_N,
        indices_N,
        images_NCHW,
        Networks(student, teacher),
        progress,
    )
    return Batch(step, student, teacher)


def value_of(loss: DistillationLoss, step: DistillationStep, seed: int = 1) -> Tensor:
    """The loss with random draws from a stream of their own; what a method remembers is set back afterwards."""
    before = {name: each.clone() for name, each in loss.named_buffers()}
    torch.manual_seed(seed)
    value: Tensor = loss(step)
    for name, each in loss.named_buffers():
        each.copy_(before[name])
    return value


def without(need: Need, step: DistillationStep) -> DistillationStep:
    """The step with less in it; of the teacher's logits, which every output has, two classes are left."""
    student, teacher = step.student, step.teacher
    assert teacher is not None
    changed = {
        Need.TEACHER_LOGITS: replace(step, teacher=Outputs(teacher.logits_NC[:, :2], teacher.features)),
        Need.FEATURES: replace(step, student=Outputs(student.logits_NC), teacher=Outputs(teacher.logits_NC)),
        Need.TEACHER_NETWORK: replace(step, networks=None, images_NCHW=None),
        Need.INDEX: replace(step, indices_N=None),
    }
    return changed[need]
