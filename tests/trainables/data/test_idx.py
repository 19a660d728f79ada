import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data.idx import decode, decompress

VALUES = bytes(range(24))
CONTENT = struct.pack(">BBBBIII", 0, 0, 8, 3, 2, 3, 4) + VALUES
PACKED = gzip.compress(CONTENT, mtime=0)


def test_an_array_is_read_in_row_major_order_without_a_copy() -> None:
    """The layout as Yann LeCun's page gives it: big-endian sizes, then the data as in a C array."""
    array = decode(decompress(PACKED, "file.gz"), "file.gz", num_axes=3)
    assert array.dtype == np.uint8
    assert array.tolist() == [[list(VALUES[12 * i + 4 * j :][:4]) for j in range(3)] for i in range(2)]
    assert not array.flags.owndata
    assert not array.flags.writeable


@given(st.integers(1, len(PACKED) - 1))
def test_a_truncated_file_is_refused_by_name(length: int) -> None:
    with pytest.raises(ValueError, match=r"^file\.gz: (truncated|damaged)"):
        decompress(PACKED[:length], "file.gz")


def test_an_empty_file_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^file\.gz: truncated, 0 bytes where the header alone has 16"):
        decode(decompress(b"", "file.gz"), "file.gz", num_axes=3)


@settings(deadline=None)
@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_nothing(position: int, change: int) -> None:
    """Some header bytes, the time stamp for one, carry no content; the checksum covers all that do."""
    damaged = bytearray(PACKED)
    damaged[position] ^= change
    try:
        content = decompress(bytes(damaged), "file.gz")
    except ValueError as error:
        assert str(error).startswith("file.gz: ")  # noqa: PT017 - either outcome is right
    else:
        assert content == CONTENT


def test_a_file_that_is_no_gzip_file_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^page\.gz: damaged, or no gzip file"):
        decompress(b"<html>not found</html>", "page.gz")


def test_a_wrong_magic_number_is_shown_beside_the_right_one() -> None:
    floats = bytes((0, 0, 0x0D, 3)) + CONTENT[4:]
    with pytest.raises(ValueError, match=r"^file: magic number 0x00000d03, not 0x00000803"):
        decode(floats, "file", num_axes=3)


def test_an_array_of_another_number_of_axes_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^file: magic number 0x00000803, not 0x00000801 \(IDX, unsigned bytes, 1 axes\)"
    ):
        decode(CONTENT, "file", num_axes=1)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"\0"])
def test_missing_and_surplus_data_are_refused_with_both_sizes(content: bytes) -> None:
    with pytest.raises(ValueError, match=rf"^file: {len(content) - 16} bytes of data where shape \(2, 3, 4\) has 24"):
        decode(content, "file", num_axes=3)
