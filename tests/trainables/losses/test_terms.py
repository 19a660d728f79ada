"""Methods within methods: whose options are whose, and what is not taken of a method."""

from typing import Any

import pytest
import torch
from torch import Tensor

from trainables.config import LossConfig
from trainables.losses import build
from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Need, Outputs
from trainables.losses.dkd import decoupled_kd

CONTEXT = LossContext(num_classes=4, num_train_images=8)


def step() -> DistillationStep:
    stream = torch.Generator().manual_seed(0)
    student_NC, teacher_NC = torch.randn(6, 4, generator=stream), torch.randn(6, 4, generator=stream)
    return DistillationStep(Outputs(student_NC), Outputs(teacher_NC), torch.arange(6) % 4)


def summed(**options: Any) -> DistillationLoss:
    return build(LossConfig(name="sum", options=options), CONTEXT)


class Doubled(DistillationLoss):
    """One's own loss."""

    needs = frozenset({Need.LABELS})

    def forward(self, step: DistillationStep) -> Tensor:
        return 2.0 * torch.nn.functional.cross_entropy(step.student.logits_NC, step.labels_N)


def doubled(_: LossContext) -> DistillationLoss:
    return Doubled()


def test_sum_is_the_weighted_sum_of_its_terms() -> None:
    loss = summed(terms=("labels", "dkd"), weights=(0.5, 2.0), **{"dkd.beta": 3.0, "dkd.temperature": 2.0})
    given = step()
    hard = torch.nn.functional.cross_entropy(given.student.logits_NC, given.labels_N)
    assert given.teacher is not None
    soft = decoupled_kd(
        given.student.logits_NC, given.teacher.logits_NC, given.labels_N, alpha=1.0, beta=3.0, temperature=2.0
    )
    assert torch.allclose(loss(given), 0.5 * hard + 2.0 * soft)


def test_options_reach_a_method_within_a_method_within_a_method() -> None:
    cold, hot = (
        summed(terms=("labels", "standardized"), weights=(1.0, 1.0), **{"standardized.kd.temperature": temperature})
        for temperature in (1.0, 8.0)
    )
    assert not torch.allclose(cold(step()), hot(step()))


def test_one_s_own_loss_is_a_term_as_it_is() -> None:
    own = "tests.trainables.losses.test_terms:doubled"
    loss = summed(terms=("labels", own), weights=(1.0, 1.0))
    assert torch.allclose(loss(step()), 3.0 * summed(terms=("labels",), weights=(1.0,))(step()))


@pytest.mark.parametrize(
    ("name", "option"),
    [("kd", "alpha"), ("kd", "warm_up"), ("dkd", "labels_weight"), ("dist", "weight"), ("logit_mse", "decay_until")],
)
def test_option_that_would_do_nothing_is_refused(name: str, option: str) -> None:
    options = {f"{name}.{option}": 0.5, "terms": ("labels", name), "weights": (1.0, 1.0)}
    if option == "decay_until":
        options[f"{name}.labels_weight"] = 1.0
    with pytest.raises(ValueError, match=rf"there is no option {name}\.{option} = 0\.5: of .* the term alone is taken"):
        summed(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"terms": ("labels", "kd"), "weights": (1.0,)}, "one is needed for each of terms"),
        ({"terms": ("labels", "kd"), "weights": (0.0, 0.0)}, "and one above 0"),
        ({"terms": ("kd", "kd"), "weights": (1.0, 1.0)}, "names a method twice"),
        ({"terms": ("kd",), "weights": (1.0,), "dkd.beta": 1.0}, r"no option dkd\.beta = 1\.0; of the methods"),
    ],
)
def test_sum_that_is_none_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        summed(**options)


def test_weight_that_falls_to_nothing_beside_no_labels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"decay_until = 0\.5 with labels of weight 0 leaves nothing to learn from"):
        build(LossConfig(name="kd", options={"alpha": 1.0, "decay_until": 0.5}), CONTEXT)
