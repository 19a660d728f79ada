import gzip
import shutil
from pathlib import Path

import pytest

from tests.trainables.data.published_files import make_fashion_mnist
from trainables.data import fashion_mnist
from trainables.data.fashion_mnist import PUBLISHED_MD5

LABELS_FILE = "train-labels-idx1-ubyte.gz"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_fashion_mnist(tmp_path, monkeypatch)
    return tmp_path / "fashion-mnist"


@pytest.mark.parametrize("place", ["FashionMNIST/raw", "elsewhere"])
def test_files_are_found_where_torchvision_puts_them_and_where_root_says(folder: Path, place: str) -> None:
    moved = folder.parent / place
    moved.parent.mkdir(exist_ok=True)
    shutil.move(folder, moved)
    root = folder.parent if place == "FashionMNIST/raw" else moved
    assert len(fashion_mnist.load(root=str(root)).train) == 30


def test_mnist_in_its_place_is_refused(folder: Path) -> None:
    """Its files have the same names and shapes: only the sums tell."""
    content = bytearray(gzip.decompress((folder / LABELS_FILE).read_bytes()))
    content[-1] = (content[-1] + 1) % 10
    (folder / LABELS_FILE).write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(ValueError, match=rf"{folder / LABELS_FILE}: its MD5 is \w+, that of the published file is"):
        fashion_mnist.load(root=str(folder))


def test_missing_file_is_named(folder: Path) -> None:
    (folder / LABELS_FILE).unlink()
    with pytest.raises(ValueError, match=rf"{folder / LABELS_FILE}: cannot be read: No such file"):
        fashion_mnist.load(root=str(folder))


def test_truncated_file_is_named_where_its_sum_is_not_known(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / LABELS_FILE
    file.write_bytes(file.read_bytes()[:-5])
    monkeypatch.setattr(fashion_mnist, "PUBLISHED_MD5", {LABELS_FILE: None})
    with pytest.raises(ValueError, match=rf"{file}: truncated"):
        fashion_mnist.load(root=str(folder))


def test_all_four_sums_are_published() -> None:
    assert {name.split("-")[0] for name in PUBLISHED_MD5} == {"train", "t10k"}
    assert len(set(PUBLISHED_MD5.values())) == len(PUBLISHED_MD5) == 4
