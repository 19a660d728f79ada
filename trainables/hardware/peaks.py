"""Work and the ceiling on it: FLOPs of a network by counting, peak FLOP/s of a device by measuring."""

import contextlib
import copy
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from trainables.config import Precision
from trainables.hardware.device import fixed_num_threads, synchronize

_CPU_SIZE, _CUDA_SIZE = 1_024, 8_192
_SECONDS = 0.4
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def forward_flops_per_image(model: nn.Module, input_shape: tuple[int, int, int]) -> float:
    """FLOPs of one forward pass of one image: matrix products and convolutions, 1 multiply-accumulate = 2 FLOP.

    Args:
        model: left as it is; a copy on the CPU is counted.
        input_shape: (channels, height, width).
    """
    network = copy.deepcopy(model).cpu().eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *input_shape))
    return float(counter.get_total_flops())


def training_flops_per_image(model: nn.Module, input_shape: tuple[int, int, int]) -> float:
    """FLOPs of one forward and backward pass of one image; the first layer needs no gradient of its input.

    Args:
        model: left as it is; a copy on the CPU is counted, in training mode, on two images (batch norm takes no fewer).
        input_shape: (channels, height, width).
    """
    network = copy.deepcopy(model).cpu().train()
    images_NCHW = torch.zeros(2, *input_shape)
    counting = FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.convolution_backward: _convolution_backward_flops}
    )
    # Dropout must not move the caller's random stream.
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), counting:
        network(images_NCHW).sum().backward()
    return float(counting.get_total_flops()) / 2.0


@functools.cache
def measured_peak_flops_per_s(device: torch.device, precision: Precision, num_threads: int) -> float:
    """Peak FLOP/s of a device: its fastest large matrix product in that precision. Measured once per process, 0.5 s.

    Float32 on CUDA uses TF32 exactly where convolutions may (torch allows it to them, not to matrix products), so that
    MFU is held against the units the networks ran on.

    Args:
        device: nothing else may run there.
        precision: of the products.
        num_threads: CPU threads; of no effect on CUDA.
    """
    size = _CUDA_SIZE if device.type == "cuda" else _CPU_SIZE
    stream = torch.Generator(device).manual_seed(0)
    left, right = (torch.rand(size, size, device=device, generator=stream).to(_DTYPES[precision]) for _ in range(2))
    with fixed_num_threads(num_threads), torch.inference_mode(), _matrix_products_as_convolutions():
        return fastest_product_flops_per_s(left, right, seconds=_SECONDS)


def fastest_product_flops_per_s(
    left: Tensor, right: Tensor, *, seconds: float, clock: Callable[[], int] = time.perf_counter_ns
) -> float:
    """FLOP/s of the fastest of the products made within `seconds` (at least one, after two to warm up).

    Args:
        left: shape (n, k).
        right: shape (k, m), same dtype and device.
        seconds: how long to go on.
        clock: monotonic, in ns.
    """
    product = torch.empty(left.shape[0], right.shape[1], dtype=left.dtype, device=left.device)
    flops = 2.0 * left.shape[0] * left.shape[1] * right.shape[1]
    for _ in range(2):
        torch.mm(left, right, out=product)
    fastest_ns: int | None = None
    deadline = clock() + int(seconds * 1e9)
    while fastest_ns is None or clock() < deadline:
        synchronize(left.device)
        start = clock()
        torch.mm(left, right, out=product)
        synchronize(left.device)
        elapsed_ns = clock() - start
        fastest_ns = elapsed_ns if fastest_ns is None else min(fastest_ns, elapsed_ns)
    return flops / (fastest_ns / 1e9)


def _convolution_backward_flops(
    grad_shape: Sequence[int], images_shape: Sequence[int], weight_shape: Sequence[int], *others: object, **_: object
) -> int:
    """Each of the two gradients costs what the forward pass does; torch's own formula counts groups too often.

    Args:
        grad_shape: (N, channels out, ...) of the output's gradient.
        images_shape: (N, channels in, ...).
        weight_shape: (channels out, channels in / groups, ...), in and out swapped in a transposed convolution.
        others: the operator's further arguments; "transposed" is the fifth of them, the output mask the last.
    """
    is_transposed, needs = others[4], others[7]
    positions = math.prod((images_shape if is_transposed else grad_shape)[2:])
    num_gradients = sum(cast("Sequence[bool]", needs)[:2])  # of the input and the weight; the bias's is a sum
    return num_gradients * 2 * grad_shape[0] * positions * math.prod(weight_shape)


@contextlib.contextmanager
def _matrix_products_as_convolutions() -> Iterator[None]:
    products = torch.backends.cuda.matmul
    before = products.fp32_precision
    products.fp32_precision = torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
    try:
        yield
    finally:
        products.fp32_precision = before
