"""Weights and training states on disk: written whole or not at all, read without executing anything."""

import errno
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainables.whole_files import replacing


def save_state(path: Path, state: Mapping[str, object]) -> None:
    """Write a training state (tensors, numbers, text and containers of them), replacing what stands there.

    Raises:
        OSError: the store cannot be written to; what stood there does.
    """
    with replacing(path) as temporary:
        try:
            torch.save(dict(state), temporary)
        except RuntimeError as error:  # torch's word for a file that it could not write to its end
            raise OSError(errno.EIO, f"torch: {str(error).splitlines()[0]}", str(path)) from error


def load_state(path: Path, device: torch.device | str = "cpu") -> dict[str, object]:
    """Read a training state; nothing in the file is executed (`weights_only`).

    Raises:
        ValueError: the file is not such a state.
    """
    if not zipfile.is_zipfile(path):  # torch would take anything else for its old pickle format
        raise ValueError(f"{path}: not a readable training state (its end is missing)")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path}: not a readable training state ({type(error).__name__})") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path}: holds a {type(state).__name__}, not a training state")
    return state


def save_weights(path: Path, weights: Mapping[str, Tensor], *, metadata: Mapping[str, str] | None = None) -> None:
    """Write weights as safetensors, with text beside them.

    Raises:
        OSError: the store cannot be written to; what stood there does.
    """
    whole = {name: tensor.contiguous() for name, tensor in weights.items()}
    with replacing(path) as temporary:
        try:
            save_file(whole, temporary, dict(metadata or {}))
        except SafetensorError as error:  # its word for any error of the disk
            raise OSError(errno.EIO, str(error), str(path)) from error


def save_array(path: Path, array: NDArray[np.generic]) -> None:
    """Write an array as .npy.

    Raises:
        OSError: the store cannot be written to; what stood there does.
    """
    with replacing(path) as temporary:
        try:
            np.save(temporary, array)
        except OSError as error:
            if error.errno is not None:
                raise
            raise OSError(errno.EIO, str(error), str(path)) from error  # NumPy's own, of a file that took a part


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read safetensors weights on to the CPU.

    Raises:
        ValueError: the file is not safetensors.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: not a readable safetensors file ({error})") from error
