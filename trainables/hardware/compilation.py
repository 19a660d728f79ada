"""A network's training passes compiled by torch: a thin adapter, beside which tests put a fake."""

from collections.abc import Callable
from typing import Literal, cast

import torch
from torch import Tensor, nn

Compilation = Literal["default", "cuda_graphs"]
Forward = Callable[[Tensor], Tensor]


def compiled(network: nn.Module, how: Compilation) -> Forward:
    """The network's forward pass, compiled when it is first called, for images of that one shape.

    The network itself stays what it is: its parameters keep their names, and run as before. A process has one compiled
    network at a time: what torch has compiled before is let go of, else the next network of the same class would be
    taken for the same one in another shape, and torch gives up after some of these.

    Args:
        network: with its parameters where they will stay; what is loaded into them later is read from there.
        how: "cuda_graphs" also replays its kernels as one; a pass's outputs are then lost with the next pass.
    """
    release()
    mode = "reduce-overhead" if how == "cuda_graphs" else None
    forward = cast("Forward", torch.compile(network.forward, dynamic=False, mode=mode))
    if how == "default":
        return forward

    def replayed(images_NCHW: Tensor) -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return forward(images_NCHW)

    return replayed


def release() -> None:
    """Let go of all that has been compiled in this process, and of its graphs' memory."""
    torch.compiler.reset()
