"""Losses of features against identities and invariances that hold for every pair of networks."""

# Shapes: N batch, D features.

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from tests.trainables.losses.batches import CONTEXT, batch, method, term, value_of
from trainables.losses.attention import attention_loss, attention_map
from trainables.losses.distillation_loss import DistillationStep, LossContext, Outputs
from trainables.losses.hint import Hint, hint_loss, pooled_alike
from trainables.losses.layers import last_layers, middle_layers, paired_layers
from trainables.losses.relational import angle_loss, distance_loss
from trainables.losses.similarity import similarity_loss

N, D = 6, 5
SEEDS = st.integers(0, 2**31)
SCALES = st.floats(0.01, 100.0)


def features(seed: int, *shape: int) -> Tensor:
    return torch.randn(*(shape or (N, D)), generator=torch.Generator().manual_seed(seed))


def rotation(seed: int, size: int = D) -> Tensor:
    orthogonal: Tensor = torch.linalg.qr(features(seed, size, size).double()).Q
    return orthogonal.float()


@given(SEEDS)
def test_each_is_zero_where_the_student_equals_the_teacher(seed: int) -> None:
    maps, flat = features(seed, N, 3, 4, 4), features(seed)
    values = [attention_loss(maps, maps), hint_loss(maps, maps), similarity_loss(maps, maps)]
    values += [distance_loss(flat, flat), angle_loss(flat, flat), hint_loss(flat, flat), similarity_loss(flat, flat)]
    assert [value.item() for value in values] == pytest.approx([0.0] * 7, abs=1e-9)


@pytest.mark.parametrize(("shape", "layer"), [((3, 4, 4), "maps"), ((7,), "flat")])
def test_hint_with_an_identity_regressor_is_zero_where_the_student_equals_the_teacher(
    shape: tuple[int, ...], layer: str
) -> None:
    context = LossContext(3, 10, {layer: shape}, {layer: shape})
    hint = Hint(paired_layers(context, [layer], [layer]), shape, shape)
    for name, parameter in hint.regressor.named_parameters():
        identity = torch.eye(shape[0]).view(parameter.shape) if name == "weight" else torch.zeros(shape[0])
        parameter.data.copy_(identity)
    outputs = Outputs(torch.zeros(N, 3), {layer: features(0, N, *shape)})
    assert hint(DistillationStep(outputs, outputs, torch.zeros(N).long())).item() == pytest.approx(0.0, abs=1e-10)


@given(SEEDS, SEEDS, SEEDS)
def test_similarities_do_not_see_orthogonal_maps_of_the_features(one: int, other: int, turn: int) -> None:
    student, teacher = features(one), features(other)
    turned = similarity_loss(student @ rotation(turn), teacher @ rotation(turn + 1))
    assert turned.item() == pytest.approx(similarity_loss(student, teacher).item(), rel=1e-3, abs=1e-6)


@given(SEEDS, SEEDS, SCALES)
def test_similarities_and_attention_do_not_see_the_scale(one: int, other: int, scale: float) -> None:
    student, teacher = features(one, N, 3, 4, 4), features(other, N, 3, 4, 4)
    for loss in (similarity_loss, attention_loss):
        assert loss(scale * student, teacher).item() == pytest.approx(loss(student, teacher).item(), rel=1e-3)


@given(SEEDS, SEEDS, SEEDS, SCALES)
def test_relations_do_not_see_isometries_and_scale(one: int, other: int, turn: int, scale: float) -> None:
    """Distances by their mean, and angles: the same after a rotation, a shift and a change of scale."""
    student, teacher = features(one), features(other)
    moved = scale * (student @ rotation(turn) + features(turn, 1, D))
    for loss in (distance_loss, angle_loss):
        assert loss(moved, teacher).item() == pytest.approx(loss(student, teacher).item(), rel=1e-2, abs=1e-4)


@given(SEEDS, st.permutations(range(3)))
def test_attention_does_not_see_which_channel_is_which_nor_signs(seed: int, order: list[int]) -> None:
    student, teacher = features(seed, N, 3, 4, 4), features(seed + 1, N, 2, 4, 4)
    assert attention_loss(-student[:, order], teacher).item() == pytest.approx(
        attention_loss(student, teacher).item(), rel=1e-4
    )


@given(SEEDS)
def test_attention_maps_have_length_one_and_are_never_negative(seed: int) -> None:
    maps = attention_map(features(seed, N, 3, 4, 4))
    assert maps.shape == (N, 16)
    assert torch.allclose(maps.norm(dim=1), torch.ones(N), atol=1e-5)
    assert bool((maps >= 0.0).all())


def test_larger_maps_are_averaged_to_the_size_of_the_smaller() -> None:
    large, small = torch.arange(16.0).view(1, 1, 4, 4), torch.zeros(1, 1, 2, 2)
    for first, second in (pooled_alike(large, small), pooled_alike(small, large)[::-1]):
        assert torch.equal(first, torch.tensor([[[[2.5, 4.5], [10.5, 12.5]]]]))
        assert torch.equal(second, small)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_relations_of_features_far_from_zero_or_twice_the_same_are_those_of_float64(scale: float) -> None:
    """Two images of a batch may have the same features (dead units): no angle at them, and a distance of 0."""
    student, teacher = scale * features(0), features(1)
    student[1] = student[0]
    for loss, reference in ((distance_loss, distances_by_numpy), (angle_loss, cosines_by_numpy)):
        difference = np.abs(reference(student.double().numpy()) - reference(teacher.double().numpy()))
        expected = np.where(difference <= 1, difference**2 / 2, difference - 0.5).mean()
        assert loss(student, teacher).item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", ["attention", "similarity", "relational", "hint", "contrastive"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_value_and_gradient_are_finite_where_all_images_look_the_same(name: str, value: float) -> None:
    given_batch = batch()
    for each in given_batch.step.student.features.values():
        each.data.fill_(value)
    loss = value_of(term(method(name)), given_batch.step)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    gradients = [each.grad for each in given_batch.step.student.features.values() if each.grad is not None]
    assert all(torch.isfinite(each).all() for each in gradients)


def test_default_layers_are_the_spatial_ones_the_last_and_the_middle_before_the_classifier() -> None:
    assert paired_layers(CONTEXT, None, None, spatial=True).student == ("stage1", "stage2")
    assert last_layers(CONTEXT, None, None).teacher == ("stage2",)
    assert middle_layers(CONTEXT, None, None).student == ("stage1",)


def distances_by_numpy(points_ND: NDArray[np.float64]) -> NDArray[np.float64]:
    distances_NN = np.linalg.norm(points_ND[:, None] - points_ND[None], axis=2)
    return np.asarray(distances_NN / (distances_NN.sum() / (N * (N - 1))))


def cosines_by_numpy(points_ND: NDArray[np.float64]) -> NDArray[np.float64]:
    differences = points_ND[None] - points_ND[:, None]
    lengths = np.linalg.norm(differences, axis=2, keepdims=True)
    units = np.divide(differences, lengths, out=np.zeros_like(differences), where=lengths > 0)
    return np.asarray(np.einsum("ijd,ikd->ijk", units, units))
