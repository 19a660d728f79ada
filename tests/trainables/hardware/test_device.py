import platform
from pathlib import Path

import pytest
import torch

from trainables.config import Precision
from trainables.hardware import device as devices
from trainables.hardware.telemetry import CpuTelemetry, Reading

CPU = torch.device("cpu")


class Board:
    def read(self) -> Reading:
        return Reading()

    def facts(self) -> dict[str, str]:
        return {"driver": "580.65.06"}


def test_a_gpu_is_taken_where_there_is_one() -> None:
    assert devices.select_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_cpu_computes_in_float32_unless_told_otherwise() -> None:
    assert devices.precision_for(CPU, "auto") == "float32"
    assert devices.precision_for(CPU, "float32") == "float32"


@pytest.mark.parametrize("instructions", ["avx512_bf16", "amx_bf16", "bf16"])
def test_a_cpu_that_has_bfloat16_computes_in_it_where_it_is_asked_for_and_else_in_float32(
    instructions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "any", instructions: True})
    asked = [devices.precision_for(CPU, each) for each in ("auto", "float32", "bfloat16")]
    assert asked == ["float32", "float32", "bfloat16"]


@pytest.mark.parametrize("instructions", [{}, {"avx512_bf16": False, "avx512_f": True}])
def test_bfloat16_is_refused_by_the_name_of_a_cpu_without_it(
    instructions: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    with pytest.raises(ValueError, match=r'precision = "bfloat16", but device cpu \(.+\) has no bfloat16 units'):
        devices.precision_for(CPU, "bfloat16")


def test_tensor_float_products_are_allowed_inside_alone_and_on_a_gpu_alone() -> None:
    """These switches of torch stand where there is no GPU too, and do nothing."""
    kinds = torch.backends.cudnn.conv, torch.backends.cuda.matmul  # type: ignore[attr-defined]
    before = [kind.fp32_precision for kind in kinds]
    for allowed, word in ((True, "tf32"), (False, "ieee")):
        with devices.tensor_float_products(torch.device("cuda"), allowed=allowed):
            assert [kind.fp32_precision for kind in kinds] == [word, word]
        assert [kind.fp32_precision for kind in kinds] == before
    with devices.tensor_float_products(CPU, allowed=False):
        assert [kind.fp32_precision for kind in kinds] == before


def test_a_processor_is_called_by_its_model_name(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: AMD EPYC 7R32: rev 2\nprocessor\t: 1\nmodel name\t: other\n")
    assert devices.cpu_name(cpuinfo) == "AMD EPYC 7R32: rev 2"


@pytest.mark.parametrize("text", [None, "", "processor\t: 0\nBogoMIPS\t: 243.75\n"], ids=["no file", "empty", "ARM"])
def test_a_processor_without_a_model_name_is_called_something(tmp_path: Path, text: str | None) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    if text is not None:
        cpuinfo.write_text(text)
    assert devices.cpu_name(cpuinfo) in {platform.processor(), platform.machine()}


def test_facts_of_a_cpu_name_it_and_what_ran_on_it() -> None:
    facts = devices.device_facts(
        CPU, num_threads=2, precision="float32", peak_flops_per_s=7e10, telemetry=devices.telemetry_for(CPU)
    )
    assert (facts.kind, facts.num_threads, facts.precision, facts.peak_flops_per_s) == ("cpu", 2, "float32", 7e10)
    assert facts.name == devices.device_name(CPU)
    assert facts.versions == {"torch": torch.__version__, "python": platform.python_version()}


def test_facts_hold_what_the_board_says_of_itself() -> None:
    facts = devices.device_facts(CPU, num_threads=1, precision="float32", peak_flops_per_s=None, telemetry=Board())
    assert facts.versions["driver"] == "580.65.06"


def test_a_cpu_has_telemetry_of_its_process() -> None:
    assert isinstance(devices.telemetry_for(CPU), CpuTelemetry)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_products_are_made_in_the_precision_asked_for(precision: Precision, dtype: torch.dtype) -> None:
    with devices.autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_the_number_of_threads_is_put_back_after_a_failure() -> None:
    before = torch.get_num_threads()
    seen: list[int] = []

    def fail() -> None:
        with devices.fixed_num_threads(before + 1):
            seen.append(torch.get_num_threads())
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert seen == [before + 1]
    assert torch.get_num_threads() == before
