"""Python 2's pickles of byte arrays: read as NumPy itself reads them, and nothing else of a pickle is done."""

import os
import pickle
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.trainables.data.published_files import python2_pickle
from trainables.data.array_pickle import load_table

ROWS = np.arange(24, dtype=np.uint8).reshape(4, 6)
TABLE = {b"data": ROWS, b"labels": [3, 0, 255, 70_000], b"batch_label": b"training batch 1 of 5"}


class Calls:
    """A pickle that calls a function when it is read."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.reduced


@given(st.integers(0, 20), st.integers(1, 400), st.sampled_from("CF"), st.lists(st.integers(0, 99)))
def test_table_is_what_numpy_and_pickle_make_of_it(
    num_rows: int, num_columns: int, order: Literal["C", "F"], labels: list[int]
) -> None:
    numbers = np.arange(num_rows * num_columns).reshape(num_rows, num_columns)
    rows = np.array(numbers, np.uint8, order=order)
    content = python2_pickle({b"data": rows, b"labels": labels})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NumPy has moved what these files name
        trusted = pickle.loads(content, encoding="bytes")  # noqa: S301
    table = load_table(content, "batch")
    assert table.keys() == trusted.keys()
    assert table[b"labels"] == trusted[b"labels"] == labels
    np.testing.assert_array_equal(table[b"data"], trusted[b"data"], strict=True)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickle_that_would_run_a_command_is_refused_and_the_command_not_run(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "trace"
    content = pickle.dumps({"data": Calls(os.system, f"touch {trace}")}, protocol=protocol)
    with pytest.raises(
        ValueError, match=r"^batch: .* it names posix\.system, which was not looked up; allowed are NumPy"
    ):
        load_table(content, "batch")
    assert not trace.exists()
    pickle.loads(content)  # noqa: S301  what was refused does what it is feared for
    assert trace.exists()


@pytest.mark.parametrize("names", [(b"numpy", b"load"), (b"builtins", b"getattr"), (b"_codecs", b"encode")])
def test_harmless_looking_names_are_refused_too(names: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match=rf"it names {names[0].decode()}\.{names[1].decode()}"):
        load_table(b"\x80\x02c" + b"\n".join(names) + b"\n.", "batch")


def test_known_name_cannot_be_given_attributes() -> None:
    """BUILD with a state would set them on whatever the name stands for."""
    with pytest.raises(ValueError, match="dtype is changed"):
        load_table(b"\x80\x02cnumpy\ndtype\n}U\x01aK\x01sb.", "batch")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3, np.int64), "not of unsigned bytes"),
        (np.array(["a", "b"]), "not of unsigned bytes"),
        (np.zeros(3, np.float32), "not of unsigned bytes"),
    ],
)
def test_arrays_of_anything_but_bytes_are_refused(array: NDArray[np.generic], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_table(python2_pickle({b"data": array}), "batch")


def test_array_whose_shape_does_not_fit_its_bytes_is_refused() -> None:
    shape = b"(K\x04K\x06t"
    content = python2_pickle({b"data": ROWS})
    assert content.count(shape) == 1
    with pytest.raises(ValueError, match=r"shape \(4, 7\) does not hold as many bytes"):
        load_table(content.replace(shape, b"(K\x04K\x07t"), "batch")


@given(st.integers(0, len(python2_pickle(TABLE)) - 1))
def test_truncated_pickle_is_refused_by_name(length: int) -> None:
    with pytest.raises(ValueError, match=r"^batch: no table of byte arrays, or damaged"):
        load_table(python2_pickle(TABLE)[:length], "batch")


def test_pickle_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="batch: holds a list: it must hold a table"):
        load_table(python2_pickle([1, 2]), "batch")
