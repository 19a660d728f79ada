"""Measuring on a real CUDA device, alone on it."""

import time

import pytest
import torch
from torch import nn

from trainables.hardware import device as devices
from trainables.hardware.latency import make_reference, measure_latency
from trainables.hardware.nvml import NvmlTelemetry
from trainables.hardware.peaks import measured_peak_flops_per_s, training_flops_per_image
from trainables.hardware.settings import ProfileSettings
from trainables.hardware.telemetry import Sampler, host_pid
from trainables.hardware.training_speed import measure_idle_watts, measure_training

pytestmark = pytest.mark.gpu

SHAPE = (3, 32, 32)


@pytest.fixture
def device() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device is visible")
    return torch.device("cuda", 0)


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.Flatten(), nn.LazyLinear(10)
    )


@pytest.fixture
def built(network: nn.Module) -> nn.Module:
    network(torch.zeros(1, *SHAPE))
    return network


def test_latency_by_the_host_covers_that_of_the_events(device: torch.device, built: nn.Module) -> None:
    settings = ProfileSettings()
    precision = devices.precision_for(device, "auto")
    reference = make_reference(device, precision=precision, settings=settings)
    record = measure_latency(
        built, SHAPE, 8, device=device, precision=precision, settings=settings, reference=reference
    )
    assert record.num_runs >= 30
    assert 0.0 < record.p50_low_ms <= record.p50_ms <= record.p50_high_ms <= record.p99_ms


def test_the_peak_of_tensor_cores_is_above_that_of_float32(device: torch.device) -> None:
    if devices.precision_for(device, "auto") != "bfloat16":
        pytest.skip("this device has no bfloat16")
    low, high = (measured_peak_flops_per_s(device, precision, 1) for precision in ("float32", "bfloat16"))
    assert 1e12 < low < high


def test_training_fills_every_field_that_a_board_can_tell(device: torch.device, built: nn.Module) -> None:
    telemetry = devices.telemetry_for(device)
    assert isinstance(telemetry, NvmlTelemetry)
    idle_watts = measure_idle_watts(telemetry)
    precision = devices.precision_for(device, "auto")
    peak = measured_peak_flops_per_s(device, precision, 1)
    flops = training_flops_per_image(built, SHAPE)
    network = built.to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6)
    images_NCHW = torch.rand(256, *SHAPE, device=device)

    def step() -> int:
        optimizer.zero_grad()
        with devices.autocast(device, precision):
            network(images_NCHW).float().square().mean().backward()
        optimizer.step()
        return 256

    record = measure_training(
        step,
        batch_size=256,
        flops_per_image=flops,
        peak_flops_per_s=peak,
        device=device,
        num_threads=1,
        settings=ProfileSettings(),
        telemetry=telemetry,
        idle_watts=idle_watts,
    )
    assert record.mfu_fraction is not None
    assert 0.0 < record.mfu_fraction < 1.0
    assert record.gpu_utilization_fraction is not None
    assert record.gpu_utilization_fraction > 0.5
    assert record.peak_memory_mib is not None
    assert record.peak_memory_mib > 256 * 64 * 32 * 32 * 2 / 2**20
    assert (record.energy_joules_per_image is None) == (idle_watts is None)


def test_facts_of_a_board_name_its_driver(device: torch.device) -> None:
    facts = devices.device_facts(
        device, num_threads=1, precision="float32", peak_flops_per_s=None, telemetry=devices.telemetry_for(device)
    )
    assert facts.kind == "cuda"
    assert {"torch", "python", "cuda", "cudnn", "driver"} <= facts.versions.keys()


def test_a_board_tells_who_is_on_it_and_what_they_drew(device: torch.device) -> None:
    """In a container nothing is known of the process by itself; nor is energy split without the board's counter."""
    telemetry = devices.telemetry_for(device)
    idle_watts = measure_idle_watts(telemetry)
    matrix = torch.rand(4_096, 4_096, device=device)
    with Sampler(telemetry, num_threads=1, idle_watts=idle_watts) as sampler:
        until = time.monotonic() + 5.0
        while time.monotonic() < until:
            matrix @ matrix
            torch.cuda.synchronize(device)
        told = sampler.averages()
    utilization, board = told["shared_gpu_utilization_fraction"], told["shared_board_energy_joules"]
    assert utilization is not None
    assert utilization > 0.5
    assert (board is None) == (idle_watts is None)
    own, memory_mib = told["shared_energy_joules"], told["process_gpu_memory_mib"]
    if host_pid() is None:
        assert (own, memory_mib) == (None, None)
        return
    assert memory_mib is not None
    assert memory_mib > 64
    if board is not None and own is not None:
        assert own + (told["shared_energy_residual_joules"] or 0.0) <= 1.001 * board
