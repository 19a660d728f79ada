"""Every entry of the loss registry, built with its defaults, keeps the promises of `DistillationLoss`."""

import pytest
import torch

from trainables.config import LossConfig
from trainables.losses import LOSSES, build
from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Outputs

CONTEXT = LossContext(num_classes=5, num_train_images=100)


@pytest.fixture(params=sorted(LOSSES))
def loss(request: pytest.FixtureRequest) -> DistillationLoss:
    return build(LossConfig(name=request.param), CONTEXT)


def step(student_NC: torch.Tensor, teacher_NC: torch.Tensor) -> DistillationStep:
    return DistillationStep(Outputs(student_NC), Outputs(teacher_NC), torch.arange(len(student_NC)) % 5)


def logits(seed: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(8, 5, generator=torch.Generator().manual_seed(seed))


def test_value_is_a_scalar_and_not_negative(loss: DistillationLoss) -> None:
    value = loss(step(logits(0), logits(1)))
    assert value.shape == ()
    assert value.item() >= 0.0


def test_gradient_reaches_the_student_alone(loss: DistillationLoss) -> None:
    student_NC, teacher_NC = logits(0).requires_grad_(), logits(1)
    loss(step(student_NC, teacher_NC)).backward()
    assert student_NC.grad is not None
    assert student_NC.grad.abs().sum() > 0
    assert teacher_NC.grad is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_value_and_gradient_are_finite_at_extreme_logits(loss: DistillationLoss, dtype: torch.dtype) -> None:
    student_NC = logits(0, scale=1e4).to(dtype).requires_grad_()
    value = loss(step(student_NC, logits(1, scale=1e4).to(dtype)))
    value.backward()
    assert torch.isfinite(value)
    assert student_NC.grad is not None
    assert torch.isfinite(student_NC.grad).all()


def test_mean_over_the_batch_does_not_depend_on_its_size(loss: DistillationLoss) -> None:
    once = step(logits(0), logits(1))
    twice = DistillationStep(Outputs(logits(0).repeat(2, 1)), Outputs(logits(1).repeat(2, 1)), once.labels_N.repeat(2))
    assert torch.allclose(loss(once), loss(twice))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_an_option_it_does_not_take_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f'loss "{name}".*there is no option temprature = 3.0; allowed are'):
        build(LossConfig(name=name, options={"temprature": 3.0}), CONTEXT)


def test_unknown_loss_is_named_with_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r'unknown loss "dkd2": allowed are kd, labels'):
        build(LossConfig(name="dkd2"), CONTEXT)
