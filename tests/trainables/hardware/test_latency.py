import gc
from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.trainables.hardware.fake_clock import FakeClock, TimedNetwork
from trainables.hardware import latency
from trainables.hardware.latency import Reference, make_reference, measure_latency
from trainables.hardware.settings import ProfileSettings
from trainables.measurements import LatencyMeasurement

CPU = torch.device("cpu")
SETTINGS = ProfileSettings()


def measured(
    clock: FakeClock, run_ms: Callable[[int], float], settings: ProfileSettings = SETTINGS
) -> LatencyMeasurement:
    """Measure a network of known cost beside a reference of 1 ms, whose anchor was taken at full speed."""
    reference = Reference(lambda: clock.work(1.0), anchor_ms=1.0)
    return measure_latency(
        TimedNetwork(clock, run_ms),
        (1, 2, 2),
        4,
        device=CPU,
        precision="float32",
        settings=settings,
        reference=reference,
        clock=clock,
    )


def test_a_network_of_constant_cost_has_that_latency_at_every_percentile() -> None:
    record = measured(FakeClock(), lambda _: 0.5)
    assert record.batch_size == 4
    assert {record.p50_ms, record.p50_low_ms, record.p50_high_ms, record.p90_ms, record.p99_ms} == {0.5}
    assert (record.p90_bound_ms, record.p99_bound_ms) == (0.5, 0.5)
    assert (record.relative_iqr_fraction, record.reference_drift_fraction) == (0.0, 0.0)
    assert (record.is_stable, record.num_attempts) == (True, 1)


@pytest.mark.parametrize(("run_ms", "fewest", "most"), [(0.1, 662, 725), (5.0, 64, 100), (100.0, 30, 30)])
def test_runs_are_bounded_by_number_then_by_time_but_never_fewer_than_thirty(
    run_ms: float, fewest: int, most: int
) -> None:
    assert fewest <= measured(FakeClock(), lambda _: run_ms).num_runs <= most


def test_thirty_runs_bound_no_percentile() -> None:
    record = measured(FakeClock(), lambda _: 100.0)
    assert (record.p90_bound_ms, record.p99_bound_ms) == (None, None)


def test_cold_runs_are_not_counted() -> None:
    record = measured(FakeClock(), lambda run: 20.0 / (run + 1) if run < 40 else 0.5)
    assert (record.p50_ms, record.p99_ms, record.is_stable) == (0.5, 0.5, True)


@pytest.mark.parametrize(("run_ms", "num_warm_up_runs"), [(0.5, 50), (10.0, 25), (400.0, 3)])
def test_warm_up_takes_fifty_runs_or_half_the_budget_but_at_least_three_runs(
    run_ms: float, num_warm_up_runs: int
) -> None:
    clock = FakeClock()
    network = TimedNetwork(clock, lambda _: run_ms)
    record = measure_latency(
        network,
        (1, 2, 2),
        1,
        device=CPU,
        precision="float32",
        settings=SETTINGS,
        reference=Reference(lambda: clock.work(1.0), 1.0),
        clock=clock,
    )
    assert network.num_runs - record.num_runs == num_warm_up_runs


def test_a_device_that_slows_down_by_a_twentieth_changes_nothing_but_the_drift() -> None:
    clock = FakeClock()
    clock.slowdown = lambda _: 1.05
    record = measured(clock, lambda _: 2.0)
    assert record.p50_ms == pytest.approx(2.0)
    assert record.reference_drift_fraction == pytest.approx(0.05)
    assert record.is_stable


def test_a_device_whose_speed_swings_shows_a_stable_network_as_stable() -> None:
    clock = FakeClock()
    clock.slowdown = lambda seconds: 1.0 + 0.08 * min(1.0, seconds)
    record = measured(clock, lambda _: 2.0)
    assert record.p50_ms == pytest.approx(2.0, rel=0.01)
    assert record.relative_iqr_fraction < 0.01
    assert record.is_stable


def test_a_latency_is_not_called_stable_where_the_device_lost_half_its_speed() -> None:
    clock = FakeClock()
    clock.slowdown = lambda _: 1.5
    record = measured(clock, lambda _: 2.0)
    assert record.reference_drift_fraction == pytest.approx(0.5)
    assert (record.is_stable, record.num_attempts) == (False, SETTINGS.max_attempts)


