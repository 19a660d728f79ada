"""Decoded images are kept whole or not at all, whatever happens to the process, its neighbours or the disk."""

import errno
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.trainables.data.published_files import Images, random_images, write_npz
from trainables import data
from trainables.config import NamedConfig
from trainables.data.array_folder import ArrayFolder, SplitName
from trainables.data.cache import LEFTOVER_AGE_S, MANIFEST, Source, decoded_once
from trainables.data.image_arrays import Dataset

IMAGES = random_images((1, 4, 4), num_train=8, num_test=4, num_classes=2)
SPLITS: tuple[SplitName, ...] = ("train", "test")


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where decoded images go."""
    monkeypatch.setenv("KD_STUDY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "datasets"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"source")
    return path


class Decoder:
    """Counts how often it is asked."""

    def __init__(self, images: Images = IMAGES, beforehand: Callable[[], object] = lambda: None) -> None:
        self.num_calls = 0
        self._images = images
        self._beforehand = beforehand

    def __call__(self, arrays: ArrayFolder) -> int:
        self.num_calls += 1
        self._beforehand()
        for split in SPLITS:
            pixels_NCHW, labels = self._images[split]
            images_NCHW, labels_N = arrays.add(split, len(labels), (1, 4, 4))
            images_NCHW[:], labels_N[:] = pixels_NCHW, labels
        return 2


def source_of(file: Path, size: int = 1, decoder_version: int = 1) -> Source:
    return Source.of("things", [file], options={"size": size}, decoder_version=decoder_version)


def load(file: Path, decoder: Decoder) -> Dataset:
    return decoded_once(source_of(file), decoder, statistics=None)


def assert_whole(dataset: Dataset) -> None:
    for part, split in ((dataset.train, "train"), (dataset.test, "test")):
        np.testing.assert_array_equal(part.images_NCHW, IMAGES[split][0])
        np.testing.assert_array_equal(part.labels_N, IMAGES[split][1])


def only_folder(kept: Path) -> Path:
    (folder,) = kept.iterdir()
    return folder


def test_second_load_maps_what_the_first_decoded(file: Path, kept: Path) -> None:
    decoder = Decoder()
    first, second = load(file, decoder), load(file, decoder)
    assert decoder.num_calls == 1
    assert_whole(first)
    assert_whole(second)
    assert second.mean_C == first.mean_C == pytest.approx((IMAGES["train"][0].mean() / 255,))
    assert not second.train.images_NCHW.flags.writeable
    assert not second.train.images_NCHW.flags.owndata
    assert json.loads((only_folder(kept) / MANIFEST).read_text("utf-8"))["source"]["dataset"] == "things"


def test_published_statistics_are_taken_as_they_are(file: Path) -> None:
    dataset = decoded_once(source_of(file), Decoder(), statistics=((0.5,), (0.25,)))
    assert (dataset.mean_C, dataset.std_C) == ((0.5,), (0.25,))


def change_content(file: Path) -> Source:
    file.write_bytes(b"another source")
    return source_of(file)


def change_time(file: Path) -> Source:
    os.utime(file, ns=(1, 1))
    return source_of(file)


def change_place(file: Path) -> Source:
    return source_of(file.rename(file.with_name("moved")))


@pytest.mark.parametrize(
    "change",
    [
        change_content,
        change_time,
        change_place,
        lambda file: source_of(file, size=2),
        lambda file: source_of(file, decoder_version=2),
    ],
)
def test_another_source_is_decoded_for_itself(file: Path, kept: Path, change: Callable[[Path], Source]) -> None:
    decoder = Decoder()
    load(file, decoder)
    decoded_once(change(file), decoder, statistics=None)
    assert decoder.num_calls == 2
    assert len(list(kept.iterdir())) == 2


def truncate(folder: Path) -> None:
    array = folder / "train_images.npy"
    array.write_bytes(array.read_bytes()[:-1])


def cut_to_its_header(folder: Path) -> None:
    array = folder / "test_labels.npy"
    array.write_bytes(array.read_bytes()[:128])


def save_another_shape(folder: Path) -> None:
    array = folder / "train_images.npy"
    np.save(array, np.load(array).reshape(8, 1, 2, 8))


def save_pickled(folder: Path) -> None:
    np.save(folder / "test_images.npy", np.array([{}, {}], dtype=object))


def forget_an_array(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    del manifest["arrays"]["test_labels"]
    (folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")


def rename_the_source(folder: Path) -> None:
    text = (folder / MANIFEST).read_text("utf-8")
    (folder / MANIFEST).write_text(text.replace('"things"', '"nothings"'), "utf-8")


def empty(folder: Path) -> None:
    for each in folder.iterdir():
        each.unlink()


TEARS: list[Callable[[Path], object]] = [
    truncate,
    cut_to_its_header,
    save_another_shape,
    save_pickled,
    forget_an_array,
    rename_the_source,
    lambda folder: (folder / "test_images.npy").unlink(),
    lambda folder: (folder / MANIFEST).unlink(),
    lambda folder: (folder / MANIFEST).write_bytes((folder / MANIFEST).read_bytes()[:50]),
    empty,
]


@pytest.mark.parametrize("tear", TEARS)
def test_torn_folder_is_told_in_one_line_and_decoded_again(
    file: Path, kept: Path, tear: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    decoder = Decoder()
    load(file, decoder)
    folder = only_folder(kept)
    tear(folder)
    with caplog.at_level(logging.WARNING):
        assert_whole(load(file, decoder))
    assert decoder.num_calls == 2
    (message,) = caplog.messages
    assert message.startswith(str(folder))
    assert message.endswith("; it is decoded again")
    assert only_folder(kept) == folder
    assert_whole(load(file, decoder))
    assert decoder.num_calls == 2


def test_torn_folder_whose_source_is_gone_names_the_source(tmp_path: Path, kept: Path) -> None:
    path = write_npz(tmp_path / "mine.npz", IMAGES)
    data.load(NamedConfig(name="arrays", options={"path": str(path)}))
    truncate(only_folder(kept))
    path.unlink()
    with pytest.raises(ValueError, match=rf"{path}: cannot be read: No such file"):
        data.load(NamedConfig(name="arrays", options={"path": str(path)}))


@pytest.mark.parametrize("is_torn", [False, True])
def test_two_that_decode_at_the_same_time_both_end_well(file: Path, kept: Path, is_torn: bool) -> None:
    if is_torn:
        load(file, Decoder())
        truncate(only_folder(kept))
    together = threading.Barrier(2, timeout=60)
    decoders = [Decoder(beforehand=together.wait) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        datasets = list(pool.map(lambda decoder: load(file, decoder), decoders))
    assert [decoder.num_calls for decoder in decoders] == [1, 1]
    for dataset in (*datasets, load(file, Decoder(beforehand=lambda: pytest.fail("it is decoded again")))):
        assert_whole(dataset)
    only_folder(kept)


LOAD_ARRAYS = """
import sys
from trainables import data
from trainables.config import NamedConfig
dataset = data.load(NamedConfig(name="arrays", options={"path": sys.argv[1]}))
print(dataset.train.images_NCHW.tobytes().hex())
"""


def test_two_processes_that_start_together_see_the_same_images(tmp_path: Path, kept: Path) -> None:
    path = write_npz(tmp_path / "mine.npz", IMAGES)
    command = [sys.executable, "-c", LOAD_ARRAYS, str(path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=120)[0].strip() for process in running]
    assert printed == [IMAGES["train"][0].tobytes().hex()] * 2
    only_folder(kept)


DIE = """
import os, sys
from pathlib import Path
from trainables.data.cache import Source, decoded_once
source = Source.of("things", [Path(sys.argv[1])], options={"size": 1}, decoder_version=1)
def decode(arrays):
    arrays.add("train", 8, (1, 4, 4))
    os._exit(9)
