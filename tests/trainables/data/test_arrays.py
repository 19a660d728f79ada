"""Arrays of one's own: every layout comes to the same images, and nothing is unpickled."""

import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.trainables.data.published_files import random_images, write_npz
from trainables.data import npy_stream
from trainables.data.arrays import NAMES, Layout, load

Arrays = dict[str, NDArray[Any]]
LAYOUTS: tuple[Layout, ...] = ("NCHW", "NHWC")


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_STUDY_CACHE", str(tmp_path / "cache"))


def small_arrays() -> Arrays:
    images = random_images((3, 6, 5), num_train=12, num_test=6, num_classes=3)
    labels = {f"{split}_labels": labels_N for split, (_, labels_N) in images.items()}
    return {f"{split}_images": images_NCHW for split, (images_NCHW, _) in images.items()} | labels


def saved_folder(folder: Path, given_arrays: Arrays) -> Path:
    folder.mkdir()
    for name, array in given_arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def saved_archive(path: Path, given_arrays: Arrays) -> Path:
    np.savez(path, **given_arrays)  # type: ignore[arg-type]  # its stub takes the names for allow_pickle
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64, ">i4"])
def test_folder_and_archive_hold_the_same_whatever_whole_numbers_labels_are(tmp_path: Path, dtype: str) -> None:
    written = small_arrays()
    labels = {name: array.astype(dtype) for name, array in written.items() if name.endswith("labels")}
    folder = load(path=str(saved_folder(tmp_path / "mine", written | labels)))
    archive = load(path=str(saved_archive(tmp_path / "mine.npz", written | labels)))
    for dataset in (folder, archive):
        np.testing.assert_array_equal(dataset.train.images_NCHW, written["train_images"], strict=True)
        np.testing.assert_array_equal(dataset.train.labels_N, written["train_labels"], strict=True)
    assert folder.mean_C == archive.mean_C
    np.testing.assert_allclose(folder.std_C, (written["train_images"] / 255).std((0, 2, 3)), rtol=1e-9)


@settings(max_examples=30)
@given(st.integers(2, 9), st.integers(1, 4), st.integers(5, 8), st.integers(5, 8), st.integers(1, 400))
def test_channels_last_and_channels_first_come_to_the_same_images_in_blocks_of_any_size(
    num_images: int, num_channels: int, height: int, width: int, block_bytes: int
) -> None:
    shape = (num_images, num_channels, height, width)
    images_NCHW = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = np.arange(num_images) % 2
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as name:
        patch.setattr(npy_stream, "_BLOCK_BYTES", block_bytes)
        for layout in LAYOUTS:
            images = images_NCHW if layout == "NCHW" else np.ascontiguousarray(np.moveaxis(images_NCHW, 1, 3))
            written: Arrays = dict(zip(NAMES, (images, labels) * 2, strict=True))
            dataset = load(path=str(saved_folder(Path(name) / layout, written)), layout=layout)
            np.testing.assert_array_equal(dataset.train.images_NCHW, images_NCHW)
            np.testing.assert_array_equal(dataset.test.images_NCHW, images_NCHW)


def test_images_without_channels_are_gray(tmp_path: Path) -> None:
    written = small_arrays()
    gray = {name: written[name][:, 0] for name in NAMES if name.endswith("images")}
    dataset = load(path=str(saved_archive(tmp_path / "mine.npz", written | gray)), layout="NHW")
    np.testing.assert_array_equal(dataset.train.images_NCHW, written["train_images"][:, :1])


@pytest.mark.parametrize("save", [saved_folder, saved_archive])
@pytest.mark.parametrize("name", NAMES)
def test_python_objects_are_refused_and_not_unpickled(
    tmp_path: Path, name: str, save: Callable[[Path, Arrays], Path]
) -> None:
    trace = tmp_path / "trace"
    written = small_arrays()
    written[name] = np.array([RunsACommand(trace)] * len(written[name]), dtype=object)
    path = save(tmp_path / "mine.npz", written)
    with pytest.raises(ValueError, match=rf"{path}\S* ?{name}\S*: holds Python objects, which only unpickling could"):
        load(path=str(path))
    assert not trace.exists()


class RunsACommand:
    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self._trace}",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_images": np.zeros((12, 3, 6, 5))}, r"train_images: is float64 of shape \(12, 3, 6, 5\): with layout"),
        ({"train_images": np.zeros((12, 6, 5), np.uint8)}, "train_images: .* allowed layouts are NCHW, NHWC and NHW"),
        ({"test_images": np.zeros((0, 3, 6, 5), np.uint8)}, "test_images: .* no axis may be empty"),
        ({"train_labels": np.zeros(12)}, r"train_labels: is float64 of shape \(12,\): it must be whole numbers"),
        ({"train_labels": np.zeros(11, np.int64)}, r"train_labels: .* shape \(12,\), one for each image"),
        ({"test_labels": np.full(6, -1)}, "test_labels: a label is -1: labels are counted from 0"),
        ({"test_labels": np.full(6, 3)}, "a test label is 3: allowed are 0 to 2, as in the training labels"),
        ({"train_images": np.zeros((12, 5, 6, 3), np.uint8)}, "5 channels .* set dataset.options.layout to 'NHWC'"),
        ({"train_images": np.zeros((12, 3, 6, 5), np.uint8, order="F")}, "train_images: is in Fortran's order"),
        ({"train_images": np.zeros((12, 3, 6, 5), np.uint8)}, "every training image is 0 everywhere in channel 0"),
    ],
)
def test_array_that_is_not_as_it_must_be_is_named(tmp_path: Path, change: Arrays, message: str) -> None:
    path = saved_archive(tmp_path / "mine.npz", small_arrays() | change)
    with pytest.raises(ValueError, match=message):
        load(path=str(path))


def test_array_that_is_missing_is_named(tmp_path: Path) -> None:
    written = small_arrays()
    del written["test_labels"]
    with pytest.raises(ValueError, match=r'mine\.npz: has no array "test_labels"'):
        load(path=str(saved_archive(tmp_path / "mine.npz", written)))
    with pytest.raises(ValueError, match=r"mine/test_labels\.npy: cannot be read: No such file"):
        load(path=str(saved_folder(tmp_path / "mine", written)))


def test_truncated_file_is_named(tmp_path: Path) -> None:
    file = saved_folder(tmp_path / "mine", small_arrays()) / "train_images.npy"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=rf"{file}: truncated, 12 rows are announced"):
        load(path=str(file.parent))


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_truncated_archive_is_named(tmp_path: Path, kept: float) -> None:
    path = saved_archive(tmp_path / "mine.npz", small_arrays())
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(ValueError, match=rf"{path}: train_images: cannot be read, damaged or truncated"):
        load(path=str(path))


def test_changed_byte_in_an_archive_is_seen_by_its_checksum(tmp_path: Path) -> None:
    images = random_images((3, 6, 5), num_train=12, num_test=6, num_classes=3)
    path = write_npz(tmp_path / "mine.npz", images)
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("train_images.npy")
    content = bytearray(path.read_bytes())
    content[member.header_offset + member.compress_size // 2 + 60] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="train_images: "):
        load(path=str(path))


def test_file_that_is_no_array_is_named(tmp_path: Path) -> None:
    folder = saved_folder(tmp_path / "mine", small_arrays())
    (folder / "test_images.npy").write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match=r"test_images\.npy: no array in NumPy's format"):
        load(path=str(folder))


def test_unknown_layout_is_refused_beside_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'NCHW', 'NHWC' or 'NHW'"):
        load(path="x", layout="HWC")  # type: ignore[arg-type]
