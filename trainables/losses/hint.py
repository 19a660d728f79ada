"""FitNets hints (Romero et al., ICLR 2015): a regressor on a layer of the student predicts one of the teacher."""

# Shapes: N batch, C channels (of the student), K channels (of the teacher), H height, W width.

from typing import Annotated, Unpack, final

import torch.nn.functional as F
from pydantic import ConfigDict, Field, validate_call
from torch import Tensor, nn

from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Need, Taps
from trainables.losses.hinton_kd import SoftTargets
from trainables.losses.layer_pairs import LayerPairs
from trainables.losses.layers import LayerName, middle_layers
from trainables.losses.with_labels import Mixing, NonNegative, Share, Temperature, TermWeight, WithLabels, with_labels


def hint_loss(predicted: Tensor, teacher: Tensor) -> Tensor:
    """``1/2 mean (r(f_s) - f_t)^2`` (eq. 3), over batch, channels and places; larger maps are averaged to the smaller.

    Args:
        predicted: the regressor's output, (N, K, H, W) or (N, K); computed in float32.
        teacher: the teacher's features, with the same K.

    Returns:
        Scalar.
    """
    predicted, teacher = predicted.float(), teacher.float()
    if predicted.ndim == 4:
        predicted, teacher = pooled_alike(predicted, teacher)
    return 0.5 * F.mse_loss(predicted, teacher)


def pooled_alike(first_NCHW: Tensor, second_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Both maps with the smaller height and width of the two, the larger ones averaged."""
    height, width = (min(first_NCHW.shape[axis], second_NCHW.shape[axis]) for axis in (2, 3))
    return tuple(  # type: ignore[return-value] # of two
        each if each.shape[2:] == (height, width) else F.adaptive_avg_pool2d(each, (height, width))
        for each in (first_NCHW, second_NCHW)
    )


@final
class Hint(LayerPairs):
    """The hint's error, with the regressor: a convolution of 1 x 1, or a linear map of flat features."""

    def __init__(self, taps: Taps, student_shape: tuple[int, ...], teacher_shape: tuple[int, ...]) -> None:
        super().__init__(taps)
        in_size, out_size = student_shape[0], teacher_shape[0]
        self.regressor: nn.Module = (
            nn.Conv2d(in_size, out_size, 1) if len(student_shape) == 3 else nn.Linear(in_size, out_size)
        )

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Mean over batch, channels and places."""
        return hint_loss(self.regressor(student.float()), teacher)


@final
class HintFirst(DistillationLoss):
    """Two stages, as in the paper: the hint alone, which trains the layers up to it, then distillation without it."""

    def __init__(self, hint: Hint, distillation: WithLabels, *, first_stage: float) -> None:
        super().__init__()
        self._hint = hint
        self._distillation = distillation
        self._first_stage = first_stage

    @property
    def needs(self) -> frozenset[Need]:
        """What either stage needs."""
        return self._hint.needs | self._distillation.needs

    @property
    def taps(self) -> Taps:
        """Those of the hint."""
        return self._hint.taps

    def forward(self, step: DistillationStep) -> Tensor:
        """Of the stage in which the training is."""
        value: Tensor = (self._hint if step.progress < self._first_stage else self._distillation)(step)
        return value


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def hint(
    context: LossContext,
    *,
    weight: NonNegative = 100.0,
    student_layer: LayerName = None,
    teacher_layer: LayerName = None,
    **mixing: Unpack[Mixing],
) -> DistillationLoss:
    """Build a hint beside labels, both at once.

    Args:
        context: with the features' shapes.
        weight: of the hint.
        student_layer: the guided layer; None: the middle one.
        teacher_layer: the hint's layer; None: the middle one.
        mixing: see `Mixing`; labels_weight is 1 by default.

    Raises:
        ValueError: a layer does not exist, or one is spatial and the other is not.
    """
    return with_labels(_hint(context, student_layer, teacher_layer), weight, mixing)


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def hint_first(
    context: LossContext,
    *,
    first_stage: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5,
    temperature: Temperature = 4.0,
    alpha: Share = 0.9,
    student_layer: LayerName = None,
    teacher_layer: LayerName = None,
) -> DistillationLoss:
    """Build a hint as a first stage, then Hinton's loss.

    Args:
        context: with the features' shapes.
        first_stage: share of the training that is the hint's.
        temperature: of the second stage.
        alpha: weight of the soft term in the second stage; 1 - alpha weighs the labels.
        student_layer: the guided layer; None: the middle one.
        teacher_layer: the hint's layer; None: the middle one.

    Raises:
        ValueError: a layer does not exist, or one is spatial and the other is not.
    """
    second = WithLabels(SoftTargets(temperature), TermWeight(alpha), labels_weight=1.0 - alpha)
    return HintFirst(_hint(context, student_layer, teacher_layer), second, first_stage=first_stage)


def _hint(context: LossContext, student_layer: str | None, teacher_layer: str | None) -> Hint:
    taps = middle_layers(context, student_layer, teacher_layer)
    student_shape = context.student_features[taps.student[0]]
    teacher_shape = context.teacher_features[taps.teacher[0]]
    if len(student_shape) != len(teacher_shape) or len(student_shape) not in {1, 3}:
        raise ValueError(
            f'student_layer "{taps.student[0]}" gives {student_shape}, teacher_layer "{taps.teacher[0]}" gives '
            f"{teacher_shape}: both must be (channels, height, width), or both flat"
        )
    return Hint(taps, student_shape, teacher_shape)
