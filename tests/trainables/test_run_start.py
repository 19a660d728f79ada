"""How a run begins: from which source its teacher answers, and that it is not run where a table is enough."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.factories import device_data, student, training_data
from trainables import models
from trainables.config import LossConfig, ModelConfig, TrainingConfig, TransferConfig
from trainables.losses.distillation_loss import DistillationStep
from trainables.run_start import check_student, student_run
from trainables.teacher_config import TeacherConfig
from trainables.teacher_outputs import Batch, LiveTeacher, Split, StoredOutputs, Teacher, TeacherArrays
from trainables.training import DeviceData, DistillationRun

TEACHER = ModelConfig(name="cnn", options={"width": 3})
KD = LossConfig(name="kd", options={"alpha": 0.5})


def teacher_of(data: DeviceData, *, stored_only: bool = False) -> Teacher:
    """An untrained network and what it says about the images."""
    torch.manual_seed(3)
    network = models.build(TEACHER, input_shape=data.input_shape, num_classes=data.num_classes).eval()
    logits = {}
    with torch.no_grad():
        for split in Split:
            images = data.images[split]
            logits[split] = network(images.normalized(torch.arange(len(images)))).numpy()
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    arrays = TeacherArrays(TEACHER, weights, logits[Split.TRAIN], logits[Split.VALIDATION], stored_only)
    return Teacher(arrays, data.device, input_shape=data.input_shape, num_classes=data.num_classes)


def begun(loss: LossConfig, *, stored_only: bool = False, **training: Any) -> DistillationRun:
    data = device_data()
    return student_run(student(loss=loss, **training), data, teacher_of(data, stored_only=stored_only))


@pytest.mark.parametrize(
    ("loss", "training", "source"),
    [
        (KD, {}, StoredOutputs),
        (LossConfig(name="dkd"), {}, StoredOutputs),
        (LossConfig(name="labels"), {"shift_pixels": 2}, StoredOutputs),
        (KD, {"shift_pixels": 2}, LiveTeacher),
        (LossConfig(name="attention"), {}, LiveTeacher),
        (LossConfig(name="boundary"), {}, LiveTeacher),
    ],
)
def test_teacher_is_run_only_where_a_table_of_its_outputs_is_not_enough(
    loss: LossConfig, training: dict[str, Any], source: type
) -> None:
    assert isinstance(begun(loss, **training)._teacher, source)


@pytest.mark.parametrize("loss", ["attention", "hint", "boundary", "contrastive", "similarity", "relational"])
def test_stored_outputs_alone_do_not_serve_what_needs_the_network(loss: str) -> None:
    with pytest.raises(
        ValueError, match=f'method "{loss}" needs .* teacher.outputs = "stored" must be "auto" or "live"'
    ):
        begun(LossConfig(name=loss), stored_only=True)


def test_validation_images_are_looked_up_even_where_the_teacher_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(LossConfig(name="attention"))
    teacher = run._teacher
    assert isinstance(teacher, LiveTeacher)
    stored = run.evaluate(Split.VALIDATION).agreement

    def never(*_: object) -> None:
        raise AssertionError("the teacher was run")

    monkeypatch.setattr(teacher._network, "forward", never)
    assert run.evaluate(Split.VALIDATION).agreement == stored


def test_live_teacher_gives_the_tapped_features_of_the_batch_and_leaves_no_hook() -> None:
    data = device_data()
    teacher = teacher_of(data).live(("stage1", "stage2"))
    images = data.images[Split.TRAIN]
    indices_N = torch.arange(4)
    batch = Batch(Split.TRAIN, indices_N, images.normalized(indices_N), images.labels_N[:4])
    outputs = teacher.outputs(batch)
    network = teacher._network
    assert isinstance(network, nn.Module)
    assert torch.equal(outputs.features["stage1"], network.get_submodule("stage1")(batch.images_NCHW))
    assert list(outputs.features) == ["stage1", "stage2"]
    assert not any(module._forward_hooks for module in network.modules())


def test_student_is_shown_its_transfer_set_alone_with_the_labels_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    data = DeviceData(training_data(num_train=120), torch.device("cpu"))
    config = student(loss=KD, epochs=1, batch_size=10).model_copy(
        update={"transfer": TransferConfig(share=0.5, label_share=0.5, omitted_classes=(1,))}
    )
    run = student_run(config, data, teacher_of(data))
    steps: list[DistillationStep] = []
    forward = run._loss.forward

    def recorded(step: DistillationStep) -> torch.Tensor:
        steps.append(step)
        return torch.as_tensor(forward(step))

    monkeypatch.setattr(run._loss, "forward", recorded)
    assert run.run_epoch().num_images == 40
    shown = torch.cat([step.indices_N for step in steps if step.indices_N is not None]).numpy()
    labels = torch.cat([step.labels_N for step in steps]).numpy()
    of_all = training_data(num_train=120).train.labels_N
    assert len(np.unique(shown)) == 40
    assert set(of_all[shown]) == {0, 2}
    assert (labels == -100).sum() == 20
    assert (labels[labels != -100] == of_all[shown][labels != -100]).all()


@pytest.mark.parametrize("loss", ["hint", "hint_first", "contrastive"])
def test_parameters_of_a_method_do_not_hang_on_what_ran_before_in_the_process(loss: str) -> None:
    """One teacher serves many students: the first of them builds its network, the others find it there."""
    data = device_data()
    teacher = teacher_of(data)
    first, second = (
        student_run(student(loss=LossConfig(name=loss)), data, teacher).state_dict()["loss"] for _ in range(2)
    )
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("share", "is_refused"), [(1.0, False), (0.275, True)])
def test_batches_are_counted_of_the_images_that_are_shown(share: float, is_refused: bool) -> None:
    """Of 120 images batches of 32 leave 24; of a share of 33 images they leave one, which batch norm cannot take."""
    shown = student(loss=KD, batch_size=32).model_copy(
        update={"model": ModelConfig(name="resnet8"), "transfer": TransferConfig(share=share)}
    )
    with pytest.raises(ValueError, match="one of 33 images alone") if is_refused else nullcontext():
        check_student(shown, TeacherConfig(model=TEACHER, training=TrainingConfig(epochs=1)), training_data())


@pytest.mark.parametrize(("loss", "num_logits"), [("hint", 0), ("attention", 0), ("similarity", 0), ("hint_first", 3)])
def test_teacher_is_asked_for_logits_only_where_the_loss_needs_them(loss: str, num_logits: int) -> None:
    """Where it does not, the network need not be run to its end."""
    run = begun(LossConfig(name=loss))
    assert run._teacher is not None
    images, indices_N = run._images, torch.arange(4)
    batch = Batch(Split.TRAIN, indices_N, images.normalized(indices_N), images.labels_N[:4])
    assert run._teacher.outputs(batch).logits_NC.shape == (4, num_logits)
    run.run_epoch()
