"""The training loop: what it computes, that it computes the same again, and that it goes on as if never interrupted."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.factories import device_data, stored_teacher, student
from trainables.config import LossConfig, ModelConfig, OptimizerConfig, StudentConfig, TrainingConfig
from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Need
from trainables.run_start import student_run, teacher_run
from trainables.teacher_config import TeacherConfig
from trainables.teacher_outputs import Batch, LiveTeacher, Split
from trainables.training import DistillationRun, TrainingDivergedError

KD = LossConfig(name="kd", options={"temperature": 2.0, "alpha": 0.7})


def trained(config: StudentConfig, epochs: int | None = None) -> DistillationRun:
    data = device_data()
    run = student_run(config, data, stored_teacher(data))
    for _ in range(config.training.epochs if epochs is None else epochs):
        run.run_epoch()
    return run


def weights(run: DistillationRun) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in run.model.parameters()])


@pytest.mark.parametrize("loss", [LossConfig(name="labels"), KD], ids=["labels", "kd"])
def test_student_learns_a_task_that_can_be_learned(loss: LossConfig) -> None:
    run = trained(student(loss=loss, epochs=8))
    assert run.evaluate(Split.VALIDATION).accuracy > 0.9


def test_same_configuration_and_seed_give_the_same_bits() -> None:
    torch.manual_seed(1)
    first = weights(trained(student(loss=KD)))
    torch.manual_seed(2)  # whatever else has drawn from the global stream meanwhile
    torch.rand(100)
    assert torch.equal(first, weights(trained(student(loss=KD))))


def test_another_seed_gives_other_weights() -> None:
    assert not torch.equal(weights(trained(student(seed=0))), weights(trained(student(seed=1))))


def test_training_leaves_the_global_random_stream_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(student())
    assert torch.equal(torch.rand(3), expected)


RECIPES: dict[str, dict[str, Any]] = {
    "adamw one-cycle": {},
    "sgd cosine": {"optimizer": OptimizerConfig(name="sgd", learning_rate=0.1), "schedule": "cosine"},
    "constant": {"schedule": "constant"},
}


@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_run_resumed_after_any_epoch_has_the_bits_of_one_never_interrupted(epoch: int, recipe: dict[str, Any]) -> None:
    config = student(epochs=4, loss=KD, **recipe)
    state = trained(config, epochs=epoch).state_dict()
    data = device_data()
    resumed = student_run(config, data, stored_teacher(data))
    resumed.load_state_dict(state)
    while not resumed.is_finished:
        resumed.run_epoch()
    assert torch.equal(weights(resumed), weights(trained(config)))


def test_dropout_and_views_resume_to_the_same_bits() -> None:
    model = ModelConfig(name="mlp", options={"hidden": (16,), "dropout": 0.5})
    training = student(epochs=3, shift_pixels=1).training
    config = TeacherConfig(model=model, training=training)
    whole, half = teacher_run(config, device_data()), teacher_run(config, device_data())
    for _ in range(3):
        whole.run_epoch()
    half.run_epoch()
    resumed = teacher_run(config, device_data())
    resumed.load_state_dict(half.state_dict())
    resumed.run_epoch()
    resumed.run_epoch()
    assert torch.equal(weights(resumed), weights(whole))


def test_one_plain_sgd_step_is_the_gradient_step_of_the_textbook() -> None:
    optimizer = OptimizerConfig(name="sgd", learning_rate=0.5, momentum=0.0, weight_decay=0.0)
    config = student(optimizer=optimizer, schedule="constant")
    data = device_data()
    run = student_run(config, data, None)
    before = [parameter.detach().clone() for parameter in run.model.parameters()]
    indices_N = torch.arange(10)
    images_NCHW = data.images[Split.TRAIN].normalized(indices_N)
    labels_N = data.images[Split.TRAIN].labels_N[:10]
    loss = nn.functional.cross_entropy(run.model(images_NCHW), labels_N)
    gradients = torch.autograd.grad(loss, list(run.model.parameters()))
    run.train_step(indices_N)
    for parameter, old, gradient in zip(run.model.parameters(), before, gradients, strict=True):
        assert torch.allclose(parameter, old - 0.5 * gradient, atol=1e-6)


def test_learning_rate_rises_to_its_peak_and_falls_to_almost_nothing() -> None:
    """One-cycle (Smith & Topin 2018): the peak is the configured rate."""
    config = student(epochs=2, batch_size=10, learning_rate=0.01)
    run = student_run(config, device_data(), None)
    rates = []
    for indices_N in itertools.repeat(torch.arange(10), 24):
        optimizer: dict[str, Any] = run.state_dict()["optimizer"]  # type: ignore[assignment]
        rates.append(optimizer["param_groups"][0]["lr"])
        run.train_step(indices_N)
    assert max(rates) == pytest.approx(0.01, rel=0.05)
    assert rates[0] < 0.1 * max(rates)
    assert rates[-1] < 0.05 * max(rates)
    assert rates.index(max(rates)) < len(rates) / 2


def test_epoch_trains_on_every_image_once() -> None:
    data = device_data()
    seen: list[int] = []

    class Recorder:
        network = None

        def outputs(self, batch: Batch) -> Any:
            seen.extend(batch.indices_N.tolist())
            return stored_teacher(data).outputs(batch)

    metrics = student_run(student(loss=KD, batch_size=50), data, Recorder()).run_epoch()
    assert sorted(seen) == list(range(120))
    assert metrics.num_images == 120


def test_evaluation_agrees_with_a_count_by_hand() -> None:
    run = trained(student(loss=KD))
    data = device_data()
    images = data.images[Split.VALIDATION]
    with torch.inference_mode():
        logits_NC = run.model.eval()(images.normalized(torch.arange(len(images))))
    predictions_N = logits_NC.argmax(dim=1)
    batch = Batch(Split.VALIDATION, torch.arange(len(images)), logits_NC, images.labels_N)
    teacher_N = stored_teacher(data).outputs(batch).logits_NC.argmax(dim=1)
    evaluated = run.evaluate(Split.VALIDATION)
    assert evaluated.accuracy == pytest.approx((predictions_N == images.labels_N).double().mean().item())
    assert evaluated.agreement == pytest.approx((predictions_N == teacher_N).double().mean().item())
    expected_nll = -logits_NC.log_softmax(1)[torch.arange(60), images.labels_N].mean().item()
    assert evaluated.nll == pytest.approx(expected_nll, rel=1e-4)


def test_all_logits_are_those_of_each_image_in_order() -> None:
    run = trained(student())
    images = device_data().images[Split.TRAIN]
    with torch.inference_mode():
        one_NC = run.model.eval()(images.normalized(torch.tensor([17])))
    assert torch.allclose(run.all_logits(Split.TRAIN)[17], one_NC[0], atol=1e-5)


def test_loss_that_is_not_finite_ends_the_run_with_a_word() -> None:
    run = student_run(student(learning_rate=1e30), device_data(), None)
    with pytest.raises(TrainingDivergedError, match=r"the training loss of epoch 1 is (nan|inf)"):
        run.run_epoch()


def test_no_epoch_beyond_the_last() -> None:
    run = trained(student(epochs=1))
    with pytest.raises(RuntimeError, match="all 1 epochs"):
        run.run_epoch()


def test_distillation_from_stored_outputs_refuses_augmented_views() -> None:
    data = device_data()
    with pytest.raises(ValueError, match=r"shift_pixels = 2 needs a live teacher"):
        student_run(student(loss=KD, shift_pixels=2), data, stored_teacher(data))


def test_method_without_its_teacher_is_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match=r'method "kd" needs teacher_logits; this run has no teacher and gives every_label'
    ):
        student_run(student(loss=KD), device_data(), None)


def test_live_teacher_sees_the_students_own_view() -> None:
    """A live teacher on augmented images gives the logits of exactly those images: an identity network shows them."""

    class Pixels(nn.Module):
        def forward(self, images_NCHW: Tensor) -> Tensor:
            return images_NCHW.flatten(1)[:, :3]

    seen: list[Tensor] = []
    data = device_data()
    live = LiveTeacher(Pixels())

    class Recorder:
        @property
        def network(self) -> Callable[[Tensor], Tensor]:
            return live.network

        def outputs(self, batch: Batch) -> Any:
            outputs = live.outputs(batch)
            seen.append(torch.equal(outputs.logits_NC, batch.images_NCHW.flatten(1)[:, :3]))  # type: ignore[arg-type]
            return outputs

    student_run(student(loss=KD, shift_pixels=2), data, Recorder()).run_epoch()
    assert all(seen)
    assert len(seen) == 4


def test_live_teacher_neither_trains_nor_keeps_gradients() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 3))
    teacher = LiveTeacher(network.train())
    images_NCHW = torch.rand(4, 1, 8, 8)
    batch = Batch(Split.TRAIN, torch.arange(4), images_NCHW, torch.zeros(4, dtype=torch.int64))
    first, second = teacher.outputs(batch).logits_NC, teacher.outputs(batch).logits_NC
    assert torch.equal(first, second)
    assert not first.requires_grad


def test_live_and_stored_teacher_teach_the_same_where_nothing_is_augmented() -> None:
    data = device_data()
    teacher = teacher_run(
        TeacherConfig(model=ModelConfig(name="cnn", options={"width": 3}), training=TrainingConfig(epochs=1)), data
    )
    teacher.run_epoch()
    from_network = student_run(student(loss=KD, epochs=1), data, LiveTeacher(teacher.model))
    from_network.run_epoch()
    stored = {split: teacher.all_logits(split) for split in Split}
    from_table = student_run(student(loss=KD, epochs=1), data, type(stored_teacher(data))(stored))
    from_table.run_epoch()
    assert torch.allclose(weights(from_network), weights(from_table), atol=1e-4)


class Weighted(DistillationLoss):
    """A loss with a parameter of its own, drawn at random."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(()) + 0.5)

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Need.LABELS})

    def forward(self, step: DistillationStep) -> Tensor:
        return self.weight * nn.functional.cross_entropy(step.student.logits_NC, step.labels_N)


def weighted(_: LossContext) -> DistillationLoss:
    return Weighted()


def test_parameters_of_a_loss_are_trained_and_start_from_the_seed() -> None:
    config = student(loss=LossConfig(name="tests.trainables.test_training:weighted"))
    torch.manual_seed(1)
    run = student_run(config, device_data(), None)
    torch.manual_seed(2)
    again = student_run(config, device_data(), None)
    first, second = run.state_dict()["loss"], again.state_dict()["loss"]
    assert first["weight"] == second["weight"]  # type: ignore[index]
    before = float(first["weight"])  # type: ignore[index]
    run.run_epoch()
    assert float(run.state_dict()["loss"]["weight"]) != before  # type: ignore[index]
