"""Pickles of a table of byte arrays, as CIFAR is published in them, read without running anything that they name."""

# A pickle is a program: it may call whatever it names. Of this one three names are known, and none of them leads to
# NumPy: stand-ins take the arguments, and what an array is to hold is looked at before there is one.

import io
import math
import pickle
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

PICKLE_ERRORS = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)


def load_table(content: bytes, source: str) -> dict[bytes, object]:
    """The table that the pickle holds: text as bytes, numbers, lists, and arrays of bytes.

    Args:
        content: the whole file, as Python 2 wrote it.
        source: its name, for the error message.

    Raises:
        ValueError: it names anything but a NumPy array of bytes, is damaged, or holds no table.
    """
    try:
        table = _TableUnpickler(io.BytesIO(content), encoding="bytes").load()
    except PICKLE_ERRORS as error:
        raise ValueError(f"{source}: no table of byte arrays, or damaged: {error}") from error
    if not isinstance(table, dict):
        raise ValueError(f"{source}: holds a {type(table).__name__}: it must hold a table")
    return {name: value.array if isinstance(value, _PickledArray) else value for name, value in table.items()}


@final
class _PickledArray:
    """What `numpy.core.multiarray._reconstruct` stands for: an array that is still to be told what it holds."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: NDArray[np.uint8] = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        *_, shape, dtype, is_fortran, content = state  # a version of the format may come first
        if not isinstance(dtype, _PickledType) or dtype.name != b"u1":
            raise ValueError("an array is not of unsigned bytes")
        if not isinstance(content, bytes) or math.prod(shape) != len(content):
            raise ValueError(f"an array of shape {shape} does not hold as many bytes")
        self.array = np.frombuffer(content, np.uint8).reshape(shape, order="F" if is_fortran else "C")


@final
class _PickledType:
    """What `numpy.dtype` stands for; how it is laid out in memory is nothing that a pickle may say."""

    __slots__ = ("name",)

    def __init__(self, name: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        pass


@final
class _Builder:
    """A name of NumPy's, as something to call; it has no attributes that a pickle could set."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *arguments: object) -> _PickledArray | _PickledType:
        if self._name == "dtype":
            return _PickledType(arguments[0])
        if self._name == "_reconstruct":
            return _PickledArray()
        raise ValueError("numpy.ndarray is called")

    def __setstate__(self, state: object) -> None:
        raise ValueError(f"{self._name} is changed")


_KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class _TableUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Builder:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which was not looked up; allowed are NumPy arrays")
        return _Builder(name)
