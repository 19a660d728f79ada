"""Hinton's loss against the paper's equations, in plain NumPy and in closed form."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from trainables.config import LossConfig
from trainables.losses import build
from trainables.losses.distillation_loss import DistillationStep, LossContext, Need, Outputs
from trainables.losses.hinton_kd import soft_target_kl

N, C = 6, 4
CONTEXT = LossContext(num_classes=C, num_train_images=100)
LOGITS = arrays.arrays(np.float64, (N, C), elements=st.floats(-8, 8))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def reference_kl(student: NDArray[np.float64], teacher: NDArray[np.float64], temperature: float) -> float:
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    return float(temperature**2 * (p * (np.log(p) - np.log(q))).sum() / len(student))


@given(student=LOGITS, teacher=LOGITS, temperature=st.floats(0.7, 30))
def test_soft_term_is_the_papers_kl_times_temperature_squared(
    student: NDArray[np.float64], teacher: NDArray[np.float64], temperature: float
) -> None:
    value = soft_target_kl(torch.tensor(student), torch.tensor(teacher), temperature=temperature).item()
    assert value == pytest.approx(reference_kl(student, teacher, temperature), rel=2e-3, abs=2e-3)


@given(teacher=LOGITS, temperature=st.floats(0.7, 30))
def test_soft_term_is_zero_where_the_student_equals_the_teacher(
    teacher: NDArray[np.float64], temperature: float
) -> None:
    logits_NC = torch.tensor(teacher)
    assert soft_target_kl(logits_NC, logits_NC, temperature=temperature).item() == pytest.approx(0.0, abs=1e-4)


def test_gradient_tends_to_the_logit_difference_as_temperature_grows() -> None:
    """Hinton et al. 2015, section 2.1: dC/dz -> (z - v) / (C T^2) for zero-mean logits; here times T^2."""
    stream = torch.Generator().manual_seed(0)
    student_NC = torch.randn(N, C, generator=stream)
    teacher_NC = torch.randn(N, C, generator=stream)
    student_NC = (student_NC - student_NC.mean(dim=1, keepdim=True)).requires_grad_()
    teacher_NC = teacher_NC - teacher_NC.mean(dim=1, keepdim=True)
    (gradient_NC,) = torch.autograd.grad(soft_target_kl(student_NC, teacher_NC, temperature=1000.0), student_NC)
    expected_NC = (student_NC.detach() - teacher_NC) / (N * C)
    assert torch.allclose(gradient_NC, expected_NC, atol=2e-4)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_alpha_weighs_the_soft_term_and_the_rest_the_labels(alpha: float) -> None:
    student, teacher = np.random.default_rng(0).normal(size=(2, N, C))
    labels = np.arange(N) % C
    cross_entropy = float(-np.log(softmax(student)[np.arange(N), labels]).mean())
    expected = (1 - alpha) * cross_entropy + alpha * reference_kl(student, teacher, 3.0)
    loss = build(LossConfig(name="kd", options={"temperature": 3.0, "alpha": alpha}), CONTEXT)
    step = DistillationStep(Outputs(torch.tensor(student)), Outputs(torch.tensor(teacher)), torch.tensor(labels))
    assert loss(step).item() == pytest.approx(expected, rel=1e-4)


def test_labels_are_not_needed_when_alpha_is_one() -> None:
    assert build(LossConfig(name="kd", options={"alpha": 1.0}), CONTEXT).needs == {Need.TEACHER_LOGITS}
    assert build(LossConfig(name="kd", options={"alpha": 0.5}), CONTEXT).needs == {Need.TEACHER_LOGITS, Need.LABELS}


def test_teacher_of_other_classes_is_refused() -> None:
    loss = build(LossConfig(name="kd"), CONTEXT)
    with pytest.raises(ValueError, match=r"student logits have shape \(6, 4\), teacher logits \(6, 5\)"):
        loss(DistillationStep(Outputs(torch.zeros(6, 4)), Outputs(torch.zeros(6, 5)), torch.zeros(6).long()))


def test_step_without_a_teacher_is_refused() -> None:
    loss = build(LossConfig(name="kd"), CONTEXT)
    with pytest.raises(ValueError, match="no teacher outputs"):
        loss(DistillationStep(Outputs(torch.zeros(2, C)), None, torch.zeros(2, dtype=torch.int64)))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("alpha", 1.2, "less than or equal to 1"), ("temperature", 0.0, "greater than 0"), ("alpha", "much", "number")],
)
def test_option_out_of_range_is_named_with_its_value(option: str, value: float | str, message: str) -> None:
    with pytest.raises(ValueError, match=f"option {option} = .*{value}.*{message}"):
        build(LossConfig(name="kd", options={option: value}), CONTEXT)
