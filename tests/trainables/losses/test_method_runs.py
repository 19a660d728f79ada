"""Every method through a whole run under a live teacher: it trains, its own parameters with it, and it resumes."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.factories import device_data
from tests.trainables.losses.batches import method
from tests.trainables.losses.runs import config_of, live_teacher, loss_state, run_of, teacher_arrays, tensors
from trainables.losses import LOSSES
from trainables.run_start import student_run
from trainables.teacher_outputs import Split
from trainables.training import DistillationRun

OWN_PARAMETERS = {name: sum(each.numel() for each in method(name).parameters()) for name in sorted(LOSSES)}

every_method = pytest.mark.parametrize("name", sorted(LOSSES))


def assert_same_bits(first: DistillationRun, second: DistillationRun) -> None:
    one, other = tensors(first.state_dict()), tensors(second.state_dict())
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@every_method
def test_student_learns_from_it_under_a_live_teacher(name: str) -> None:
    run = run_of(config_of(name, width=6, epochs=16))
    while not run.is_finished:
        run.run_epoch()
    assert run.evaluate(Split.VALIDATION).accuracy > 0.9


@pytest.mark.parametrize("left_at", [(1.0,), (1.5,), (0.25, 2.75)], ids=str)
@every_method
def test_run_left_in_the_middle_goes_on_to_the_same_bits(name: str, left_at: tuple[float, ...]) -> None:
    """Weights, optimiser, own parameters and memories, whatever has drawn at random meanwhile."""
    whole, part = run_of(config_of(name)), run_of(config_of(name))
    while not whole.is_finished:
        whole.run_epoch()
    for moment in left_at:
        while part.epoch + 1 <= moment:
            part.run_epoch()
        if part.epoch < moment:
            part.run_until(moment)
        state = part.state_dict()
        torch.manual_seed(int(100 * moment))
        part = run_of(config_of(name))
        part.load_state_dict(state)
    while not part.is_finished:
        part.run_epoch()
    assert_same_bits(whole, part)


@pytest.mark.parametrize("name", [name for name, number in OWN_PARAMETERS.items() if number])
def test_own_parameters_are_counted_optimised_stored_and_trained(name: str) -> None:
    run = run_of(config_of(name))
    own = {each for each, _ in method(name).named_parameters()}
    before = {each: tensor.clone() for each, tensor in loss_state(run).items()}
    assert own <= before.keys()
    assert run.num_method_parameters == sum(before[each].numel() for each in own) > 0
    optimizer: Any = run.state_dict()["optimizer"]
    assert len(optimizer["param_groups"][0]["params"]) == len(list(run.model.parameters())) + len(own)
    run.run_epoch()
    assert [each for each in own if torch.equal(loss_state(run)[each], before[each])] == []


@pytest.mark.parametrize("name", [name for name, number in OWN_PARAMETERS.items() if not number])
def test_method_without_parameters_adds_none_to_the_count(name: str) -> None:
    assert run_of(config_of(name)).num_method_parameters == 0


@every_method
def test_teacher_is_left_as_it_was(name: str) -> None:
    before = {each: weights.copy() for each, weights in teacher_arrays().weights.items()}
    teacher = live_teacher()
    student_run(config_of(name), device_data(), teacher).run_epoch()
    network = teacher.live(())._network
    assert all(np.array_equal(each.numpy(), before[key]) for key, each in network.state_dict().items())
    assert all(each.grad is None and not each.requires_grad for each in network.parameters())


@every_method
def test_another_seed_gives_another_student(name: str) -> None:
    first, second = run_of(config_of(name, seed=0)), run_of(config_of(name, seed=1))
    for run in (first, second):
        run.run_epoch()
    one, other = tensors(first.model.state_dict()), tensors(second.model.state_dict())
    assert all(not torch.equal(one[each], other[each]) for each in one)
