"""Independent random streams: each is a pure function of a seed, a purpose and indices, never of what ran before."""

import hashlib

import torch


def derive_seed(seed: int, purpose: str, *indices: int) -> int:
    """A 63-bit seed for one purpose, independent (by BLAKE2b) of every other purpose, index and seed."""
    text = "/".join([str(seed), purpose, *map(str, indices)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, purpose: str, *indices: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator on `device` at the start of the stream named by its arguments."""
    return torch.Generator(device).manual_seed(derive_seed(seed, purpose, *indices))
