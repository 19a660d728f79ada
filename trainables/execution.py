"""A network as it is computed: in which precision, where its numbers lie, its training passes compiled or not."""

import contextlib
from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor, nn

from trainables.config import Execution, Precision, RequestedPrecision, TrainingConfig
from trainables.hardware.compilation import Forward, compiled
from trainables.hardware.device import autocast, has_tensor_floats, precision_for, tensor_float_products
from trainables.hardware.executions import untried_executions


def execution_for(training: TrainingConfig, device: torch.device, measured: Execution | None = None) -> Execution:
    """What was measured to be fastest, where it is in the precision asked for; else what is done without measuring.

    Raises:
        ValueError: the precision is none of the device's.
    """
    is_allowed = measured is not None and training.precision in {"auto", measured.precision}
    if measured is not None and is_allowed and not (training.precision == "float32" and measured.tf32):
        return measured
    return executions_for(training.precision, device)[0]


def executions_for(precision: RequestedPrecision, device: torch.device) -> tuple[Execution, ...]:
    """Those of a device in the precision asked for; the first is how it is done where nothing is tried.

    "auto" may be of either precision where a GPU has both, and float32 is then TF32; "float32" is what it says.

    Raises:
        ValueError: the precision is none of the device's.
    """
    precisions: list[Precision] = [precision_for(device, precision)]
    if precision == "auto" and precisions == ["bfloat16"]:
        precisions.append("float32")
    tf32 = has_tensor_floats(device) and precision != "float32"
    return untried_executions(device.type, precisions, tf32=tf32)


@final
class ExecutedNetwork:
    """A network on its device, called with normalised images (N, channels, H, W) for logits (N, C).

    Compiled are training passes alone, of whole batches: an epoch's smaller last one would be compiled anew, and
    evaluation is in another mode. Neither are the passes of a network whose layers are read from outside.

    Args:
        network: moved, and put in order.
        execution: how it is computed; in planes where a CPU cannot do otherwise.
        device: where.
        images_a_pass: of a training pass of a whole batch.
        is_read: whether the features of its layers are read in training.
    """

    def __init__(
        self, network: nn.Module, execution: Execution, device: torch.device, *, images_a_pass: int, is_read: bool
    ) -> None:
        if device.type == "cpu" and any(map(_writes_past_its_memory, network.modules())):
            execution = execution.model_copy(update={"memory_format": "contiguous"})
        in_order = torch.channels_last if execution.memory_format == "channels_last" else torch.contiguous_format
        self.module = network.to(device).to(memory_format=in_order)
        self._execution = execution
        self._device = device
        self._images_a_pass = images_a_pass
        self._compiled: Forward | None = None
        if execution.compile != "none" and not is_read:
            self._compiled = compiled(self.module, execution.compile)

    def __call__(self, images_NCHW: Tensor) -> Tensor:
        """Logits in the network's present mode."""
        return self._run(self.module, images_NCHW)

    def in_training(self, images_NCHW: Tensor) -> Tensor:
        """Logits in training mode, of a batch or a part of it."""
        is_whole = len(images_NCHW) == self._images_a_pass
        return self._run(self._compiled if self._compiled is not None and is_whole else self.module, images_NCHW)

    @contextlib.contextmanager
    def arithmetic(self) -> Iterator[None]:
        """The products of the execution inside the context, where gradients are computed too."""
        with tensor_float_products(self._device, allowed=self._execution.tf32):
            yield

    def _run(self, network: Forward, images_NCHW: Tensor) -> Tensor:
        if self._execution.memory_format == "contiguous":  # images come channels last
            images_NCHW = images_NCHW.contiguous()
        with self.arithmetic(), autocast(self._device, self._execution.precision):
            return network(images_NCHW)


def _writes_past_its_memory(layer: nn.Module) -> bool:
    """Whether oneDNN, as torch 2.14.1 has it, may write past its memory in this layer's backward pass, channels last.

    Seen on an AMD EPYC on one thread: convolutions of size 1 with a stride, of 2 to 7 channels, as the shortcuts of
    narrow residual networks are. The process dies of it.
    """
    return (
        isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and max(layer.stride) > 1 and layer.in_channels < 8
    )
