from dataclasses import dataclass, field

import pytest
import torch

from tests.trainables.hardware.fake_clock import FakeClock
from trainables.hardware.settings import ProfileSettings
from trainables.hardware.telemetry import CpuTelemetry, Reading
from trainables.hardware.training_speed import (
    energy_joules_per_image,
    measure_idle_watts,
    measure_speed,
    measure_training,
    mfu_fraction,
    shared_mfu_fraction,
)
from trainables.measurements import TrainingMeasurement

CPU = torch.device("cpu")


@dataclass
class FakeBoard:
    """Draws `watts` while the clock moves; the process keeps `busy_threads` busy."""

    clock: FakeClock
    watts: float | None = None
    busy_threads: float = 1.0
    gpu_utilization: list[float | None] = field(default_factory=lambda: [None])

    def read(self) -> Reading:
        seconds = self.clock.now_ns / 1e9
        utilization = self.gpu_utilization.pop(0) if len(self.gpu_utilization) > 1 else self.gpu_utilization[0]
        return Reading(
            cpu_seconds=self.busy_threads * seconds,
            gpu_utilization_fraction=utilization,
            energy_joules=None if self.watts is None else 1e6 + self.watts * seconds,
        )

    def facts(self) -> dict[str, str]:
        return {}


@dataclass
class Trainer:
    """A training step of known cost."""

    clock: FakeClock
    batch_size: int
    step_ms: list[float]
    num_steps: int = 0

    def __call__(self) -> int:
        self.clock.work(self.step_ms[self.num_steps % len(self.step_ms)])
        self.num_steps += 1
        return self.batch_size


def measured(
    trainer: Trainer, board: FakeBoard, *, num_threads: int = 1, idle_watts: float | None = None
) -> TrainingMeasurement:
    return measure_training(
        trainer,
        batch_size=trainer.batch_size,
        flops_per_image=1e6,
        peak_flops_per_s=1e11,
        device=CPU,
        num_threads=num_threads,
        settings=ProfileSettings(seconds_per_training_batch_size=1.0),
        telemetry=board,
        idle_watts=idle_watts,
        clock=trainer.clock,
    )


def test_steps_of_constant_cost_have_that_speed_and_its_share_of_the_peak() -> None:
    clock = FakeClock()
    record = measured(Trainer(clock, 32, [4.0]), FakeBoard(clock))
    assert record.images_per_s == pytest.approx(8_000)
    assert record.mfu_fraction == pytest.approx(8_000 * 1e6 / 1e11)
    assert (record.batch_size, record.flops_per_image) == (32, 1e6)
    assert record.relative_iqr_fraction == pytest.approx(0.0)
    assert record.is_stable


def test_speed_is_that_of_whole_blocks_however_single_steps_vary() -> None:
    clock = FakeClock()
    record = measured(Trainer(clock, 10, [1.0, 3.0]), FakeBoard(clock))
    assert record.images_per_s == pytest.approx(5_000, rel=0.03)


def test_slow_steps_are_still_timed_five_times() -> None:
    clock = FakeClock()
    trainer = Trainer(clock, 8, [2_000.0])
    record = measured(trainer, FakeBoard(clock))
    assert trainer.num_steps == 2 + 5
    assert record.images_per_s == pytest.approx(4.0)


def test_a_device_that_slows_down_within_the_window_is_not_stable() -> None:
    clock = FakeClock()
    clock.slowdown = lambda seconds: 1.0 if seconds < 0.7 else 1.2
    assert not measured(Trainer(clock, 8, [2.0]), FakeBoard(clock)).is_stable


def test_cpu_utilisation_is_over_all_threads_of_the_trial() -> None:
    clock = FakeClock()
    record = measured(Trainer(clock, 8, [2.0]), FakeBoard(clock, busy_threads=1.5), num_threads=2)
    assert record.cpu_utilization_fraction == pytest.approx(0.75)


def test_what_a_cpu_does_not_tell_is_unknown_not_zero() -> None:
    clock = FakeClock()
    record = measured(Trainer(clock, 8, [2.0]), FakeBoard(clock), idle_watts=None)
    unknown = (record.gpu_utilization_fraction, record.peak_memory_mib, record.energy_joules_per_image)
    assert unknown == (None, None, None)


def test_gpu_utilisation_is_the_mean_of_what_was_read_in_the_window() -> None:
    """The first reading only asks whether the board counts energy."""
    clock = FakeClock()
    board = FakeBoard(clock, gpu_utilization=[0.0, None, 0.5, 1.0, None])
    assert measured(Trainer(clock, 8, [2.0]), board).gpu_utilization_fraction == pytest.approx(0.75)


def test_energy_is_above_idle_over_a_window_of_two_seconds() -> None:
    """200 W at 1,000 images/s with 50 W idle are 0.15 J an image."""
    clock = FakeClock()
    trainer = Trainer(clock, 4, [4.0])
    record = measured(trainer, FakeBoard(clock, watts=200.0), idle_watts=50.0)
    assert record.energy_joules_per_image == pytest.approx(0.15)
    assert clock.now_ns >= 2e9