decoded_once(source, decode, statistics=None)
"""


def test_process_that_dies_while_it_decodes_leaves_nothing_that_is_taken_for_whole(file: Path, kept: Path) -> None:
    assert subprocess.run([sys.executable, "-c", DIE, str(file)], check=False).returncode == 9
    leftover = only_folder(kept)
    decoder = Decoder()
    assert_whole(load(file, decoder))
    assert decoder.num_calls == 1
    assert leftover.exists()  # it may be a living process's
    os.utime(leftover, (0, time.time() - LEFTOVER_AGE_S - 1))
    truncate(next(each for each in kept.iterdir() if each != leftover))
    load(file, decoder)
    assert not leftover.exists()


def test_source_that_cannot_be_decoded_leaves_nothing(file: Path, kept: Path) -> None:
    def fail() -> None:
        raise ValueError("no images in it")

    with pytest.raises(ValueError, match="no images in it"):
        load(file, Decoder(beforehand=fail))
    assert list(kept.iterdir()) == []


def test_full_disk_is_told_with_the_place_and_leaves_nothing(
    file: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        ValueError, match=rf"{kept}/\S+: decoded images cannot be written: No space left .*KD_STUDY_CACHE"
    ):
        load(file, Decoder())
    assert list(kept.iterdir()) == []


def test_cache_that_cannot_be_written_is_told_with_its_place(file: Path, kept: Path) -> None:
    kept.parent.mkdir()
    kept.write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{kept}/things-\w+: decoded images cannot be written: .*KD_STUDY_CACHE"):
        load(file, Decoder())
