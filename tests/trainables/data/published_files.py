"""Small files in the formats that datasets are published in, written without the code that reads them."""

import gzip
import hashlib
import io
import struct
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trainables.data import cifar, fashion_mnist, tiny_imagenet

NUM_CLASSES = 3  # of datasets that say themselves how many they have
Images = dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]  # split: (N, C, H, W) and (N,)


@dataclass(frozen=True, slots=True)
class Made:
    """A dataset as it was written: what to load it with, and what must come out."""

    images: Images
    options: dict[str, bool | int | str | tuple[int, ...]] = field(default_factory=dict)
    num_classes: int = NUM_CLASSES
    tolerance: int = 0  # of a pixel: JPEG loses some


def random_images(image_shape: tuple[int, int, int], *, num_train: int, num_test: int, num_classes: int) -> Images:
    """Random pixels; every class is among the training labels."""
    stream = np.random.default_rng(0)
    return {
        split: (
            stream.integers(0, 256, (count, *image_shape), dtype=np.uint8),
            stream.permutation(np.arange(count, dtype=np.int64) % num_classes),
        )
        for split, count in (("train", num_train), ("test", num_test))
    }


def python2_pickle(value: object) -> bytes:
    """As Python 2's cPickle wrote it with protocol 2: text as byte strings, arrays through NumPy's old names."""
    return b"\x80\x02" + _opcodes(value) + b"."


def _opcodes(value: object) -> bytes:
    match value:
        case dict():
            return b"}(" + b"".join(_opcodes(key) + _opcodes(each) for key, each in value.items()) + b"u"
        case list():
            return b"](" + b"".join(map(_opcodes, value)) + b"e"
        case tuple():
            return b"(" + b"".join(map(_opcodes, value)) + b"t"
        case bytes():
            return (b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + struct.pack("<i", len(value))) + value
        case int():
            return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)
        case np.ndarray():
            return _array_opcodes(value)
    raise TypeError(f"there is no such thing in these files: {value!r}")


def _array_opcodes(array: NDArray[np.generic]) -> bytes:
    is_fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _opcodes((0,)) + _opcodes(b"b") + b"tR"
    dtype = b"cnumpy\ndtype\n" + _opcodes((array.dtype.str[1:].encode(), 0, 1)) + b"R"
    layout = _opcodes(3) + _opcodes(array.dtype.str[:1].encode()) + b"NNN" + _opcodes(-1) * 2 + _opcodes(0)
    content = (b"\x88" if is_fortran else b"\x89") + _opcodes(array.tobytes("A"))
    return empty + b"(" + _opcodes(1) + _opcodes(array.shape) + dtype + b"(" + layout + b"tb" + content + b"tb"


