"""NVML through the real nvidia-ml-py, against a small library of our own in NVML's place."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.trainables.hardware.fake_nvml import built_nvml
from trainables.hardware.nvml import open_telemetry
from trainables.hardware.telemetry import CpuTelemetry

TOP = Path(__file__).parents[3]

Probe = Callable[..., dict[str, Any]]

NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND, INSUFFICIENT_SIZE, DRIVER_NOT_LOADED = 3, 4, 6, 7, 9
FUNCTION_NOT_FOUND, GPU_IS_LOST, UNKNOWN = 13, 15, 999
# Ourselves, with samples of 20 % and 40 % and an absurd one at the first look, and a neighbour at 90 %.
TWO_PROCESSES = "0:300:20+40+4000000000 77:9:90"
THREE_BUSY = "0:300:30,50 77:9:90,30 78:500:40,80"


@pytest.fixture(scope="session")
def prober(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """A fresh interpreter that finds our library: the loader reads its path once, when a process begins."""
    library = built_nvml(tmp_path_factory.mktemp("nvml"))
    command = [sys.executable, "-m", "tests.trainables.hardware.nvml_probe"]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(library.parent)}
    with subprocess.Popen(
        command, cwd=TOP, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def probe(prober: subprocess.Popen[str]) -> Probe:
    """Open telemetry, read it twice, and sample it for 4 s of its clock, in which the board draws half a joule."""

    def run(
        index: int = 0,
        *,
        boards: str = "NVIDIA A10G,NVIDIA A10G",
        processes: str = TWO_PROCESSES,
        knows_pid: bool = True,
        num_readings: int = 2,
        **environment: str,
    ) -> Any:
        told = {"FAKE_NVML_BOARDS": boards, "FAKE_NVML_PROCESSES": processes, **environment}
        asked = {"index": index, "environment": told, "knows_pid": knows_pid, "num_readings": num_readings}
        assert prober.stdin is not None
        assert prober.stdout is not None
        prober.stdin.write(json.dumps(asked) + "\n")
        prober.stdin.flush()
        return json.loads(prober.stdout.readline())

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
    assert first["num_gpu_co_tenants"] == 1
    assert first["busy_by_pid"] == pytest.approx({str(told["pid"]): 0.6, "77": 0.9})
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
    second = probe()["readings"][1]
    assert second["process_gpu_utilization_fraction"] is None
    assert second["busy_by_pid"] == {}


@pytest.mark.parametrize(
    ("function", "code", "fields"),
    [
        ("UtilizationRates", NOT_SUPPORTED, ["gpu_utilization_fraction"]),
        ("TotalEnergyConsumption", NOT_SUPPORTED, ["energy_joules"]),
        ("ProcessUtilization", NOT_FOUND, ["process_gpu_utilization_fraction"]),
        ("ProcessUtilization", NOT_SUPPORTED, ["process_gpu_utilization_fraction", "busy_by_pid"]),
        ("ProcessUtilization", NO_PERMISSION, ["process_gpu_utilization_fraction", "busy_by_pid"]),
        ("ProcessUtilization", INSUFFICIENT_SIZE, ["process_gpu_utilization_fraction", "busy_by_pid"]),
        ("ComputeRunningProcesses_v3", UNKNOWN, ["process_gpu_memory_mib", "num_gpu_co_tenants"]),
        ("ComputeRunningProcesses_v3", NO_PERMISSION, ["process_gpu_memory_mib", "num_gpu_co_tenants"]),
        ("MPSComputeRunningProcesses_v3", FUNCTION_NOT_FOUND, []),  # older drivers
    ],
)
def test_what_the_board_refuses_is_unknown_and_the_rest_is_read(
    probe: Probe, function: str, code: int, fields: list[str]
) -> None:
    reading = probe(FAKE_NVML_ERRORS=errors(**{f"nvmlDeviceGet{function}": code}))["readings"][0]
    assert [name for name, value in reading.items() if value is None] == fields


def test_a_board_that_is_lost_leaves_the_process_readable(probe: Probe) -> None:
    functions = ["UtilizationRates", "TotalEnergyConsumption", "ProcessUtilization", "ComputeRunningProcesses_v3"]
    lost = errors(**{f"nvmlDeviceGet{function}": GPU_IS_LOST for function in functions})
    reading = probe(FAKE_NVML_ERRORS=lost)["readings"][0]
    assert sorted(name for name, value in reading.items() if value is not None) == [
        "cpu_seconds",
        "pid",
        "resident_memory_mib",
    ]


def test_a_fact_that_the_board_refuses_is_left_out(probe: Probe) -> None:
    refused = errors(nvmlDeviceGetTemperatureV=NOT_SUPPORTED, nvmlDeviceGetClockInfo=NOT_SUPPORTED)
    assert probe(FAKE_NVML_ERRORS=refused)["facts"] == {"driver": "580.65.06", "max_clock_mhz": "1710"}


def test_in_a_container_the_process_is_unknown_and_the_board_is_not(probe: Probe) -> None:
    """Of the three on the board one is ours: two are others, whichever."""
    told = probe(processes=THREE_BUSY, num_readings=0, knows_pid=False)
    own = ("process_gpu_utilization_fraction", "process_gpu_memory_mib", "shared_energy_joules")
    assert [told["sampled"][name] for name in own] == [None, None, None]
    assert told["sampled"]["shared_gpu_utilization_fraction"] == pytest.approx(0.40)
    assert told["sampled"]["num_gpu_co_tenants"] == 2.0
    assert told["sampled"]["shared_board_energy_joules"] == pytest.approx(0.5)
    assert told["sampled"]["shared_energy_residual_joules"] == pytest.approx(0.2)


def test_a_container_that_the_driver_shows_no_process_in_knows_of_no_co_tenants(probe: Probe) -> None:
    assert probe(processes="", knows_pid=False)["readings"][0]["num_gpu_co_tenants"] is None


def test_an_epoch_s_energy_is_split_by_the_samples_of_all_on_the_board(probe: Probe) -> None:
    """Its samples are the second look's, 50 %, 30 % and 80 %: of the 0.3 J above idle 50 in 160 are ours."""
    sampled = probe(processes=THREE_BUSY, num_readings=0)["sampled"]
    assert sampled["process_gpu_utilization_fraction"] == pytest.approx(0.50)
    assert sampled["process_gpu_memory_mib"] == 300.0
    assert sampled["num_gpu_co_tenants"] == 2.0
    assert sampled["shared_board_energy_joules"] == pytest.approx(0.5)
    assert sampled["shared_energy_joules"] == pytest.approx(0.3 * 50 / 160)
    assert sampled["shared_energy_residual_joules"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("function", "code", "known"),
    [
        ("nvmlDeviceGetTotalEnergyConsumption", NOT_SUPPORTED, []),
        ("nvmlDeviceGetProcessUtilization", NO_PERMISSION, ["shared_board_energy_joules"]),
        ("nvmlDeviceGetProcessUtilization", NOT_FOUND, ["shared_board_energy_joules", "shared_energy_residual_joules"]),
    ],
)
def test_energy_that_cannot_be_split_is_the_board_s_alone(
    probe: Probe, function: str, code: int, known: list[str]
) -> None:
    """NOT_FOUND is no refusal: no process was seen, and all of it is nobody's."""
    sampled = probe(processes=THREE_BUSY, num_readings=0, FAKE_NVML_ERRORS=errors(**{function: code}))["sampled"]
    assert [name for name, value in sampled.items() if "energy" in name and value is not None] == known
    assert {sampled[name] for name in known} <= {0.5}


def test_memory_that_the_driver_does_not_tell_is_unknown_and_the_process_is_there(probe: Probe) -> None:
    reading = probe(processes="0:-1: 77:9:")["readings"][0]
    assert (reading["process_gpu_memory_mib"], reading["num_gpu_co_tenants"]) == (None, 1)


def test_under_mps_its_clients_are_counted_and_not_its_server(probe: Probe) -> None:
    reading = probe(processes="50:25:", FAKE_NVML_CLIENTS="0:300 77:200 78:200")["readings"][0]
    assert (reading["process_gpu_memory_mib"], reading["num_gpu_co_tenants"]) == (300.0, 2)


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
