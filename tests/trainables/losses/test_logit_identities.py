"""Losses of logits against identities and invariances that hold for every pair of networks."""

# Shapes: N batch, C classes.

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from torch import Tensor

from tests.trainables.losses.batches import batch, method, term, value_of
from trainables.losses.dist import correlation_loss
from trainables.losses.distillation_loss import DistillationStep, Outputs
from trainables.losses.dkd import decoupled_kd
from trainables.losses.hinton_kd import soft_target_kl
from trainables.losses.logit_mse import zero_mean_mse
from trainables.losses.standardized import standardized_logits
from trainables.losses.teacher_free_kd import virtual_teacher_kl

N, C = 6, 4
Logits = NDArray[np.float64]
LOGITS = arrays.arrays(np.float64, (N, C), elements=st.floats(-6, 6))
# Rows that differ within themselves, by 1 at least: where all are equal a deviation is 0, and so is a correlation.
SPREAD_LOGITS = st.builds(
    lambda orders, noise, scale: scale * (np.array(orders) + noise),
    st.lists(st.permutations(range(C)), min_size=N, max_size=N),
    arrays.arrays(np.float64, (N, C), elements=st.floats(-0.25, 0.25)),
    st.floats(2.0, 4.0),
)
LABELS_N = torch.arange(N) % C
TEMPERATURES = st.floats(1.0, 20.0)


def tensor(logits: Logits) -> Tensor:
    return torch.tensor(logits)


def varied(logits: Logits) -> Tensor:
    """With images beside them over which every class varies."""
    return torch.cat([tensor(logits), 3.0 * torch.eye(C, dtype=torch.float64)])


@given(student=LOGITS, teacher=LOGITS, temperature=TEMPERATURES)
def test_dkd_of_the_teachers_own_doubt_is_kd(student: Logits, teacher: Logits, temperature: float) -> None:
    """Zhao et al. 2022, eq. 6: alpha = 1, beta = 1 - p_teacher(label), at the temperature."""
    p_NC = torch.softmax(tensor(teacher) / temperature, dim=1)
    doubt_N = 1.0 - p_NC[torch.arange(N), LABELS_N]
    decoupled = decoupled_kd(
        tensor(student), tensor(teacher), LABELS_N, alpha=1.0, beta=doubt_N.float(), temperature=temperature
    )
    whole = soft_target_kl(tensor(student), tensor(teacher), temperature=temperature)
    assert decoupled.item() == pytest.approx(whole.item(), rel=1e-3, abs=1e-3)


@given(teacher=LOGITS, temperature=TEMPERATURES)
def test_dkd_is_zero_where_the_student_equals_the_teacher(teacher: Logits, temperature: float) -> None:
    same = tensor(teacher)
    value = decoupled_kd(same, same, LABELS_N, alpha=1.0, beta=8.0, temperature=temperature)
    assert value.item() == pytest.approx(0.0, abs=1e-4)


@given(teacher=SPREAD_LOGITS, temperature=st.floats(1.0, 4.0))
def test_dist_is_zero_where_the_student_equals_the_teacher(teacher: Logits, temperature: float) -> None:
    value = correlation_loss(varied(teacher), varied(teacher), inter=1.0, intra=1.0, temperature=temperature)
    assert value.item() == pytest.approx(0.0, abs=1e-4)


@given(teacher=SPREAD_LOGITS, scale=st.floats(0.05, 1.0), student=SPREAD_LOGITS)
def test_dist_does_not_see_positive_affine_maps_of_the_probabilities(
    teacher: Logits, scale: float, student: Logits
) -> None:
    """Mixed with the uniform distribution, a p + (1 - a) / C: logits that realise it are its logarithm."""
    p_NC = torch.softmax(varied(teacher), dim=1)
    mapped_NC = (scale * p_NC + (1 - scale) / C).log()
    before, after = (
        correlation_loss(varied(student), each, inter=1.0, intra=1.0, temperature=1.0)
        for each in (varied(teacher), mapped_NC)
    )
    assert after.item() == pytest.approx(before.item(), abs=2e-3)


@given(teacher=SPREAD_LOGITS, student=SPREAD_LOGITS)
def test_dist_is_at_most_two_for_each_of_its_parts(teacher: Logits, student: Logits) -> None:
    """A correlation lies in [-1, 1]."""
    for inter, intra in ((1.0, 0.0), (0.0, 1.0)):
        value = correlation_loss(tensor(student), tensor(teacher), inter=inter, intra=intra, temperature=1.0)
        assert -1e-5 <= value.item() <= 2.0 + 1e-5


@given(logits=SPREAD_LOGITS, scale=st.floats(0.1, 10.0), shift=st.floats(-5.0, 5.0))
def test_standardised_logits_do_not_see_scale_and_shift(logits: Logits, scale: float, shift: float) -> None:
    """Sun et al. 2024: the same for a z + b, a > 0."""
    plain, mapped = standardized_logits(tensor(logits)), standardized_logits(tensor(scale * logits + shift))
    assert torch.allclose(plain, mapped, atol=1e-3)


