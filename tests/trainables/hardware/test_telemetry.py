import logging
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Never

import pytest

from trainables.hardware.telemetry import (
    CpuTelemetry,
    Reading,
    Sampler,
    cpu_utilization_fraction,
    host_pid,
    mean_of_known,
    visible_device,
)
from trainables.metrics import METRICS, Source

PATIENCE_S = 60.0  # only ever waited for by a test that fails


@dataclass
class Scripted:
    """Hands out readings in order, the last one for ever; tells when each was handed out."""

    readings: list[Reading]
    num_read: int = 0
    seen: dict[int, threading.Event] = field(default_factory=dict)

    def read(self) -> Reading:
        reading = self.readings[min(self.num_read, len(self.readings) - 1)]
        self.num_read += 1
        if self.num_read in self.seen:
            self.seen[self.num_read].set()
        return reading

    def facts(self) -> dict[str, str]:
        return {}


class Broken:
    def read(self) -> Never:
        raise OSError("the board fell off the bus")

    def facts(self) -> dict[str, str]:
        return {}


@pytest.mark.parametrize(
    ("index", "visible_devices", "device"),
    [
        (2, None, 2),
        (0, "3,1", 3),
        (1, "3, 1", 1),
        (1, "GPU-8932f937-d72c,MIG-1f", "MIG-1f"),
        (0, "GPU-8932", "GPU-8932"),
        (0, "", None),
        (0, "-1", None),
        (1, "0,-1,1", None),  # the list ends at the first entry that is no device
        (1, "0", None),
    ],
)
def test_a_device_is_counted_among_the_visible_ones(
    index: int, visible_devices: str | None, device: int | str | None
) -> None:
    assert visible_device(index, visible_devices) == device


@pytest.mark.parametrize(("namespace", "is_host"), [("pid:[4026531836]", True), ("pid:[4026532281]", False)])
def test_a_process_has_the_number_that_the_host_gives_it_and_none_in_a_container(
    tmp_path: Path, namespace: str, is_host: bool
) -> None:
    """As /proc/self/ns/pid names them; the first is the host's (PROC_PID_INIT_INO of Linux's proc_ns.h)."""
    link = tmp_path / "pid"
    link.symlink_to(namespace)
    assert host_pid(link) == (os.getpid() if is_host else None)


def test_a_process_in_an_unknown_namespace_has_no_number(tmp_path: Path) -> None:
    assert host_pid(tmp_path / "missing") is None


def test_this_process_is_read_and_no_gpu_is_made_up() -> None:
    reading = CpuTelemetry().read()
    assert reading.cpu_seconds is not None
    assert reading.cpu_seconds > 0
    assert reading.resident_memory_mib is not None
    assert reading.resident_memory_mib > 1
    known = {name for name in Reading.__slots__ if getattr(reading, name) is not None}
    assert known == {"cpu_seconds", "resident_memory_mib"}
    assert CpuTelemetry().facts() == {}


def test_cpu_utilisation_is_cpu_time_over_wall_time_and_threads() -> None:
    begin, end = Reading(cpu_seconds=1.0), Reading(cpu_seconds=4.0)
    assert cpu_utilization_fraction(begin, end, seconds=2.0, num_threads=2) == 0.75
    assert cpu_utilization_fraction(begin, end, seconds=0.0, num_threads=2) is None
    assert cpu_utilization_fraction(Reading(), end, seconds=2.0, num_threads=2) is None


def test_unknown_values_do_not_lower_a_mean() -> None:
    assert mean_of_known([None, 0.5, None, 1.0]) == 0.75
    assert mean_of_known([None]) is None
    assert mean_of_known([]) is None


def test_averages_bear_the_names_of_shared_metrics() -> None:
    with Sampler(CpuTelemetry(), num_threads=1) as sampler:
        names = sampler.averages().keys()
    assert {METRICS[name].source for name in names} == {Source.SHARED}


def test_the_thread_reads_while_the_trial_works_and_averages_what_it_read() -> None:
    """Read on entering, twice by the thread, and once when asked (the last of them for ever)."""
    values = [(0.9, 1.0), (0.25, 100.0), (0.5, 300.0), (0.75, 200.0)]
    readings = [Reading(gpu_utilization_fraction=gpu, resident_memory_mib=mib) for gpu, mib in values]
    telemetry = Scripted([*readings[:3], readings[3]], seen={3: threading.Event()})
    with Sampler(telemetry, num_threads=1, interval_s=0.001) as sampler:
        assert telemetry.seen[3].wait(PATIENCE_S)
    averages = sampler.averages()
    rest = telemetry.num_read - 3
    expected = (0.25 + 0.5 + 0.75 * rest) / (2 + rest)
    assert averages["shared_gpu_utilization_fraction"] == pytest.approx(expected)
    assert averages["process_memory_mib"] == pytest.approx((100.0 + 300.0 + 200.0 * rest) / (2 + rest))


def test_co_tenants_are_counted_at_each_sample_and_the_unknown_ones_left_out() -> None:
    """On entering, which is before the epoch, then 1, unknown, 3 for ever."""
    readings = [Reading(num_gpu_co_tenants=count, process_gpu_memory_mib=300.0) for count in (9, 1, None, 3)]
    telemetry = Scripted(readings, seen={4: threading.Event()})
    with Sampler(telemetry, num_threads=1, interval_s=0.001) as sampler:
        assert telemetry.seen[4].wait(PATIENCE_S)
    averages = sampler.averages()
    rest = telemetry.num_read - 3
    assert averages["num_gpu_co_tenants"] == pytest.approx((1 + 3 * rest) / (1 + rest))
    assert averages["process_gpu_memory_mib"] == 300.0


def test_on_a_cpu_nothing_of_a_gpu_is_known() -> None:
    with Sampler(CpuTelemetry(), num_threads=1, idle_watts=10.0) as sampler:
        averages = sampler.averages()
    known = {name for name, value in averages.items() if value is not None}
    assert known == {"shared_cpu_utilization_fraction", "process_memory_mib"}


def test_each_epoch_is_averaged_alone() -> None:
    """The second call ends the epoch in which the board's answer changed; after it only the new one counts."""
    telemetry = Scripted([Reading(gpu_utilization_fraction=0.25)], seen={5: threading.Event()})
    with Sampler(telemetry, num_threads=1, interval_s=0.001) as sampler:
        assert telemetry.seen[5].wait(PATIENCE_S)
        first = sampler.averages()
        telemetry.readings = [Reading(gpu_utilization_fraction=0.75)]
        sampler.averages()
        last = sampler.averages()
    assert [each["shared_gpu_utilization_fraction"] for each in (first, last)] == [0.25, 0.75]


def test_the_thread_ends_with_the_context_and_does_not_wait_for_its_interval() -> None:
    with Sampler(CpuTelemetry(), num_threads=1, interval_s=1e6):
        assert "telemetry" in {thread.name for thread in threading.enumerate()}
    assert "telemetry" not in {thread.name for thread in threading.enumerate()}


def test_broken_telemetry_is_told_once_and_never_reaches_the_trial(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), Sampler(Broken(), num_threads=1, interval_s=0.001) as sampler:
        for _ in range(3):
            assert set(sampler.averages().values()) == {None}
    assert [record.message for record in caplog.records] == ["telemetry failed; its numbers are unknown"]


def test_the_trial_s_own_exception_passes_through() -> None:
    with pytest.raises(RuntimeError, match="the trial's own"), Sampler(CpuTelemetry(), num_threads=1):
        raise RuntimeError("the trial's own")
