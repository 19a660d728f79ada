"""A network as it is computed: what is compiled and what is not, in what order and precision, and what it keeps."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from tests.factories import device_data, stored_teacher, student
from trainables import execution as executing
from trainables.config import Execution, LossConfig, TrainingConfig
from trainables.execution import ExecutedNetwork, execution_for, executions_for
from trainables.run_start import student_run
from trainables.teacher_outputs import Split
from trainables.training import DistillationRun

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
COMPILED = Execution(compile="cuda_graphs")
KD = LossConfig(name="kd")


@dataclass
class FakeCompiler:
    """Stands for torch's: it runs the network, and keeps what it was run on."""

    how: list[str] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    modes: list[bool] = field(default_factory=list)

    def __call__(self, network: nn.Module, how: str) -> Callable[[Tensor], Tensor]:
        self.how.append(how)

        def forward(images_NCHW: Tensor) -> Tensor:
            self.shapes.append(tuple(images_NCHW.shape))
            self.modes.append(network.training)
            logits_NC: Tensor = network(images_NCHW)
            return logits_NC

        return forward


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> FakeCompiler:
    fake = FakeCompiler()
    monkeypatch.setattr(executing, "compiled", fake)
    return fake


def run(execution: Execution | None = None, *, loss: LossConfig = KD, batch_size: int = 32) -> DistillationRun:
    data = device_data()
    config = student(loss=loss, epochs=2, batch_size=batch_size)
    return student_run(config, data, stored_teacher(data), measured=execution)


def weights(of: DistillationRun) -> Tensor:
    return torch.cat([each.detach().reshape(-1) for each in of.model.parameters()])


