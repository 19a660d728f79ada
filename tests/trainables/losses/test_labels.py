"""Learning from labels against closed forms."""

import math

import pytest
import torch

from trainables.config import LossConfig
from trainables.losses import build
from trainables.losses.distillation_loss import DistillationStep, LossContext, Need, Outputs

CONTEXT = LossContext(num_classes=4, num_train_images=100)
LABELS_N = torch.tensor([0, 1, 2, 3])


def test_uniform_logits_cost_the_logarithm_of_the_number_of_classes() -> None:
    loss = build(LossConfig(name="labels"), CONTEXT)
    assert loss(DistillationStep(Outputs(torch.zeros(4, 4)), None, LABELS_N)).item() == pytest.approx(math.log(4))


def test_smoothing_mixes_the_label_with_the_uniform_distribution() -> None:
    """Szegedy et al. 2016, section 7: cross-entropy to (1 - eps) onehot + eps / C."""
    smoothing = 0.2
    logits_NC = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    log_p_NC = logits_NC.log_softmax(dim=1)
    target_NC = (1 - smoothing) * torch.eye(4) + smoothing / 4
    loss = build(LossConfig(name="labels", options={"label_smoothing": smoothing}), CONTEXT)
    value = loss(DistillationStep(Outputs(logits_NC), None, LABELS_N))
    assert torch.allclose(value, -(target_NC * log_p_NC).sum(dim=1).mean())


def test_no_teacher_is_needed() -> None:
    assert build(LossConfig(name="labels"), CONTEXT).needs == {Need.LABELS}


def test_full_smoothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"option label_smoothing = 1.0: .*less than 1"):
        build(LossConfig(name="labels", options={"label_smoothing": 1.0}), CONTEXT)
