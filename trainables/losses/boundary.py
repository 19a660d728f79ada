"""Distillation by boundary-supporting samples (Heo et al., AAAI 2019): images pushed over the teacher's boundary."""

# Shapes: N batch, C classes, H height, W width.

from collections.abc import Callable
from typing import Annotated, Unpack, final

import torch
import torch.nn.functional as F
from pydantic import ConfigDict, Field, validate_call
from torch import Tensor

from trainables.losses.distillation_loss import (
    DistillationLoss,
    DistillationStep,
    LossContext,
    Need,
    Networks,
    teacher_logits,
)
from trainables.losses.hinton_kd import soft_target_kl
from trainables.losses.with_labels import Mixing, NonNegative, Temperature, with_labels

_OVERSHOOT_FRACTION, _LEAST_OVERSHOOT = 0.02, 1e-3


def boundary_samples(
    network: Callable[[Tensor], Tensor], images_NCHW: Tensor, from_N: Tensor, to_N: Tensor, *, num_steps: int
) -> tuple[Tensor, Tensor]:
    """Push each image from one class over the boundary to another (eqs. 3 and 4).

    Each step goes against the gradient of ``s = z_from - z_to``, as far as would bring ``s`` just below 0 were the
    network linear: by a fiftieth of what it was in the beginning. An image whose ``s`` is below 0 stays; where a third
    class is the network's answer there, it is not at the boundary of these two, and did not come over.

    Args:
        network: images to logits (N, C).
        images_NCHW: where to begin.
        from_N: the class that each is of.
        to_N: the class that each is pushed to.
        num_steps: at most so many.

    Returns:
        The images, and for each whether the network now answers with the other class: bool (N,).
    """
    pushed = images_NCHW.detach().clone()
    gap_N, gradient, answers_N = _gap(network, pushed, from_N, to_N)
    overshoot_N = (_OVERSHOOT_FRACTION * gap_N).clamp(min=_LEAST_OVERSHOOT)
    for _ in range(num_steps):
        is_over_N = gap_N < 0.0
        if bool(is_over_N.all()):
            break
        stride_N = (gap_N + overshoot_N) / gradient.flatten(1).square().sum(dim=1).clamp(min=1e-12)
        pushed = pushed - torch.where(is_over_N, 0.0, stride_N).view(-1, 1, 1, 1) * gradient
        gap_N, gradient, answers_N = _gap(network, pushed, from_N, to_N)
    return pushed, answers_N == to_N


def _gap(
    network: Callable[[Tensor], Tensor], images_NCHW: Tensor, from_N: Tensor, to_N: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """``z_from - z_to`` of each image, its gradient in the image, and the network's answer."""
    images_NCHW = images_NCHW.detach().requires_grad_()
    with torch.enable_grad():
        logits_NC = network(images_NCHW).float()
        gap_N = logits_NC.gather(1, from_N.unsqueeze(1)).squeeze(1) - logits_NC.gather(1, to_N.unsqueeze(1)).squeeze(1)
        (gradient,) = torch.autograd.grad(gap_N.sum(), images_NCHW)
    return gap_N.detach(), gradient, logits_NC.argmax(dim=1)


@final
class BoundarySamples(DistillationLoss):
    """Softened outputs compared on samples of the teacher's boundary, drawn anew for each batch.

    Of the batch's images that both networks get right, some are pushed to another class, drawn by the teacher's own
    probabilities; those that come over are compared. The divergence has no factor ``T^2``, as in the published code.
    """

    def __init__(self, *, temperature: float, num_samples: int, num_steps: int) -> None:
        super().__init__()
        self._temperature = temperature
        self._num_samples = num_samples
        self._num_steps = num_steps

    @property
    def needs(self) -> frozenset[Need]:
        """The teacher itself, its logits, and labels, which tell what the networks get right; samples are a batch's."""
        return frozenset({Need.TEACHER_NETWORK, Need.TEACHER_LOGITS, Need.EVERY_LABEL, Need.WHOLE_BATCH})

    def forward(self, step: DistillationStep) -> Tensor:
        """Mean over the samples, in nats; 0 where no image came over.

        Raises:
            ValueError: the step has no networks or images.
        """
        if step.networks is None or step.images_NCHW is None:
            raise ValueError("the loss was given no networks and images")
        teacher_NC, student_NC = teacher_logits(step), step.student.logits_NC.detach()
        is_right_N = (teacher_NC.argmax(1) == step.labels_N) & (student_NC.argmax(1) == step.labels_N)
        chosen_K = is_right_N.nonzero().squeeze(1)[: self._num_samples]
        nothing = step.student.logits_NC.sum() * 0.0  # of the student's graph, so that it may stand alone
        if not len(chosen_K):
            return nothing
        from_K = step.labels_N[chosen_K]
        samples, is_over_K = boundary_samples(
            step.networks.teacher,
            step.images_NCHW[chosen_K],
            from_K,
            _other_classes(teacher_NC[chosen_K], from_K),
            num_steps=self._num_steps,
        )
        return self._divergence(step.networks, samples[is_over_K]) if bool(is_over_K.any()) else nothing

    def _divergence(self, networks: Networks, samples_NCHW: Tensor) -> Tensor:
        with torch.no_grad():
            teacher_NC = networks.teacher(samples_NCHW)
        student_NC = networks.student(samples_NCHW)
        return soft_target_kl(student_NC, teacher_NC, temperature=self._temperature) / self._temperature**2


def _other_classes(logits_NC: Tensor, labels_N: Tensor) -> Tensor:
    """A class that is not the label for each image, drawn by its probability."""
    others_NC = logits_NC.scatter(1, labels_N.unsqueeze(1), -torch.inf)
    return torch.multinomial(F.softmax(others_NC, dim=1), 1).squeeze(1)


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def boundary(
    context: LossContext,  # noqa: ARG001 - every builder takes it
    *,
    weight: NonNegative = 2.0,
    temperature: Temperature = 3.0,
    num_samples: Annotated[int, Field(ge=1)] = 16,
    num_steps: Annotated[int, Field(ge=1, le=100)] = 10,
    **mixing: Unpack[Mixing],
) -> DistillationLoss:
    """Build the loss beside labels.

    Args:
        context: unused.
        weight: of the divergence on the samples, in the beginning.
        temperature: of that divergence.
        num_samples: images of a batch that are pushed, at most.
        num_steps: of each, at most.
        mixing: see `Mixing`; by default labels_weight is 1 and decay_until 0.75.
    """
    term = BoundarySamples(temperature=temperature, num_samples=num_samples, num_steps=num_steps)
    return with_labels(term, weight, mixing, decay_until=0.75)