def test_a_latency_that_never_holds_still_is_kept_and_marked() -> None:
    record = measured(FakeClock(), lambda run: 1.0 + run % 2)
    assert (record.is_stable, record.num_attempts) == (False, SETTINGS.max_attempts)
    assert record.relative_iqr_fraction >= 0.5


def test_the_first_stable_attempt_ends_the_measuring() -> None:
    record = measured(FakeClock(), lambda run: 1.0 + run % 2 if run < 600 else 1.0)
    assert (record.is_stable, record.num_attempts, record.p50_ms) == (True, 2, 1.0)


def test_of_unstable_attempts_the_calmest_is_kept() -> None:
    """Runs swing by a half, then by a fifth, then by a half again; the budget splits them."""
    settings = ProfileSettings(max_attempts=3, seconds_per_batch_size=1e-6)
    swings = [0.5] * (3 + 34) + [0.2] * 34 + [0.5] * 1_000
    record = measured(FakeClock(), lambda run: 30.0 * (1.0 + swings[run] * (run % 2)), settings)
    assert (record.num_attempts, record.is_stable) == (3, False)
    assert record.relative_iqr_fraction == pytest.approx(0.2)


class Observer(nn.Module):
    """Notes the circumstances of each of its forward passes."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.seen: set[tuple[object, ...]] = set()

    def forward(self, images_NCHW: Tensor) -> Tensor:
        self.seen.add(
            (
                tuple(images_NCHW.shape),
                images_NCHW.is_contiguous(memory_format=torch.channels_last),
                self.convolution.weight.is_contiguous(memory_format=torch.channels_last),
                self.training,
                torch.is_inference_mode_enabled(),
                gc.isenabled(),
                torch.get_num_threads(),
            )
        )
        result: Tensor = self.convolution(images_NCHW)
        return result


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_runs_are_made_in_evaluation_without_gradients_channels_last_and_without_garbage_collection() -> None:
    network = Observer().train()
    settings = ProfileSettings(seconds_per_batch_size=0.01, max_attempts=1, num_threads=1)
    reference = make_reference(CPU, precision="float32", settings=settings)
    record = measure_latency(
        network, (3, 8, 8), 2, device=CPU, precision="float32", settings=settings, reference=reference
    )
    assert network.seen == {((2, 3, 8, 8), True, True, False, True, False, 1)}
    assert 0.0 < record.p50_low_ms <= record.p50_ms <= record.p50_high_ms
    assert record.p50_ms <= record.p90_ms <= record.p99_ms
    assert (network.training, gc.isenabled(), torch.get_num_threads()) == (True, True, 3)


@pytest.mark.usefixtures("three_threads")
def test_a_network_that_fails_leaves_everything_as_it_was() -> None:
    network = nn.Conv2d(3, 4, 3).train()
    with pytest.raises(RuntimeError, match="channels"):
        measure_latency(
            network,
            (1, 8, 8),
            2,
            device=CPU,
            precision="float32",
            settings=SETTINGS,
            reference=Reference(lambda: None, 1.0),
        )
    assert (network.training, gc.isenabled(), torch.get_num_threads()) == (True, True, 3)


def test_making_the_reference_leaves_the_random_stream_alone_and_times_its_runs() -> None:
    """On a clock that moves by 1 ms with each look, each run takes 1 ms."""
    ticks = count(step=1_000_000)
    torch.manual_seed(3)
    expected = torch.rand(4, generator=torch.Generator().manual_seed(3))
    reference = make_reference(CPU, precision="float32", settings=SETTINGS, clock=lambda: next(ticks))
    assert reference.anchor_ms == 1.0
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize(("device_ms", "agree"), [(None, True), (0.9, True), (1.01, True), (1.1, False)])
def test_a_host_that_did_not_see_the_work_end_is_noticed(device_ms: float | None, agree: bool) -> None:
    device = None if device_ms is None else np.full(9, device_ms)
    assert latency.clocks_agree(np.full(9, 1.0), device) is agree


def test_clocks_that_contradict_each_other_make_an_attempt_unstable() -> None:
    times = np.full(30, 1.0)
    assert latency.Attempt(times, 0.0, clocks_agree=True).is_stable
    assert not latency.Attempt(times, 0.0, clocks_agree=False).is_stable


@pytest.mark.parametrize(("run_ms", "runs"), [(1e-6, 64), (1.0, 50), (30.0, 2), (900.0, 1)])
def test_blocks_last_about_fifty_milliseconds(run_ms: float, runs: int) -> None:
    assert latency.runs_per_block(run_ms) == runs
