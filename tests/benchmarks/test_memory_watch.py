"""Memory as the kernel counts it: what a process takes is seen, and in the right unit."""

import numpy as np
import pytest

from tests.benchmarks.memory_watch import MemoryWatch, parse


def test_kernel_kilobytes_are_1024_bytes() -> None:
    status = (
        "Name:\tpython\nVmHWM:\t    2000 kB\nVmRSS:\t 1000 kB\nRssAnon:\t 500 kB\nRssFile:\t 400 kB\nRssShmem: 100 kB\n"
    )
    memory = parse(status)
    assert (memory.VmHWM, memory.VmRSS, memory.RssShmem) == pytest.approx((2.048, 1.024, 0.1024))
    assert memory.RssAnon + memory.RssFile + memory.RssShmem == pytest.approx(memory.VmRSS)


def test_peak_of_memory_given_back_is_still_seen() -> None:
    watch = MemoryWatch()
    block = np.ones(200_000_000, dtype=np.uint8)
    del block
    assert watch.growth()["all"] >= 150.0
    watch.stop()


def test_peak_from_before_the_watch_is_not_its_own() -> None:
    block = np.ones(200_000_000, dtype=np.uint8)
    del block
    watch = MemoryWatch()
    assert watch.growth()["all"] <= 50.0
    watch.stop()
