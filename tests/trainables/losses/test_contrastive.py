"""Contrastive representation distillation: its memory bank, its negatives, and the loss that tells them apart."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.trainables.losses.batches import CONTEXT, LABELS_M, batch, method, term
from trainables.config import LossConfig
from trainables.losses import build
from trainables.losses.contrastive import ContrastiveTerm, noise_contrastive_loss
from trainables.losses.distillation_loss import UNLABELLED, DistillationStep, Outputs


def contrastive_term(**options: float) -> ContrastiveTerm:
    own = term(method("contrastive", 0, **{"num_negatives": 64, "dimension": 8, **options}))
    assert isinstance(own, ContrastiveTerm)
    return own


@given(st.integers(1, 50))
def test_partner_as_likely_as_noise_costs_what_guessing_does(num_negatives: int) -> None:
    """Gutmann & Hyvaerinen 2010: at even odds each of K + 1 answers has probability 1/2."""
    value = noise_contrastive_loss(torch.zeros(4), torch.zeros(4, num_negatives))
    assert value.item() == pytest.approx((num_negatives + 1) * math.log(2), rel=1e-5)


@given(st.floats(-30.0, 30.0), st.floats(-30.0, 30.0))
def test_answers_cost_their_negative_log_probability(positive: float, negative: float) -> None:
    """By odds o, the partner is found with o / (1 + o), a negative refused with 1 / (1 + o)."""
    value = noise_contrastive_loss(torch.tensor([positive]), torch.tensor([[negative]]))
    found, refused = 1 / (1 + math.exp(-positive)), 1 / (1 + math.exp(negative))
    assert value.item() == pytest.approx(-math.log(found) - math.log(refused), rel=1e-4, abs=1e-6)


def test_negatives_of_the_images_own_class_do_not_count() -> None:
    """Such memories may be anything."""
    step = batch().step
    values = []
    for noise in (1.0, -1.0):
        own = contrastive_term()
        own(step)  # sets the normalisers, alike
        own.memory_teacher[torch.as_tensor(LABELS_M) == 0] *= noise
        only_class_0 = replace(
            step,
            student=Outputs(step.student.logits_NC, {"stage2": step.student.features["stage2"][step.labels_N == 0]}),
            teacher=Outputs(step.student.logits_NC, {"stage2": teacher_features(step)[step.labels_N == 0]}),
            labels_N=step.labels_N[step.labels_N == 0],
            indices_N=indices(step)[step.labels_N == 0],
        )
        own.memory_teacher[only_class_0.indices_N] = 0.1  # their own partners
        torch.manual_seed(1)
        values.append(own(only_class_0).item())
    assert values[0] == values[1]


def test_batch_without_a_single_negative_is_finite() -> None:
    step = batch().step
    only_class_0 = replace(CONTEXT, train_labels_N=np.zeros_like(LABELS_M))
    own = term(build(LossConfig(name="contrastive", options={"num_negatives": 64}), only_class_0))
    value = own(replace(step, labels_N=torch.zeros_like(step.labels_N)))
    value.backward()
    assert value.item() == pytest.approx(0.0, abs=1e-5)
    gradient = step.student.features["stage2"].grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()


def indices(step: DistillationStep) -> Tensor:
    assert step.indices_N is not None
    return step.indices_N


def teacher_features(step: DistillationStep) -> Tensor:
    assert step.teacher is not None
    return step.teacher.features["stage2"]


def embedded(own: ContrastiveTerm, step: DistillationStep) -> tuple[Tensor, Tensor]:
    assert step.teacher is not None
    pairs = (
        (own.embed_student, step.student.features["stage2"]),
        (own.embed_teacher, step.teacher.features["stage2"]),
    )
    student, teacher = (
        F.normalize(embed(features.detach().mean(dim=(2, 3))), dim=1).detach() for embed, features in pairs
    )
    return student, teacher


def test_memories_of_the_batch_move_half_way_and_the_others_stay() -> None:
    """Section 3.4 and the published code: momentum 0.5, then length 1."""
    own, step = contrastive_term(), batch().step
    assert step.indices_N is not None
    before = {"memory_student": own.memory_student.clone(), "memory_teacher": own.memory_teacher.clone()}
    own(step)
    for (name, old_MD), now_ND in zip(before.items(), embedded(own, step), strict=True):
        expected_MD = old_MD.clone()
        expected_MD[step.indices_N] = F.normalize(0.5 * old_MD[step.indices_N] + 0.5 * now_ND, dim=1)
        assert torch.allclose(getattr(own, name), expected_MD, atol=1e-6)


def test_memories_begin_with_a_length_of_about_one() -> None:
    lengths_M = contrastive_term(dimension=512).memory_teacher.norm(dim=1)
    assert torch.allclose(lengths_M, torch.ones(len(LABELS_M)), atol=0.1)


def test_evaluation_leaves_the_memories_alone() -> None:
    own = contrastive_term().eval()
    before = own.memory_student.clone()
    own(batch().step)
    assert torch.equal(own.memory_student, before)


def test_normalizers_are_set_by_the_first_batch_and_stay() -> None:
    own = contrastive_term()
    own(batch(seed=0).step)
    first = own.normalizers.clone()
    own(batch(seed=1).step)
    assert bool((first > 0.0).all())
    assert torch.equal(own.normalizers, first)


def test_only_images_that_are_shown_are_negatives() -> None:
    """The memory of an image that is not shown stays the noise that it began as: telling it apart teaches nothing."""
    step = batch(seed=0).step
    assert step.indices_N is not None
    is_shown_M = np.zeros(len(LABELS_M), dtype=bool)
    is_shown_M[step.indices_N.numpy()] = True
    shown = replace(CONTEXT, train_labels_N=np.where(is_shown_M, LABELS_M, UNLABELLED))
    values = []
    for noise in (1.0, 50.0):
        torch.manual_seed(0)
        own = term(build(LossConfig(name="contrastive", options={"num_negatives": 64}), shown))
        assert isinstance(own, ContrastiveTerm)
        for memory in (own.memory_student, own.memory_teacher):
            memory[torch.as_tensor(~is_shown_M)] *= noise
        torch.manual_seed(1)
        values.append(own(step).item())
    assert values[0] == values[1]


def test_tau_at_which_float32_overflows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"option tau = 0.01: .*greater than or equal to 0.02"):
        method("contrastive", tau=0.01)
    assert torch.isfinite(contrastive_term(tau=0.02)(batch().step))


def test_run_without_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="the labels of all training images are needed"):
        build(LossConfig(name="contrastive"), replace(CONTEXT, train_labels_N=None))
