"""NVML through the real nvidia-ml-py, against a small library of our own in NVML's place."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainables.hardware.nvml import UtilizationSample, open_telemetry, own_utilization_fraction
from trainables.hardware.telemetry import CpuTelemetry

TOP = Path(__file__).parents[3]

Probe = Callable[..., dict[str, Any]]

NOT_SUPPORTED, NOT_FOUND, DRIVER_NOT_LOADED, GPU_IS_LOST, UNKNOWN = 3, 6, 9, 15, 999

PROGRAM = """
import dataclasses, json, os, sys
from trainables.hardware import nvml
nvml.host_pid = lambda: os.getpid() if sys.argv[2] == "known" else None
telemetry = nvml.open_telemetry(int(sys.argv[1]))
readings = [dataclasses.asdict(telemetry.read()) for _ in range(2)]
print(json.dumps({"kind": type(telemetry).__name__, "readings": readings, "facts": telemetry.facts()}))
"""


@pytest.fixture(scope="session")
def library_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a libnvidia-ml.so.1 that was built from fake_nvml.c."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is missing: it builds the library that stands in for NVML")
    folder = tmp_path_factory.mktemp("nvml")
    source = Path(__file__).with_name("fake_nvml.c")
    command = [compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(folder / "libnvidia-ml.so.1"), str(source)]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture
def probe(library_folder: Path) -> Probe:
    """Open telemetry in a fresh interpreter that finds that library, and read it twice."""

    def run(index: int = 0, *, boards: str = "NVIDIA A10G,NVIDIA A10G", pid: str = "known", **environment: str) -> Any:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CUDA_")}
        told = {"LD_LIBRARY_PATH": str(library_folder), "FAKE_NVML_BOARDS": boards, **environment}
        command = [sys.executable, "-c", PROGRAM, str(index), pid]
        ended = subprocess.run(command, cwd=TOP, env=kept | told, capture_output=True, text=True, check=True)
        return json.loads(ended.stdout) | {"log": ended.stderr}

    return run


def errors(**codes: int) -> str:
    return " ".join(f"{function}={code}" for function, code in codes.items())


def test_board_and_process_are_read_in_our_units(probe: Probe) -> None:
    """40 %, 1,000,500 mJ and 300 MiB; of the process's samples only 20 % and 40 % are new and possible."""
    told = probe()
    first, second = told["readings"]
    assert first["gpu_utilization_fraction"] == pytest.approx(0.40)
    assert first["process_gpu_utilization_fraction"] == pytest.approx(0.30)
    assert first["process_gpu_memory_mib"] == 300.0
    assert (first["energy_joules"], second["energy_joules"]) == (1000.5, 1001.0)
    assert first["cpu_seconds"] > 0
    assert first["resident_memory_mib"] > 1
    assert told["facts"] == {
        "driver": "580.65.06",
        "max_clock_mhz": "1710",
        "clock_mhz": "1500",
        "temperature_celsius": "51",
    }


def test_samples_already_seen_are_not_counted_again(probe: Probe) -> None:
    """After the newest sample the board answers NOT_FOUND, as it does while nothing runs."""
    assert probe()["readings"][1]["process_gpu_utilization_fraction"] is None


@pytest.mark.parametrize(
    ("function", "code", "field"),
    [
        ("nvmlDeviceGetUtilizationRates", NOT_SUPPORTED, "gpu_utilization_fraction"),
        ("nvmlDeviceGetTotalEnergyConsumption", NOT_SUPPORTED, "energy_joules"),
        ("nvmlDeviceGetProcessUtilization", NOT_FOUND, "process_gpu_utilization_fraction"),
        ("nvmlDeviceGetComputeRunningProcesses_v3", UNKNOWN, "process_gpu_memory_mib"),
    ],
)
def test_what_the_board_refuses_is_unknown_and_the_rest_is_read(
    probe: Probe, function: str, code: int, field: str
) -> None:
    reading = probe(FAKE_NVML_ERRORS=errors(**{function: code}))["readings"][0]
    assert [name for name, value in reading.items() if value is None] == [field]


