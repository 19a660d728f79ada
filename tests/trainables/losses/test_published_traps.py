"""Traps that published distillation code has fallen into: nine, each a test that fails when the bug is put back.

The numbers are those of the list in the project's facts. What a trap is about stands in its test's name.
"""

# Shapes: N batch, C classes.

import math
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from torch import Tensor, nn

import search_spaces
from search_spaces import SPACES
from tests import source_rules
from tests.factories import device_data, stored_teacher, student
from tests.search_spaces.test_contract import REQUIRED
from tests.trainables.data.numbered_images import numbered_dataset
from tests.trainables.losses.batches import LinearNetwork, batch, method, term, value_of
from tests.trainables.losses.runs import config_of, loss_state, run_of, tensors
from trainables.config import DatasetConfig, LossConfig, NamedConfig, OptimizerConfig
from trainables.data.split import split
from trainables.hardware import peaks
from trainables.losses.distillation_loss import Networks
from trainables.losses.dkd import decoupled_kd
from trainables.losses.hinton_kd import soft_target_kl
from trainables.losses.labels import label_cross_entropy
from trainables.run_start import student_run
from trainables.teacher_outputs import Batch, LiveTeacher, Split
from trainables.verification import split_metrics


def test_trap_1_divergence_is_not_divided_by_the_number_of_classes() -> None:
    """`KLDivLoss()` with its default reduction: with it, alpha means less the more classes there are.

    With every class split in two equal halves the divergence is what it was; and against a student that knows nothing
    it is log C less the teacher's entropy.
    """
    student_NC, teacher_NC = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    one = soft_target_kl(student_NC, teacher_NC, temperature=2.0)
    halved = soft_target_kl(student_NC.repeat(1, 2), teacher_NC.repeat(1, 2), temperature=2.0)
    assert torch.allclose(one, halved, rtol=1e-4)
    for num_classes in (2, 10, 1000):
        sure_NC = 100.0 * nn.functional.one_hot(torch.arange(2), num_classes).float()
        value = soft_target_kl(torch.zeros(2, num_classes), sure_NC, temperature=1.0)
        assert value.item() == pytest.approx(math.log(num_classes), rel=1e-4)


def test_trap_2_weights_by_image_weigh_images_and_not_the_mean_of_all() -> None:
    """MLKD's confidence mask multiplies a loss that is a scalar already: it does nothing."""
    student_NC, teacher_NC = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    labels_N, mask_N = torch.tensor([0, 1, 2, 3]), torch.tensor([1.0, 0.0, 0.0, 1.0])

    def masked(logits_NC: Tensor) -> float:
        return decoupled_kd(logits_NC, teacher_NC, labels_N, alpha=0.0, beta=mask_N, temperature=2.0).item()

    changed_NC = student_NC.clone()
    changed_NC[1:3] += torch.randn(2, 5, generator=torch.Generator().manual_seed(1))
    assert masked(changed_NC) == masked(student_NC)
    assert masked(student_NC) == pytest.approx(
        sum(
            decoupled_kd(student_NC[[i]], teacher_NC[[i]], labels_N[[i]], alpha=0.0, beta=1.0, temperature=2.0).item()
            for i in (0, 3)
        )
        / 4
    )


def test_trap_2_loss_on_other_images_takes_the_students_answers_to_those_images() -> None:
    """MLKD's loss on strong views is computed from the logits of the weak ones."""
    given = batch(16, seed=3)
    other = LinearNetwork(-given.student.weight.detach())
    asked = replace(given.step, networks=Networks(other, given.teacher))
    own = term(method("boundary"))
    values = [value_of(own, step) for step in (given.step, asked)]
    assert values[0].item() != pytest.approx(values[1].item(), rel=1e-2)
    values[0].backward()  # type: ignore[no-untyped-call]
    assert given.student.weight.grad is not None
    assert given.student.weight.grad.abs().sum() > 0.0


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_trap_3_every_schedule_reaches_the_learning_rate_that_is_configured(schedule: str, optimizer: Any) -> None:
    """TAKD's schedule never comes to its rate of 0.1."""
    config = student(
        optimizer=OptimizerConfig(name=optimizer, learning_rate=0.1), epochs=5, batch_size=3, schedule=schedule
    )
    run = student_run(config, device_data(), None)
    rates = []
    for _ in range(200):
        state: Any = run.state_dict()["optimizer"]
        rates.append(state["param_groups"][0]["lr"])
        run.train_step(torch.arange(3))
    assert max(rates) == pytest.approx(0.1, rel=1e-3)


def test_trap_4_parameters_of_the_method_are_trained_stored_and_counted() -> None:
    """mdistiller's VID never trains its variance. For every method: `test_method_runs.py`."""
    run = run_of(config_of("hint"))
    before: Any = {name: each.clone() for name, each in loss_state(run).items()}
    assert run.num_method_parameters == 2 * 6 + 6  # a 1 x 1 convolution from 2 channels to 6
    run.run_epoch()
    assert loss_state(run).keys() == {"term.regressor.weight", "term.regressor.bias"}
    assert all(not torch.equal(each, before[name]) for name, each in loss_state(run).items())


