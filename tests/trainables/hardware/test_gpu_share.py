"""What a process may allocate of its share of a GPU, and what it says when that was too little."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.hardware import device as devices
from trainables.hardware.gpu_share import USUAL_CONTEXT_MIB, MemoryShare, memory_share, why_failed

A10G_MIB = 23_028.0


def test_allocator_gets_the_share_less_the_context() -> None:
    share = MemoryShare(0.25, A10G_MIB, 500.0)
    assert share.allocator_mib == 5_757.0 - 500.0
    assert share.allocator_fraction == pytest.approx(5_257.0 / 23_028.0)


@given(
    number=st.sampled_from([1, 2, 3, 4, 8]),
    board_mib=st.floats(1_000.0, 200_000.0),
    context_mib=st.floats(0.0, 5_000.0),
)
def test_tenants_with_their_contexts_never_take_more_than_the_board(
    number: int, board_mib: float, context_mib: float
) -> None:
    share = MemoryShare(1.0 / number, board_mib, context_mib)
    assert 0.0 <= share.allocator_fraction <= 1.0
    if share.allocator_mib > 0.0:
        assert number * (share.allocator_fraction * board_mib + context_mib) <= board_mib * (1.0 + 1e-9)


def test_too_little_memory_is_told_with_the_share_and_what_to_set() -> None:
    error = torch.OutOfMemoryError("CUDA out of memory.\nmore")
    assert why_failed(error, MemoryShare(0.125, 24_000.0, 500.0)) == (
        "OutOfMemoryError: CUDA out of memory. (its share of 0.125 GPU is 3,000 MiB, 2,500 MiB of them beside the CUDA "
        'context; what may help: a larger resources.gpus_per_trial, or "planned")'
    )
    assert "smaller batches" in why_failed(error, MemoryShare(1.0, 24_000.0, 500.0))


def test_what_else_fails_is_told_in_its_own_words() -> None:
    assert why_failed(ValueError("no such layer"), MemoryShare(0.5, 24_000.0)) == "ValueError: no such layer"
    assert why_failed(torch.OutOfMemoryError("6 GiB"), None) == "OutOfMemoryError: 6 GiB"


def test_a_cpu_has_no_share_of_memory() -> None:
    assert memory_share(torch.device("cpu"), 0.25, None) is None


@pytest.mark.parametrize(("context_mib", "counted"), [(None, USUAL_CONTEXT_MIB), (300.0, 300.0)])
def test_process_caps_its_allocator_when_it_takes_its_share(
    monkeypatch: pytest.MonkeyPatch, context_mib: float | None, counted: float
) -> None:
    """torch's calls on a board that is not there."""
    asked: list[float] = []
    board = type("Properties", (), {"total_memory": 24_000 * 2**20})()
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: board)
    for name in ("empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", asked.append)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    devices.take_share(torch.device("cuda", 0), cpus=1, gpus=0.5, context_mib=context_mib)
    assert asked == [pytest.approx(0.5 - counted / 24_000.0)]