def test_whole_batches_in_training_are_compiled_and_nothing_else(compiler: FakeCompiler) -> None:
    """An epoch's last batch is smaller: compiled too it would be compiled anew, and so would evaluation."""
    trained = run(COMPILED, batch_size=50)
    num_images = len(device_data().images[Split.TRAIN])
    assert num_images % 50
    trained.run_epoch()
    trained.evaluate(Split.VALIDATION)
    trained.logits(torch.zeros(50, 1, 8, 8))
    assert compiler.how == ["cuda_graphs"]
    assert [shape[0] for shape in compiler.shapes] == [50] * (num_images // 50)
    assert all(compiler.modes)


def test_parts_of_a_batch_are_compiled_at_their_own_size(compiler: FakeCompiler) -> None:
    """50 in 4 parts: 13, 13, 12 and 12, of which the first two are of the compiled size."""
    data = device_data()
    config = student(loss=KD, epochs=1, batch_size=50)
    config = config.model_copy(update={"training": config.training.model_copy(update={"accumulate": 4})})
    student_run(config, data, stored_teacher(data), measured=COMPILED).train_step(torch.arange(50))
    assert [shape[0] for shape in compiler.shapes] == [13, 13]


def test_a_network_whose_layers_are_read_is_not_compiled(compiler: FakeCompiler) -> None:
    """What is hooked onto a module later is not in what was compiled before."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    for is_read in (True, False):
        ExecutedNetwork(network, COMPILED, CPU, images_a_pass=2, is_read=is_read).in_training(torch.zeros(2, 1, 2, 2))
    assert compiler.how == ["cuda_graphs"]


@pytest.mark.usefixtures("compiler")
def test_a_compiled_run_has_the_names_and_the_numbers_of_one_that_is_not_and_resumes_it() -> None:
    plain, compiled_run = run(), run(COMPILED)
    plain.run_epoch()
    compiled_run.run_epoch()
    assert torch.equal(weights(plain), weights(compiled_run))
    names = [dict(each.model.state_dict()).keys() for each in (plain, compiled_run)]
    assert names[0] == names[1]
    resumed = run()
    resumed.load_state_dict(copy.deepcopy(compiled_run.state_dict()))
    for each in (plain, compiled_run, resumed):
        each.run_epoch()
    assert torch.equal(weights(plain), weights(compiled_run))
    assert torch.equal(weights(plain), weights(resumed))


@pytest.mark.parametrize("order", ["channels_last", "contiguous"])
def test_network_and_images_lie_in_the_order_of_the_execution(order: str) -> None:
    seen: list[bool] = []

    class Seeing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 4, 3)

        def forward(self, images: Tensor) -> Tensor:
            is_last = [
                each.is_contiguous(memory_format=torch.channels_last) and not each.is_contiguous()
                for each in (images, self.convolution.weight)
            ]
            assert is_last[0] == is_last[1]
            seen.append(is_last[0])
            logits: Tensor = self.convolution(images).mean(dim=(2, 3))
            return logits

    execution = Execution.model_validate({"memory_format": order})
    network = ExecutedNetwork(Seeing(), execution, CPU, images_a_pass=2, is_read=False)
    network(torch.zeros(2, 3, 5, 5).contiguous(memory_format=torch.channels_last))
    assert seen == [order == "channels_last"]


def test_optimiser_takes_the_form_of_the_execution_and_the_same_steps() -> None:
    runs = [run(Execution(optimizer="fused")), run(Execution(optimizer="foreach"))]
    forms = [each._optimizer.param_groups[0] for each in runs]
    assert [(group["fused"], group["foreach"]) for group in forms] == [(True, False), (False, True)]
    for each in runs:
        each.run_epoch()
    torch.testing.assert_close(weights(runs[0]), weights(runs[1]), rtol=1e-4, atol=1e-5)


def test_a_cpu_that_was_told_its_one_way_computes_the_bits_of_one_that_was_not() -> None:
    assert execution_for(TrainingConfig(epochs=1), CPU) == Execution()
    chosen, untold = run(Execution()), run()
    chosen.run_epoch()
    untold.run_epoch()
    assert torch.equal(weights(chosen), weights(untold))


def test_precision_asked_for_holds_against_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executing, "precision_for", lambda _, asked: "bfloat16" if asked == "auto" else asked)
    monkeypatch.setattr(executing, "has_tensor_floats", lambda _: True)
    measured = Execution(precision="bfloat16", tf32=True, memory_format="contiguous")
    precisions = ("auto", "float32", "bfloat16")
    asked = {each: TrainingConfig.model_validate({"epochs": 1, "precision": each}) for each in precisions}
    assert execution_for(asked["auto"], CUDA, measured) == measured
    assert execution_for(asked["bfloat16"], CUDA, measured) == measured
    assert execution_for(asked["float32"], CUDA, measured) == Execution(precision="float32")
    assert execution_for(asked["float32"], CUDA, Execution(tf32=True)) == Execution()
    assert execution_for(asked["auto"], CUDA) == Execution(precision="bfloat16", tf32=True)


def test_a_gpu_tries_both_precisions_where_it_has_them_and_none_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executing, "has_tensor_floats", lambda _: True)
    monkeypatch.setattr(executing, "precision_for", lambda _, asked: "bfloat16" if asked == "auto" else asked)

    def found(precision: str) -> set[tuple[str, bool]]:
        return {(each.precision, each.tf32) for each in executions_for(precision, CUDA)}  # type: ignore[arg-type]

    assert found("auto") == {("bfloat16", True), ("float32", True)}
    assert found("bfloat16") == {("bfloat16", True)}
    assert found("float32") == {("float32", False)}  # TF32 has the mantissa of a half
    monkeypatch.setattr(executing, "has_tensor_floats", lambda _: False)
    monkeypatch.setattr(executing, "precision_for", lambda _, __: "float32")
    assert found("auto") == {("float32", False)}


def test_bfloat16_on_a_cpu_that_has_it_is_computed_in_it_with_weights_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    data = device_data()
    config = student(loss=KD, epochs=2)
    config = config.model_copy(update={"training": config.training.model_copy(update={"precision": "bfloat16"})})
    low, full = student_run(config, data, stored_teacher(data)), run()
    images_NCHW = data.images[Split.TRAIN].normalized(torch.arange(8))
    assert low._network(images_NCHW).dtype == torch.bfloat16
    assert {each.dtype for each in low.model.parameters()} == {torch.float32}
    losses = [each.run_epoch().train_loss for each in (low, full)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[0] != losses[1]
    resumed = student_run(config, data, stored_teacher(data))
    resumed.load_state_dict(copy.deepcopy(low.state_dict()))
    for each in (low, resumed):
        each.run_epoch()
    assert torch.equal(weights(low), weights(resumed))


@pytest.mark.parametrize(
    ("in_channels", "size", "stride", "is_channels_last"),
    [(7, 1, 2, False), (8, 1, 2, True), (7, 3, 2, True), (7, 1, 1, True)],
)
def test_network_whose_backward_pass_would_write_past_its_memory_is_kept_in_planes(
    in_channels: int, size: int, stride: int, is_channels_last: bool
) -> None:
    """oneDNN's convolutions of size 1 with a stride, of few channels: the processes of test_pairs.py die of them."""
    layer = nn.Conv2d(in_channels, 16, size, stride=stride)
    network = ExecutedNetwork(nn.Sequential(layer), Execution(), CPU, images_a_pass=2, is_read=False)
    seen: list[Tensor] = []
    layer.register_forward_pre_hook(lambda _, images: seen.append(images[0]))
    images_NCHW = torch.zeros(2, in_channels, 8, 8).to(memory_format=torch.channels_last)
    network.in_training(images_NCHW)
    assert seen[0].is_contiguous(memory_format=torch.channels_last) is is_channels_last
    assert seen[0].is_contiguous() is not is_channels_last
