"""What telemetry takes from training: the same steps with the sampler beside them and without, in processor time.

What it takes is less than what two windows of the same steps differ by. So it is given ten times as often as in a
trial, in windows a tenth as long as an epoch of a second, and the difference is divided by ten.

Where there is no GPU the board is a library that stands in for NVML; each call of it is made to take 0.2 ms of a
processor, which is an assumption, not a driver's time.
"""

import ctypes
import time
from pathlib import Path

import pytest
import torch

from tests.benchmarks.interleaved import compare
from tests.benchmarks.scoreboard import Scoreboard
from tests.trainables.hardware.fake_nvml import built_nvml
from trainables.config import DatasetConfig, LossConfig, ModelConfig, StudentConfig, TrainingConfig
from trainables.data import load
from trainables.data.split import split
from trainables.hardware.device import fixed_num_threads
from trainables.hardware.nvml import NvmlTelemetry, open_telemetry
from trainables.hardware.telemetry import CpuTelemetry, Sampler, Telemetry
from trainables.profile import random_teacher
from trainables.run_start import student_run
from trainables.training import DeviceData, DistillationRun

WIDTH, BATCH_SIZE, NUM_IMAGES = 4, 128, 4_096
DOSE, INTERVAL_S = 10, 0.5  # in a trial it is read once an interval, and when an epoch begins and ends
NUM_STEPS = 12  # in about a tenth of a second on one core
NUM_ROUNDS, NUM_READINGS = 201, 200
LIMIT_PERCENT = 1.0
CALL_US = 200


@pytest.fixture(scope="module")
def run() -> DistillationRun:
    """A narrow student: the shorter a step, the more of it telemetry takes."""
    data = DeviceData(split(load("mnist"), DatasetConfig(max_train_images=NUM_IMAGES)), torch.device("cpu"))
    training = TrainingConfig(epochs=10_000, batch_size=BATCH_SIZE, schedule="constant")
    model = ModelConfig(name="cnn", options={"width": WIDTH})
    student = StudentConfig(model=model, loss=LossConfig(name="kd"), training=training)
    made = student_run(student, data, random_teacher(data))
    made.model.train()
    return made


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Telemetry:
    """Four processes on a board, one of them this one, each with new samples at every look."""
    ctypes.CDLL(str(built_nvml(tmp_path)))  # the loader takes what is loaded under NVML's name for NVML
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("FAKE_NVML_BOARDS", "NVIDIA A10G")
    monkeypatch.setenv("FAKE_NVML_PROCESSES", " ".join(f"{pid}:900:20+30,..." for pid in (0, 71, 72, 73)))
    monkeypatch.setenv("FAKE_NVML_SPIN_US", str(CALL_US))
    telemetry = open_telemetry(0)
    assert isinstance(telemetry, NvmlTelemetry)
    assert telemetry.read().num_gpu_co_tenants == 3
    return telemetry


def step_ms(run: DistillationRun, telemetry: Telemetry | None) -> float:
    """Processor time of a training step, of all threads, the sampler's among them."""
    indices_N = torch.arange(BATCH_SIZE)
    started = time.process_time()
    if telemetry is None:
        for _ in range(NUM_STEPS):
            run.train_step(indices_N)
    else:
        with Sampler(telemetry, num_threads=1, interval_s=INTERVAL_S / DOSE, idle_watts=20.0) as sampler:
            for _ in range(NUM_STEPS):
                run.train_step(indices_N)
            sampler.averages()
    return 1e3 * (time.process_time() - started) / NUM_STEPS


def reading_ms(telemetry: Telemetry) -> float:
    started = time.process_time()
    for _ in range(NUM_READINGS):
        telemetry.read()
    return 1e3 * (time.process_time() - started) / NUM_READINGS


def is_cheap(scoreboard: Scoreboard, run: DistillationRun, telemetry: Telemetry, where: str) -> bool:
    with fixed_num_threads(1):
        for _ in range(DOSE):
            step_ms(run, telemetry)
        measured = compare(lambda: step_ms(run, telemetry), lambda: step_ms(run, None), num_rounds=NUM_ROUNDS)
    row = scoreboard.at_most(
        f"telemetry's cost to training, cnn width {WIDTH}, batch {BATCH_SIZE}, one thread, {where}",
        value=100.0 * (measured.median_ratio - 1.0) / DOSE,
        limit=LIMIT_PERCENT,
        unit="%",
        peer=f"a step of {measured.median_peer:.2f} ms",
    )
    scoreboard.shown(
        f"one reading of telemetry, {where} ({1 / INTERVAL_S:g} a second)", ours=f"{reading_ms(telemetry):.3f} ms"
    )
    return bool(row.is_reached)


@pytest.mark.benchmark
def test_telemetry_of_a_cpu_costs_training_at_most_a_hundredth(scoreboard: Scoreboard, run: DistillationRun) -> None:
    assert is_cheap(scoreboard, run, CpuTelemetry(), "on a CPU")


@pytest.mark.benchmark
def test_telemetry_of_a_board_costs_training_at_most_a_hundredth(
    scoreboard: Scoreboard, run: DistillationRun, board: Telemetry
) -> None:
    where = f"a board played by a library, {CALL_US / 1e3:g} ms a call"
    assert is_cheap(scoreboard, run, board, where)
