"""One array of a .npy file or of an .npz archive, a block of rows at a time; nothing in it is unpickled."""

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

_BLOCK_BYTES = 1 << 24
_DAMAGED = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class NpyStream:
    """An array whose header has been read.

    Raises:
        ValueError: it holds Python objects, is in Fortran's order, or is no array; the message names it.
    """

    source: str
    file: IO[bytes]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def begin(cls, file: IO[bytes], source: str) -> Self:
        """Read the header."""
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, is_fortran, dtype = read(file)
        except ValueError as error:
            raise ValueError(f"{source}: no array in NumPy's format: {error}") from error
        if dtype.hasobject:
            raise ValueError(
                f"{source}: holds Python objects, which only unpickling could read, and a pickle may run anything: "
                "save plain numbers"
            )
        if is_fortran:
            raise ValueError(f"{source}: is in Fortran's order: save numpy.ascontiguousarray of it")
        return cls(source, file, shape, dtype)

    def blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """The array by its first axis: which rows, and what they hold.

        Raises:
            ValueError: the file ends before the array does.
        """
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        step = max(1, _BLOCK_BYTES // max(1, row_bytes))
        for start in range(0, self.shape[0], step):
            rows = slice(start, min(start + step, self.shape[0]))
            num_bytes = (rows.stop - start) * row_bytes
            content = self.file.read(num_bytes)
            if len(content) != num_bytes:
                raise ValueError(
                    f"{self.source}: truncated, {self.shape[0]} rows are announced, row {start} is not whole"
                )
            yield rows, np.frombuffer(content, self.dtype).reshape(rows.stop - start, *self.shape[1:])


@contextmanager
def npy_stream(path: Path, name: str) -> Iterator[NpyStream]:
    """The array `name` of the .npz archive at `path`, or of `name`.npy in the folder there.

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    source = f"{path / name}.npy" if path.is_dir() else f"{path}: {name}"
    try:
        if path.is_dir():
            with (path / f"{name}.npy").open("rb") as file:
                yield NpyStream.begin(file, source)
        else:
            with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
                yield NpyStream.begin(file, source)
    except KeyError as error:
        raise ValueError(f'{path}: has no array "{name}"') from error
    except _DAMAGED as error:
        raise ValueError(f"{source}: cannot be read, damaged or truncated: {error}") from error
