"""Optimisers and learning rate schedules, as a training configuration names them."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, MultiStepLR, OneCycleLR

from trainables.config import OptimizerConfig, TrainingConfig


def build_optimizer(
    parameters: Sequence[nn.Parameter], config: OptimizerConfig, *, form: Literal["fused", "foreach"] = "fused"
) -> torch.optim.Optimizer:
    """The configured optimiser, as one kernel for all parameters or as one for each operation on them."""
    rate, decay = config.learning_rate, config.weight_decay
    fused, foreach = form == "fused", form == "foreach"
    if config.name == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=fused, foreach=foreach)
    nesterov = config.momentum > 0.0
    return torch.optim.SGD(
        parameters,
        lr=rate,
        momentum=config.momentum,
        weight_decay=decay,
        nesterov=nesterov,
        fused=fused,
        foreach=foreach,
    )


@torch.no_grad()
def bound_norms(model: nn.Module, max_norm: float) -> None:
    """Scale the incoming weights of each unit of the linear layers down to that length where they are longer.

    The constraint that goes with dropout in Hinton et al. 2012, "Improving neural networks by preventing
    co-adaptation of feature detectors".
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight.copy_(torch.renorm(module.weight, p=2, dim=0, maxnorm=max_norm))


def build_schedule(optimizer: torch.optim.Optimizer, training: TrainingConfig, num_steps: int) -> LRScheduler:
    """The learning rate by step, from the first to the last of `num_steps`.

    One-cycle (Smith & Topin 2018, from a 25th up and down), cosine to 0, constant, or multi-step: the whole rate, and
    from the first step at which each milestone's share of the training is done, `milestone_decay` times what it was.
    At its defaults that is the usual recipe of CIFAR (Tian et al., ICLR 2020): a tenth after 150, 180 and 210 epochs
    of 240.
    """
    if training.schedule == "one_cycle":
        rate = training.optimizer.learning_rate
        return OneCycleLR(optimizer, max_lr=rate, total_steps=num_steps + 1, cycle_momentum=False)
    if training.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=num_steps)
    if training.schedule == "multi_step":
        steps = [math.ceil(share * num_steps - 1e-6) for share in training.milestones]
        return MultiStepLR(optimizer, milestones=steps, gamma=training.milestone_decay)
    return ConstantLR(optimizer, factor=1.0, total_iters=0)
