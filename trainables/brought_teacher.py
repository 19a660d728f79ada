"""A teacher that was trained elsewhere: its file read without executing anything, and held against the dataset."""

import hashlib
import pickle
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables import models
from trainables.checkpoints import load_weights
from trainables.streams import seeded
from trainables.teacher_config import TeacherConfig

Weights = dict[str, NDArray[np.generic]]

# Where training scripts put the state dict within what they save, and what DataParallel puts before each name.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
PARALLEL_PREFIX = "module."
NUM_NAMED = 3
COUNTER = "num_batches_tracked"  # of batch norms, that no output depends on; files of old have none
# What torch raises at files that are cut short, changed, or name what it does not run.
TORN = (
    RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError, struct.error,
    pickle.UnpicklingError,
)  # fmt: skip


def brought_weights(teacher: TeacherConfig, input_shape: tuple[int, int, int], num_classes: int) -> Weights:
    """The weights of the teacher's network, by name, as its files or its builder have them.

    Args:
        teacher: one that is brought.
        input_shape: (channels, height, width) of an image of the dataset.
        num_classes: of the dataset.

    Raises:
        ValueError: a file is missing, is not one of weights, or is of another network, input or number of classes.
    """
    with seeded(0, torch.device("cpu")):  # of initial weights that are not kept
        model = teacher.model if teacher.weights == "as_built" else teacher.model.without_weights
        member = models.build(model, input_shape=input_shape, num_classes=num_classes)
    if teacher.weights == "as_built":
        return _arrays(member.state_dict())
    found: Weights = {}
    for place, name in enumerate(teacher.weights):
        path = Path(name).expanduser()
        weights = read_weights(path)
        counters = {name: tensor for name, tensor in member.state_dict().items() if name.endswith(COUNTER)}
        weights = {**counters, **weights}
        _check_fit(
            weights, member, f'teacher.weights: {path} does not fit model "{teacher.model.key}" here', num_classes
        )
        prefix = "" if len(teacher.weights) == 1 else f"members.{place}."
        found |= _arrays({f"{prefix}{each}": tensor for each, tensor in weights.items()})
    return found


def pinned(teacher: TeacherConfig) -> TeacherConfig:
    """The teacher with its files by their whole paths and their content's SHA-256: what a study begins with.

    Raises:
        ValueError: a file is missing, or is another than it was when this was done before.
    """
    if not teacher.is_brought or teacher.weights == "as_built":
        return teacher
    files = [Path(each).expanduser().absolute() for each in teacher.weights]
    for file in files:
        _check_there(file)
    found = tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    if teacher.sha256 and teacher.sha256 != found:
        raise ValueError(f"teacher.weights: {', '.join(map(str, files))}: is not what the study began with")
    return teacher.model_copy(update={"weights": tuple(map(str, files)), "sha256": found})


def source_of(teacher: TeacherConfig) -> str:
    """Where a brought teacher, pinned, comes from: each file with the SHA-256 of its content, in short."""
    if teacher.weights == "as_built":
        return f"as {teacher.model.name} is built"
    pairs = zip(teacher.weights, teacher.sha256, strict=True)
    return ", ".join(f"{name} (SHA-256 {digest[:12]}...)" for name, digest in pairs)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights by name: safetensors, or a state dict as torch saves it, by itself or within what a script saved.

    Raises:
        ValueError: there is no such file, or it holds no weights; nothing in it has been executed.
    """
    _check_there(path)
    if path.suffix == ".safetensors":
        try:
            return load_weights(path)
        except ValueError as error:
            raise ValueError(f"teacher.weights: {error}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that it then refuses
            saved = torch.load(path, map_location="cpu", weights_only=True)
    except TORN as error:
        raise ValueError(
            f"teacher.weights: {path}: not safetensors by its name, and not a state dict that can be read without "
            f"executing it ({type(error).__name__}): save model.state_dict() again, or write it as .safetensors"
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(saved, Mapping) and isinstance(saved.get(wrapper), Mapping):
            saved = saved[wrapper]
            break
    if not isinstance(saved, Mapping) or not saved or not all(isinstance(each, Tensor) for each in saved.values()):
        raise ValueError(f"teacher.weights: {path}: holds {_what(saved)}, not tensors by name")
    is_parallel = all(str(name).startswith(PARALLEL_PREFIX) for name in saved)
    return {str(name).removeprefix(PARALLEL_PREFIX) if is_parallel else str(name): each for name, each in saved.items()}


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"teacher.weights: {path.absolute()}: there is no such file")


def _check_fit(weights: Mapping[str, Tensor], network: nn.Module, what: str, num_classes: int) -> None:
    own = network.state_dict()
    missing = [name for name in own if name not in weights]
    unknown = [name for name in weights if name not in own]
    if missing or unknown:
        parts = [f"it lacks {_some(missing)}"] if missing else []
        parts += [f"it has {_some(unknown)}, which the network has not"] if unknown else []
        hint = 'a network with those names can be one\'s own, as model = { name = "package.module:function" }'
        raise ValueError(f"{what}: {'; '.join(parts)}; {hint}")
    for name, here in own.items():
        tensor = weights[name]
        if tensor.shape != here.shape:
            raise ValueError(
                f"{what}: {name} is {tuple(tensor.shape)} there and {tuple(here.shape)} here, where the dataset has "
                f"{num_classes} classes"
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{what}: {name} is not finite")


def _arrays(weights: Mapping[str, Tensor]) -> Weights:
    return {
        name: (tensor.float() if tensor.is_floating_point() else tensor).detach().cpu().numpy()
        for name, tensor in weights.items()
    }


def _some(names: list[str]) -> str:
    listed = ", ".join(names[:NUM_NAMED])
    return listed if len(names) <= NUM_NAMED else f"{listed} and {len(names) - NUM_NAMED} more"


def _what(saved: object) -> str:
    return (
        f"a {type(saved).__name__} of {len(saved)} entries"
        if isinstance(saved, Mapping)
        else f"a {type(saved).__name__}"
    )