def test_trap_5_likelihood_is_of_each_images_own_label() -> None:
    """gnosis indexes the log-probabilities by all labels, B x B, and so takes the mean over everybody's labels."""
    logits_NC = torch.tensor([[4.0, 0.0, 0.0], [0.0, 3.0, 0.0], [1.0, 0.0, 2.0], [0.0, 2.0, 0.0]])
    labels_N = torch.tensor([0, 1, 2, 0])
    exact = np.mean(
        [
            np.log(np.exp(row).sum()) - row[label]
            for row, label in zip(logits_NC.double().numpy(), labels_N.numpy(), strict=True)
        ]
    )
    assert label_cross_entropy(logits_NC, labels_N).item() == pytest.approx(exact)
    assert split_metrics(logits_NC, labels_N, logits_NC).nll == pytest.approx(exact)
    run = run_of(config_of("hint"))
    images, evaluated = device_data().images[Split.VALIDATION], run.evaluate(Split.VALIDATION)
    log_p_NC = run.all_logits(Split.VALIDATION).log_softmax(dim=1)
    own = [-float(log_p_NC[place, label]) for place, label in enumerate(images.labels_N.tolist())]
    assert evaluated.nll == pytest.approx(np.mean(own), rel=1e-5)


def test_trap_6_teacher_is_in_evaluation_mode_and_takes_no_gradient_whatever_trains_beside_it() -> None:
    """A teacher in training mode drops units and moves its batch statistics; with a gradient it is trained itself."""
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 6), nn.Dropout(0.5), nn.Linear(6, 3))
    before = {name: each.clone() for name, each in network.state_dict().items()}
    data, live = device_data(), LiveTeacher(network.train(), ["2"])
    student_run(student(loss=LossConfig(name="kd"), shift_pixels=1), data, live).run_epoch()
    student_run(student(loss=LossConfig(name="boundary")), data, live).run_epoch()
    assert not any(module.training for module in network.modules())
    assert all(torch.equal(each, before[name]) for name, each in network.state_dict().items())
    assert all(each.grad is None for each in network.parameters())
    images = Batch(Split.TRAIN, torch.arange(4), torch.rand(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64))
    first, second = live.outputs(images), live.outputs(images)
    assert torch.equal(first.logits_NC, second.logits_NC)
    assert not first.logits_NC.requires_grad
    assert not first.features["2"].requires_grad


def test_trap_7_nothing_that_trains_or_selects_can_see_the_test_images() -> None:
    """The mdistiller family selects on the test split each epoch. Here a trial has none of it, nor a name for it."""
    assert [each.value for each in Split] == ["train", "validation"]
    dataset = numbered_dataset([0, 1, 2] * 20, 3)
    other_test = dataset.test.select(np.zeros(len(dataset.test), dtype=np.int64))
    one, other = (
        split(each, DatasetConfig(num_validation_images=15)) for each in (dataset, replace(dataset, test=other_test))
    )
    for part in ("train", "validation"):
        assert np.array_equal(getattr(one, part).images_NCHW, getattr(other, part).images_NCHW)
    peeking = source_rules.Source("trainables/training.py", "def evaluate(data):\n    return data.test\n")
    assert source_rules.reads_of_the_test_split(peeking) == ["trainables/training.py:2: reads data.test"]


def test_trap_8_a_seed_changes_weights_order_draws_and_the_methods_own_parameters() -> None:
    """A seed that is a label alone makes copies, whose spread says nothing. Same seed: same bits, see test_training."""
    starts = [run_of(config_of("hint", seed=seed)) for seed in (0, 1)]
    for part in ("model", "loss"):
        first, second = (tensors(run.state_dict()[part]) for run in starts)
        assert all(not torch.equal(each, second[name]) for name, each in first.items())
    orders = []
    for seed in (0, 1):
        seen = OrderRecorder()
        student_run(student(loss=LossConfig(name="kd"), seed=seed), device_data(), seen).run_epoch()
        orders.append(seen.indices)
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]


@pytest.mark.parametrize("name", sorted(SPACES))
def test_trap_8_no_space_searches_the_seed(name: str) -> None:
    """Searched, it is tuned on noise. The study sets it, one for all trials."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = search_spaces.build(NamedConfig(name=name, options=REQUIRED.get(name, {})))
    seeds = {space.suggest(study.ask()).training.seed for _ in range(60)}
    assert seeds == {0}
    assert not [each for trial in study.trials for each in trial.params if "seed" in each]


def test_trap_9_a_multiply_accumulate_is_two_flops() -> None:
    """fvcore and thop call multiply-accumulates FLOPs."""
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(2 * 8 * 8, 3))
    assert peaks.forward_flops_per_image(network, (1, 8, 8)) == 2 * (2 * 9 * 8 * 8) + 2 * (2 * 8 * 8 * 3)


class OrderRecorder:
    """Stored outputs that keep the order in which they were asked for."""

    def __init__(self) -> None:
        self.indices: list[int] = []
        self._stored = stored_teacher(device_data())

    @property
    def network(self) -> None:
        return None

    def outputs(self, batch: Batch) -> Any:
        self.indices.extend(batch.indices_N.tolist())
        return self._stored.outputs(batch)
