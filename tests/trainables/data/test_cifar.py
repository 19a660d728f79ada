"""CIFAR from the publisher's files: both versions, folder or archive, whole or refused."""

import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.trainables.data.published_files import (
    Images,
    cifar_files,
    cifar_images,
    python2_pickle,
    write_archive,
    write_files,
)
from trainables.data import cifar
from trainables.data.cifar import CIFAR10, CIFAR100, Publication, Version
from trainables.data.image_arrays import Dataset

LOADERS: dict[str, Callable[..., Dataset]] = {"cifar10": cifar.cifar10, "cifar100": cifar.cifar100}
EVERY_VERSION = [(publication, version) for publication in (CIFAR10, CIFAR100) for version in publication.versions]
of_every_version = pytest.mark.parametrize(
    ("publication", "version"), EVERY_VERSION, ids=[version.folder for _, version in EVERY_VERSION]
)
BINARY, PYTHON = CIFAR10.versions


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_STUDY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> Images:
    return cifar_images(monkeypatch, CIFAR10)


def write_folder(root: Path, publication: Publication, version: Version, images: Images) -> Path:
    return write_files(root / version.folder, cifar_files(publication, version, images))


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@of_every_version
@pytest.mark.parametrize("is_packed", [False, True])
def test_each_version_gives_the_same_images_unpacked_or_packed(
    publication: Publication, version: Version, is_packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = cifar_images(monkeypatch, publication)
    files = cifar_files(publication, version, images)
    if is_packed:
        write_archive(tmp_path / version.archive, version.folder, files)
    else:
        write_files(tmp_path / version.folder, files)
    before = sorted(tmp_path.iterdir())
    dataset = LOADERS[publication.name](root=str(tmp_path))
    np.testing.assert_array_equal(dataset.train.images_NCHW, images["train"][0])
    np.testing.assert_array_equal(dataset.train.labels_N, images["train"][1])
    np.testing.assert_array_equal(dataset.test.images_NCHW, images["test"][0])
    np.testing.assert_array_equal(dataset.test.labels_N, images["test"][1])
    assert dataset.mean_C == publication.statistics[0]
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "cache"])


def test_binary_version_is_taken_where_both_are_there(tmp_path: Path, images: Images) -> None:
    write_folder(tmp_path, CIFAR10, BINARY, images)
    write_files(tmp_path / PYTHON.folder, {"data_batch_1": b"no pickle"})
    np.testing.assert_array_equal(cifar.cifar10(root=str(tmp_path)).train.images_NCHW, images["train"][0])


def test_root_may_be_the_unpacked_folder_itself(tmp_path: Path, images: Images) -> None:
    folder = write_folder(tmp_path, CIFAR10, PYTHON, images)
    np.testing.assert_array_equal(cifar.cifar10(root=str(folder)).train.labels_N, images["train"][1])


@pytest.mark.parametrize("name", ["data_batch_2", "test_batch"])
def test_file_that_is_not_the_published_one_is_refused_with_both_sums(
    tmp_path: Path, images: Images, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    files = cifar_files(CIFAR10, PYTHON, images)
    sums = {f"{PYTHON.folder}/{each}": md5(content) for each, content in files.items()}
    monkeypatch.setattr(cifar, "PUBLISHED_MD5", sums)
    folder = write_files(tmp_path / PYTHON.folder, files)
    damaged = files[name][:-50] + b"\0" + files[name][-49:]
    (folder / name).write_bytes(damaged)
    message = rf"{folder / name}: its MD5 is {md5(damaged)}, that of the published file is {md5(files[name])}"
    with pytest.raises(ValueError, match=message):
        cifar.cifar10(root=str(tmp_path))


def test_archive_that_is_not_the_published_one_is_refused_before_it_is_opened(
    tmp_path: Path, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_archive(tmp_path / BINARY.archive, BINARY.folder, cifar_files(CIFAR10, BINARY, images))
    monkeypatch.setattr(cifar, "PUBLISHED_MD5", {BINARY.archive: "0" * 32})
    monkeypatch.setattr(tarfile, "open", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(ValueError, match=rf"{archive}: its MD5 is \w+, that of the published file is 0{{32}}"):
        cifar.cifar10(root=str(tmp_path))


def test_sums_are_known_for_every_file_that_is_unpickled() -> None:
    for publication in (CIFAR10, CIFAR100):
        for version in publication.versions:
            assert version.archive in cifar.PUBLISHED_MD5
            names = [] if version.is_binary else [name for names in version.files.values() for name in names]
            assert {f"{version.folder}/{name}" for name in names} <= cifar.PUBLISHED_MD5.keys()


@of_every_version
def test_image_of_a_class_that_there_is_none_of_is_refused_by_file_and_place(
    publication: Publication, version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = cifar_images(monkeypatch, publication)
    images["test"][1][7] = publication.num_classes
    folder = write_folder(tmp_path, publication, version, images)
    with pytest.raises(
        ValueError, match=rf"{folder}/test\S*: image 7 is of class {publication.num_classes}: allowed are 0 to"
    ):
        LOADERS[publication.name](root=str(tmp_path))


@of_every_version
def test_truncated_file_is_refused_by_name(
    publication: Publication, version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path, publication, version, cifar_images(monkeypatch, publication))
    file = folder / version.files["train"][-1]
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=rf"{file}: .*(truncated|damaged)"):
        LOADERS[publication.name](root=str(tmp_path))


def test_file_that_ends_between_two_images_is_refused(tmp_path: Path, images: Images) -> None:
    file = write_folder(tmp_path, CIFAR10, BINARY, images) / "data_batch_3.bin"
    file.write_bytes(file.read_bytes()[:-3073])
    with pytest.raises(ValueError, match="119 train images where 120 were published: not whole"):
        cifar.cifar10(root=str(tmp_path))


def test_missing_file_is_refused_by_name(tmp_path: Path, images: Images) -> None:
    file = write_folder(tmp_path, CIFAR10, BINARY, images) / "data_batch_3.bin"
    file.unlink()
    with pytest.raises(ValueError, match=rf"{file}: cannot be read: No such file"):
        cifar.cifar10(root=str(tmp_path))


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.999])
def test_truncated_archive_is_refused_by_name(tmp_path: Path, images: Images, kept: float) -> None:
    archive = write_archive(tmp_path / BINARY.archive, BINARY.folder, cifar_files(CIFAR10, BINARY, images))
    content = archive.read_bytes()
    archive.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=rf"{archive}: damaged, truncated, or no \.tar\.gz"):
        cifar.cifar10(root=str(tmp_path))