@given(logits=SPREAD_LOGITS)
def test_standardised_logits_have_mean_zero_and_deviation_one(logits: Logits) -> None:
    standard_NC = standardized_logits(tensor(logits))
    assert torch.allclose(standard_NC.mean(dim=1), torch.zeros(N), atol=1e-5)
    assert torch.allclose(standard_NC.std(dim=1), torch.ones(N), atol=1e-5)


def test_standardised_row_of_equal_logits_is_zero_with_a_finite_gradient() -> None:
    equal_NC = torch.full((2, C), 3.0, requires_grad=True)
    standard_NC = standardized_logits(equal_NC)
    (gradient_NC,) = torch.autograd.grad(standard_NC.square().sum(), equal_NC)
    assert torch.equal(standard_NC.detach(), torch.zeros(2, C))
    assert torch.isfinite(gradient_NC).all()


@pytest.mark.parametrize("worn", ["kd", "dkd", "dist", "logit_mse"])
def test_any_loss_of_logits_can_wear_the_standardisation(worn: str) -> None:
    given_step = batch().step
    assert given_step.teacher is not None
    plain = term(method(worn, temperature=2.0) if worn == "kd" else method(worn))
    student, teacher = (
        Outputs(standardized_logits(each.logits_NC)) for each in (given_step.student, given_step.teacher)
    )
    expected = plain(DistillationStep(student, teacher, given_step.labels_N))
    wearing = method("standardized", loss=worn, weight=1.0, labels_weight=0.0)
    assert value_of(wearing, given_step).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("worn", ["labels", "teacher_free_kd", "attention", "boundary"])
def test_method_that_is_no_loss_of_both_networks_logits_cannot_wear_it(worn: str) -> None:
    with pytest.raises(ValueError, match=f'loss "standardized": "{worn}" is no loss of the logits of both networks'):
        method("standardized", loss=worn)


@given(student=LOGITS, teacher=LOGITS)
def test_half_the_logit_mse_is_the_limit_of_kd_as_temperature_grows(student: Logits, teacher: Logits) -> None:
    """Hinton et al. 2015, section 2.1; in float64 by hand: at T 1e4 float32 has nothing left."""
    p_NC, q_NC = (torch.softmax(tensor(each) / 1e4, dim=1) for each in (teacher, student))
    limit = 1e8 * (p_NC * (p_NC / q_NC).log()).sum(dim=1).mean()
    assert zero_mean_mse(tensor(student), tensor(teacher)).item() / 2 == pytest.approx(limit.item(), rel=1e-2, abs=1e-4)
    if limit > 1.0:
        at_100 = soft_target_kl(tensor(student), tensor(teacher), temperature=100.0).item()
        assert at_100 == pytest.approx(limit.item(), rel=0.1)


@given(student=LOGITS, teacher=LOGITS, shift=st.floats(-5.0, 5.0))
def test_losses_of_logits_do_not_see_what_a_softmax_does_not_see(
    student: Logits, teacher: Logits, shift: float
) -> None:
    def values(student_NC: Tensor) -> list[float]:
        teacher_NC = tensor(teacher)
        return [
            zero_mean_mse(student_NC, teacher_NC).item(),
            soft_target_kl(student_NC, teacher_NC, temperature=4.0).item(),
            decoupled_kd(student_NC, teacher_NC, LABELS_N, alpha=1.0, beta=8.0, temperature=4.0).item(),
        ]

    assert values(tensor(student + shift)) == pytest.approx(values(tensor(student)), rel=1e-3, abs=1e-3)


@given(student=SPREAD_LOGITS, teacher=SPREAD_LOGITS, shift=st.floats(-5.0, 5.0))
def test_dist_does_not_see_what_a_softmax_does_not_see(student: Logits, teacher: Logits, shift: float) -> None:
    plain, shifted = (
        correlation_loss(each, varied(teacher), inter=1.0, intra=1.0, temperature=4.0)
        for each in (varied(student), varied(student) + shift)
    )
    assert shifted.item() == pytest.approx(plain.item(), rel=1e-3, abs=1e-3)


@given(student=LOGITS, temperature=TEMPERATURES)
def test_virtual_teacher_is_zero_where_the_student_is_it(student: Logits, temperature: float) -> None:
    wrong, correct = 0.03 / (C - 1), 0.97
    itself_NC = torch.full((N, C), wrong).scatter(1, LABELS_N.unsqueeze(1), correct).log()
    at_itself = virtual_teacher_kl(itself_NC, LABELS_N, correct=correct, temperature=temperature)
    elsewhere = virtual_teacher_kl(tensor(student), LABELS_N, correct=correct, temperature=temperature)
    assert at_itself.item() == pytest.approx(0.0, abs=1e-4)
    assert elsewhere.item() >= -1e-4


def test_virtual_teacher_that_does_not_prefer_the_label_is_refused() -> None:
    with pytest.raises(ValueError, match=r"correct = 0.2: must be above 1 / 5"):
        method("teacher_free_kd", correct=0.2)