def test_a_board_that_is_lost_leaves_the_process_readable(probe: Probe) -> None:
    functions = ["UtilizationRates", "TotalEnergyConsumption", "ProcessUtilization", "ComputeRunningProcesses_v3"]
    lost = errors(**{f"nvmlDeviceGet{function}": GPU_IS_LOST for function in functions})
    reading = probe(FAKE_NVML_ERRORS=lost)["readings"][0]
    assert sorted(name for name, value in reading.items() if value is not None) == [
        "cpu_seconds",
        "resident_memory_mib",
    ]


def test_a_fact_that_the_board_refuses_is_left_out(probe: Probe) -> None:
    refused = errors(nvmlDeviceGetTemperatureV=NOT_SUPPORTED, nvmlDeviceGetClockInfo=NOT_SUPPORTED)
    assert probe(FAKE_NVML_ERRORS=refused)["facts"] == {"driver": "580.65.06", "max_clock_mhz": "1710"}


def test_in_a_container_the_process_is_unknown_and_the_board_is_not(probe: Probe) -> None:
    reading = probe(pid="unknown")["readings"][0]
    assert reading["process_gpu_utilization_fraction"] is None
    assert reading["process_gpu_memory_mib"] is None
    assert reading["gpu_utilization_fraction"] == pytest.approx(0.40)


@pytest.mark.parametrize(
    ("index", "environment", "board"),
    [
        (1, {}, 1),
        (0, {"CUDA_VISIBLE_DEVICES": "1"}, 1),
        (1, {"CUDA_VISIBLE_DEVICES": "1,0"}, 0),
        (0, {"CUDA_VISIBLE_DEVICES": "GPU-0001-fake"}, 1),
        (0, {"CUDA_VISIBLE_DEVICES": "GPU-0001"}, 1),
        (1, {"boards": "NVIDIA A10G,NVIDIA T4", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, 1),
        (0, {"boards": "NVIDIA A10G,NVIDIA T4", "CUDA_VISIBLE_DEVICES": "GPU-0001-fake"}, 1),
    ],
)
def test_the_board_read_is_the_one_that_cuda_shows(
    probe: Probe, index: int, environment: dict[str, str], board: int
) -> None:
    assert probe(index, **environment)["readings"][0]["gpu_utilization_fraction"] == pytest.approx(0.40 + board / 100)


@pytest.mark.parametrize(
    ("index", "environment"),
    [
        (2, {}),
        (0, {"CUDA_VISIBLE_DEVICES": ""}),
        (0, {"CUDA_VISIBLE_DEVICES": "7"}),
        (0, {"CUDA_VISIBLE_DEVICES": "GPU-000"}),  # both begin so
        (0, {"CUDA_VISIBLE_DEVICES": "MIG-0000-fake"}),
        (1, {"boards": "NVIDIA A10G,NVIDIA T4"}),  # CUDA counts from the fastest, NVML along the bus
    ],
)
def test_a_board_that_cannot_be_told_is_not_guessed(probe: Probe, index: int, environment: dict[str, str]) -> None:
    told = probe(index, **environment)
    assert told["kind"] == "CpuTelemetry"
    assert f"no board can be told to be cuda:{index}" in told["log"]


@pytest.mark.parametrize("function", ["nvmlInitWithFlags", "nvmlDeviceGetHandleByIndex_v2"])
def test_a_driver_that_is_not_loaded_leaves_the_process_alone(probe: Probe, function: str) -> None:
    told = probe(FAKE_NVML_ERRORS=errors(**{function: DRIVER_NOT_LOADED}))
    assert told["kind"] == "CpuTelemetry"
    assert "NVML is not usable (Driver Not Loaded)" in told["log"]
    assert told["readings"][0]["gpu_utilization_fraction"] is None


def test_a_cpu_is_never_asked_of_nvml() -> None:
    assert isinstance(open_telemetry(None), CpuTelemetry)


def test_a_process_without_new_samples_has_no_known_utilisation() -> None:
    samples = [UtilizationSample(7, 100, 50), UtilizationSample(8, 300, 90)]
    assert own_utilization_fraction(samples, pid=7, after_us=100) is None
    assert own_utilization_fraction(samples, pid=7, after_us=99) == 0.5
    assert own_utilization_fraction([], pid=7, after_us=0) is None