def test_archive_without_one_of_the_files_is_refused(tmp_path: Path, images: Images) -> None:
    files = cifar_files(CIFAR10, BINARY, images)
    del files["data_batch_4.bin"]
    archive = write_archive(tmp_path / BINARY.archive, BINARY.folder, files)
    with pytest.raises(ValueError, match=rf"{archive}: has no cifar-10-batches-bin/data_batch_4\.bin"):
        cifar.cifar10(root=str(tmp_path))


def test_links_and_paths_of_an_archive_that_lead_elsewhere_are_not_followed(tmp_path: Path, images: Images) -> None:
    files = cifar_files(CIFAR10, BINARY, images)
    secret = tmp_path / "secret"
    secret.write_bytes(files["test_batch.bin"])
    archive = tmp_path / "root" / BINARY.archive
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as written:
        for name, content in {**files, "../../escaped": b"out"}.items():
            member = tarfile.TarInfo(f"{BINARY.folder}/{name}")
            member.size = len(content)
            if name == "test_batch.bin":
                member.type, member.linkname, member.size = tarfile.SYMTYPE, str(secret), 0
            written.addfile(member, io.BytesIO(content[: member.size]))
    with pytest.raises(ValueError, match=rf"{archive}: has no cifar-10-batches-bin/test_batch\.bin"):
        cifar.cifar10(root=str(archive.parent))
    assert not (tmp_path / "escaped").exists()


class RunsACommand:
    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self._trace}",)


def test_batch_that_would_run_a_command_is_refused_and_the_command_not_run(tmp_path: Path, images: Images) -> None:
    folder, trace = write_folder(tmp_path, CIFAR10, PYTHON, images), tmp_path / "trace"
    (folder / "data_batch_2").write_bytes(pickle.dumps(RunsACommand(trace), protocol=2))
    with pytest.raises(ValueError, match=rf"{folder}/data_batch_2: .*names posix\.system, which was not looked up"):
        cifar.cifar10(root=str(tmp_path))
    assert not trace.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({b"labels": b"text"}, '"labels" is not a list of whole numbers'),
        ({b"labels": [b"1"] * 24}, '"labels" is not a list of whole numbers'),
        ({b"labels": [1] * 23}, "24 images, 23 labels"),
        ({b"data": [1, 2]}, '"data" is not an array of rows of 3072 bytes'),
        ({b"data": np.zeros((24, 3071), np.uint8)}, '"data" is not an array of rows of 3072 bytes'),
    ],
)
def test_table_that_is_not_as_published_is_refused(
    tmp_path: Path, images: Images, change: dict[bytes, object], message: str
) -> None:
    folder = write_folder(tmp_path, CIFAR10, PYTHON, images)
    table: dict[bytes, object] = {b"data": np.zeros((24, 3072), np.uint8), b"labels": [1] * 24}
    (folder / "data_batch_5").write_bytes(python2_pickle(table | change))
    with pytest.raises(ValueError, match=rf"{folder}/data_batch_5: {message}"):
        cifar.cifar10(root=str(tmp_path))
