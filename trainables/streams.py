"""Torch's own random stream on a device: at a seed for a while, or gone on with where it was left."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """The stream at `seed`, and afterwards as it was before."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def stream_state(device: torch.device) -> Tensor:
    """Where the stream stands."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def set_stream_state(state: Tensor, device: torch.device) -> None:
    """Go on from where the stream stood; `state` may be on any device."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state.cpu(), device)
    else:
        torch.set_rng_state(state.cpu())
