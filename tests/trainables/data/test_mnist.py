import gzip
import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from trainables import data
from trainables.config import DatasetConfig
from trainables.data.image_arrays import Dataset
from trainables.data.mnist import load_from
from trainables.data.split import split

LABELS_FILE = "train-labels-idx1-ubyte.gz"


@pytest.fixture(scope="module")
def mnist() -> Dataset:
    return data.load("mnist")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with resources.as_file(resources.files("trainables.data") / "mnist_files") as files:
        return Path(shutil.copytree(files, tmp_path / "mnist_files"))


def test_each_digit_is_there_as_often_as_published(mnist: Dataset) -> None:
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(mnist.train.labels_N).tolist() == train
    assert np.bincount(mnist.test.labels_N).tolist() == test
    assert mnist.train.image_shape == mnist.test.image_shape == (1, 28, 28)


def test_mean_and_deviation_are_those_of_the_training_images(mnist: Dataset) -> None:
    pixels = mnist.train.images_NCHW
    assert pixels.mean() / 255 == pytest.approx(mnist.mean_C[0], abs=5e-5)
    assert pixels.std() / 255 == pytest.approx(mnist.std_C[0], abs=5e-5)


def test_the_default_split_leaves_55000_images_to_learn_from(mnist: Dataset) -> None:
    parts = split(mnist, DatasetConfig())
    assert (len(parts.train), len(parts.validation)) == (55_000, 5_000)
    assert parts.input_shape == (1, 28, 28)


def test_the_files_carry_their_licence() -> None:
    licence = (resources.files("trainables.data") / "mnist_files" / "LICENSE.md").read_text("utf-8")
    assert "Yann LeCun and Corinna Cortes" in licence
    assert "CC BY-SA 3.0" in licence


def changed_label(content: bytes) -> bytes:
    return content[:-1] + bytes([(content[-1] + 1) % 10])


def changed_magic(content: bytes) -> bytes:
    return b"\0\0\x0d\x01" + content[4:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed_label, r"SHA-256 of its content is [0-9a-f]{64}, that of MNIST is 65a50cbb"),
        (changed_magic, "magic number 0x00000d01, not 0x00000801"),
        (lambda content: content[:-9], r"59991 bytes of data where shape \(60000,\) has 60000"),
    ],
)
def test_well_packed_but_wrong_content_is_refused(folder: Path, change: Callable[[bytes], bytes], message: str) -> None:
    file = folder / LABELS_FILE
    file.write_bytes(gzip.compress(change(gzip.decompress(file.read_bytes())), compresslevel=1))
    with pytest.raises(ValueError, match=f"{LABELS_FILE}: {message}"):
        load_from(folder)


def test_a_truncated_file_is_refused(folder: Path) -> None:
    file = folder / LABELS_FILE
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match=f"{LABELS_FILE}: truncated"):
        load_from(folder)


def test_a_flipped_byte_is_refused(folder: Path) -> None:
    file = folder / LABELS_FILE
    packed = bytearray(file.read_bytes())
    packed[len(packed) // 2] ^= 1
    file.write_bytes(packed)
    with pytest.raises(ValueError, match=f"{LABELS_FILE}: damaged"):
        load_from(folder)


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / LABELS_FILE).unlink()
    with pytest.raises(ValueError, match=f"{LABELS_FILE}: no such file"):
        load_from(folder)
