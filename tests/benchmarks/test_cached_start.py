"""How soon a study has images that were decoded before, and what a trial's process holds of a large set."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import ray

from study.cluster import connect
from study.resources import ResourcesConfig
from tests.benchmarks.cached_reader import private_mb
from tests.benchmarks.scoreboard import Scoreboard
from trainables.config import DatasetConfig
from trainables.data import load
from trainables.data.image_arrays import TrainingData
from trainables.data.split import split

NUM_CLASSES, SIDE, NUM_TEST_IMAGES = 200, 64, 10_000  # TinyImageNet's
NUM_IMAGES, NUM_FEWER_IMAGES = 100_000, 20_000
BLOCK = 10_000  # images written at a time
MOST_GROWTH_MB = 16.0  # of 983 MB: places, views and order of 80,000 images more
MAPPED_WITHIN_S = 1.0  # it is not decoded again


@dataclass(frozen=True, slots=True)
class Start:
    load_s: float
    split_s: float  # training and validation images copied

    @property
    def text(self) -> str:
        return f"{self.load_s:.3g} + {self.split_s:.3g} s"


@pytest.mark.benchmark
def test_second_start_maps_what_the_first_decoded_and_trials_share_it(
    scoreboard: Scoreboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starts with the files in the page cache; the trial-like process takes each image once from the object store."""
    monkeypatch.setenv("KD_STUDY_CACHE", str(tmp_path / "cache"))
    held = {}
    for num_images in (NUM_FEWER_IMAGES, NUM_IMAGES):
        write_arrays(tmp_path / "arrays", num_images)
        try:
            first = start(tmp_path / "arrays")[0]
            second, data = start(tmp_path / "arrays")
            held[num_images] = reader_private_mb(data)
        finally:
            shutil.rmtree(tmp_path / "arrays", ignore_errors=True)
            shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    images = f"{NUM_IMAGES:,} images of 3 x {SIDE} x {SIDE}"
    scoreboard.shown(f"{images}, first start: decoded into the cache, split", ours=first.text)
    scoreboard.shown(f"{images}, second start: mapped, split", ours=second.text)
    is_soon = scoreboard.at_most(
        f"{images}, second start: mapped", value=second.load_s, limit=MAPPED_WITHIN_S, unit="s"
    )
    for num_images, (before_mb, after_mb) in held.items():
        scoreboard.shown(
            f"private memory of a trial-like process, before and after an epoch of {num_images:,} images' views",
            ours=f"{before_mb:.0f}, {after_mb:.0f} MB",
        )
    what = f"growth of that memory from {NUM_FEWER_IMAGES:,} to {NUM_IMAGES:,} images"
    taken_mb = {num_images: after_mb - before_mb for num_images, (before_mb, after_mb) in held.items()}
    growth_mb = taken_mb[NUM_IMAGES] - taken_mb[NUM_FEWER_IMAGES]
    is_shared = scoreboard.at_most(what, value=growth_mb, limit=MOST_GROWTH_MB, unit="MB")
    assert is_soon.is_reached, is_soon
    assert is_shared.is_reached, is_shared


def write_arrays(folder: Path, num_images: int) -> None:
    """A set of one's own, as the dataset "arrays" takes it."""
    folder.mkdir()
    stream = np.random.default_rng(0)
    for split_name, count in (("train", num_images), ("test", NUM_TEST_IMAGES)):
        shape = (count, SIDE, SIDE, 3)
        images = np.lib.format.open_memmap(folder / f"{split_name}_images.npy", mode="w+", dtype=np.uint8, shape=shape)
        for begin in range(0, count, BLOCK):
            images[begin : begin + BLOCK] = stream.integers(0, 256, (BLOCK, *shape[1:]), dtype=np.uint8)
        np.save(folder / f"{split_name}_labels.npy", np.arange(count) % NUM_CLASSES)


def start(folder: Path) -> tuple[Start, TrainingData]:
    """What a study does first of all."""
    config = DatasetConfig(name="arrays", options={"path": str(folder), "layout": "NHWC"})
    began = time.perf_counter()
    dataset = load(config)
    loaded = time.perf_counter()
    data = split(dataset, config)
    return Start(loaded - began, time.perf_counter() - loaded), data


def reader_private_mb(data: TrainingData) -> tuple[float, float]:
    """Before and after, in a process of a cluster with room for the data, which is put there once."""
    num_bytes = data.train.images_NCHW.nbytes + data.validation.images_NCHW.nbytes
    resources = ResourcesConfig(dashboard=False, object_store_mib=256 + num_bytes * 5 // 4 // 2**20)
    with connect(resources, None, None):
        measured: tuple[float, float] = ray.get(private_mb.remote(ray.put(data)))
    return measured