@pytest.mark.parametrize(
    ("begin", "end", "seconds", "idle_watts"),
    [
        (None, 900.0, 2.0, 10.0),
        (0.0, None, 2.0, 10.0),
        (0.0, 900.0, 2.0, None),
        (0.0, 900.0, 1.9, 10.0),
        (0.0, 20.0, 2.0, 10.0),
    ],
    ids=["no begin", "no end", "no idle", "too short", "no more than idle"],
)
def test_energy_is_unknown_rather_than_wrong(
    begin: float | None, end: float | None, seconds: float, idle_watts: float | None
) -> None:
    readings = [Reading(energy_joules=joules) for joules in (begin, end)]
    assert energy_joules_per_image(*readings, seconds=seconds, num_images=10, idle_watts=idle_watts) is None


def test_idle_power_is_the_counter_over_the_wait() -> None:
    clock = FakeClock()
    watts = measure_idle_watts(
        FakeBoard(clock, watts=17.0), seconds=2.0, clock=clock, sleep=lambda seconds: clock.work(seconds * 1e3)
    )
    assert watts == pytest.approx(17.0)


def test_a_board_without_a_counter_is_not_waited_for() -> None:
    clock = FakeClock()
    assert measure_idle_watts(FakeBoard(clock), clock=clock, sleep=lambda _: pytest.fail("waited")) is None


def test_a_counter_that_vanishes_leaves_idle_unknown() -> None:
    clock = FakeClock()
    board = FakeBoard(clock, watts=17.0)

    def lose_the_board(seconds: float) -> None:
        clock.work(seconds * 1e3)
        board.watts = None

    assert measure_idle_watts(board, clock=clock, sleep=lose_the_board) is None


def test_mfu_is_unknown_without_a_peak() -> None:
    assert mfu_fraction(1e6, 100.0, None) is None


@pytest.mark.parametrize("num_images", [0, 3_000, 60_000])
def test_mfu_beside_others_is_the_work_done_over_the_same_peak(num_images: int) -> None:
    """So many images of 1e6 FLOP in 2 s under a peak of 1e11 FLOP/s, whatever the speed alone was."""
    clock = FakeClock()
    alone = measured(Trainer(clock, 32, [4.0]), FakeBoard(clock))
    isolated = {"train_mfu_fraction": alone.mfu_fraction, "train_images_per_s": alone.images_per_s}
    beside = shared_mfu_fraction(isolated, num_images=num_images, seconds=2.0)
    assert beside == pytest.approx(num_images * 1e6 / (1e11 * 2.0))


@pytest.mark.parametrize(
    "isolated",
    [
        {},
        {"train_images_per_s": 100.0},
        {"train_mfu_fraction": None, "train_images_per_s": 100.0},
        {"train_mfu_fraction": 0.5, "train_images_per_s": None},
    ],
)
def test_mfu_beside_others_is_unknown_where_that_alone_is(isolated: dict[str, float | None]) -> None:
    assert shared_mfu_fraction(isolated, num_images=10, seconds=1.0) is None
    known = {"train_mfu_fraction": 0.5, "train_images_per_s": 100.0}
    assert shared_mfu_fraction(known, num_images=10, seconds=0.0) is None


def test_a_real_step_on_this_machine_leaves_a_record_and_the_threads_as_they_were() -> None:
    weight = torch.rand(64, 64, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=1e-9)

    def step() -> int:
        optimizer.zero_grad()
        (torch.ones(16, 64) @ weight).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return 16

    threads = torch.get_num_threads()
    record = measure_training(
        step,
        batch_size=16,
        flops_per_image=2 * 2 * 64 * 64,
        peak_flops_per_s=None,
        device=CPU,
        num_threads=1,
        settings=ProfileSettings(seconds_per_training_batch_size=0.05),
        telemetry=CpuTelemetry(),
        idle_watts=None,
    )
    assert record.images_per_s > 0
    assert record.cpu_utilization_fraction is not None
    assert record.cpu_utilization_fraction > 0
    assert record.mfu_fraction is None
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("first_ms", "start_s"), [(3_004.0, 3.0), (4.0, 0.0), (1.0, 0.0)])
def test_a_short_look_tells_the_speed_of_later_steps_and_what_the_first_took_longer(
    first_ms: float, start_s: float
) -> None:
    """A first step of a compiler's 3 s, then 4 ms each: 32 images in 4 ms are 8,000 a second."""
    clock = FakeClock()
    trainer = Trainer(clock, 32, [first_ms, *[4.0] * 9_999])
    images_per_s, took_longer = measure_speed(
        trainer, device=CPU, num_threads=1, seconds=1.0, telemetry=FakeBoard(clock), clock=clock
    )
    assert images_per_s == pytest.approx(8_000)
    assert took_longer == pytest.approx(start_s)
    assert 1.0 <= (clock.now_ns / 1e9 - first_ms / 1e3) <= 1.5