def cifar_files(publication: cifar.Publication, version: cifar.Version, images: Images) -> dict[str, bytes]:
    """Content of each file, by its name."""
    files: dict[str, bytes] = {}
    for split, names in version.files.items():
        pixels_NCHW, labels_N = images[split]
        parts = np.array_split(np.arange(len(labels_N)), len(names))
        for name, part in zip(names, parts, strict=True):
            rows, labels = pixels_NCHW[part].reshape(len(part), -1), labels_N[part]
            if version.is_binary:
                coarse = np.zeros((len(part), publication.num_label_bytes - 1), np.uint8)
                files[name] = np.hstack([coarse, labels[:, np.newaxis].astype(np.uint8), rows]).tobytes()
            else:
                table = {
                    b"batch_label": name.encode(),
                    b"filenames": [f"thing_{number}.png".encode() for number in part],
                    publication.labels_key: labels.tolist(),
                    b"coarse_labels": [0] * len(part),
                    b"data": rows,
                }
                files[name] = python2_pickle(table)
    return files


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def write_archive(path: Path, folder: str, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {"readme.html": b"<html>", **files}.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def cifar_images(patch: pytest.MonkeyPatch, publication: cifar.Publication, num_train: int = 120) -> Images:
    """As many as will now be expected of it; sums of the true files are not asked for."""
    patch.setattr(cifar, "PUBLISHED_MD5", {})
    patch.setattr(cifar, "NUM_IMAGES", {"train": num_train, "test": 20})
    return random_images((3, 32, 32), num_train=num_train, num_test=20, num_classes=publication.num_classes)


def make_cifar(publication: cifar.Publication, version_index: int) -> Callable[[Path, pytest.MonkeyPatch], Made]:
    def make(root: Path, patch: pytest.MonkeyPatch) -> Made:
        images, version = cifar_images(patch, publication), publication.versions[version_index]
        write_files(root / version.folder, cifar_files(publication, version, images))
        return Made(images, {"root": str(root)}, publication.num_classes)

    return make


def idx(array: NDArray[np.uint8]) -> bytes:
    return gzip.compress(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def make_fashion_mnist(root: Path, patch: pytest.MonkeyPatch) -> Made:
    images = random_images((1, 28, 28), num_train=30, num_test=10, num_classes=10)
    files = {}
    for prefix, split in (("train", "train"), ("t10k", "test")):
        pixels_NCHW, labels_N = images[split]
        files[f"{prefix}-images-idx3-ubyte.gz"] = idx(pixels_NCHW[:, 0])
        files[f"{prefix}-labels-idx1-ubyte.gz"] = idx(labels_N.astype(np.uint8))
    sums = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in files.items()}
    patch.setattr(fashion_mnist, "PUBLISHED_MD5", sums)
    write_files(root / "fashion-mnist", files)
    return Made(images, {"root": str(root)}, 10)


def make_tiny_imagenet(root: Path, patch: pytest.MonkeyPatch) -> Made:
    """Of one colour each, so that JPEG loses little; listed in another order than their numbers, some of them gray."""
    patch.setattr(tiny_imagenet, "PUBLISHED", tiny_imagenet.Counts(NUM_CLASSES, 4, 5))
    top, wnids = root / "tiny-imagenet-200", ["n02124075", "n01443537", "n07583066"]
    (top / "val" / "images").mkdir(parents=True)
    (top / "wnids.txt").write_text("\n".join(wnids) + "\n", "utf-8")
    pixels: dict[str, list[NDArray[np.uint8]]] = {"train": [], "test": []}
    labels: dict[str, list[int]] = {"train": [], "test": []}
    annotations = []
    for number, name in enumerate(sorted(wnids)):
        (top / "train" / name / "images").mkdir(parents=True)
        for place in range(4):
            file = top / "train" / name / "images" / f"{name}_{place}.JPEG"
            pixels["train"].append(_write_jpeg(file, (60 * number, 40 * place, 200), is_gray=place == 0))
            labels["train"].append(number)
    for place in range(5):
        file = top / "val" / "images" / f"val_{place}.JPEG"
        pixels["test"].append(_write_jpeg(file, (200, 10, 50 * place), is_gray=place == 3))
        labels["test"].append(2 - place % 3)
        annotations.append(f"{file.name}\t{sorted(wnids)[2 - place % 3]}\t0\t32\t44\t62\n")
    (top / "val" / "val_annotations.txt").write_text("".join(reversed(annotations)), "utf-8")
    images = {split: (np.stack(pixels[split]), np.array(labels[split])) for split in pixels}
    return Made(images, {"root": str(root)}, tolerance=3)


def _write_jpeg(file: Path, color: tuple[int, int, int], *, is_gray: bool) -> NDArray[np.uint8]:
    """Returns its pixels (3, 64, 64) as they were before."""
    shown = (color[0],) * 3 if is_gray else color
    image = Image.new("L", (64, 64), color[0]) if is_gray else Image.new("RGB", (64, 64), color)
    image.save(file, "JPEG", quality=95, subsampling=0)
    return np.broadcast_to(np.array(shown, np.uint8).reshape(3, 1, 1), (3, 64, 64)).copy()


def make_image_folder(root: Path, _: pytest.MonkeyPatch) -> Made:
    images = random_images((3, 6, 5), num_train=30, num_test=9, num_classes=NUM_CLASSES)
    ordered: Images = {}
    for split, (pixels_NCHW, labels_N) in images.items():
        for place, (pixels_CHW, label) in enumerate(zip(pixels_NCHW, labels_N, strict=True)):
            folder = root / split / f"class-{'abc'[label]}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels_CHW.transpose(1, 2, 0)).save(folder / f"{place:03}.{('png', 'bmp')[place % 2]}")
        order = np.argsort(labels_N, kind="stable")
        ordered[split] = (pixels_NCHW[order], labels_N[order])
    return Made(ordered, {"root": str(root)})


def make_arrays(root: Path, _: pytest.MonkeyPatch) -> Made:
    images = random_images((3, 6, 5), num_train=30, num_test=9, num_classes=NUM_CLASSES)
    write_npz(root / "mine.npz", images)
    return Made(images, {"path": str(root / "mine.npz")})


def write_npz(path: Path, images: Images) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (train_images, train_labels), (test_images, test_labels) = images["train"], images["test"]
    np.savez_compressed(
        path,
        train_images=train_images,
        train_labels=train_labels.astype(np.int32),
        test_images=test_images,
        test_labels=test_labels,
    )
    return path
