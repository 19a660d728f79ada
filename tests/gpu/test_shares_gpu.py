"""Shares of a real CUDA device: the cap on memory, and training in several processes at once."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from threading import Barrier

import pytest
import torch

from trainables.co_tenancy import Tenant, Training, train_beside
from trainables.config import ModelConfig
from trainables.hardware.device import take_share
from trainables.hardware.gpu_share import memory_share
from trainables.hardware.settings import ProfileSettings

pytestmark = pytest.mark.gpu

TRAINING = Training(model=ModelConfig(name="cnn", options={"width": 8}), batch_size=64, execution=None)


@pytest.fixture
def device() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device is visible")
    return torch.device("cuda", 0)


def test_process_cannot_allocate_more_than_its_share_and_goes_on_after_it_tried(device: torch.device) -> None:
    share = memory_share(device, 0.25, 600.0)
    assert share is not None
    take_share(device, cpus=1, gpus=0.25, context_mib=600.0)
    try:
        with pytest.raises(torch.OutOfMemoryError, match="memory"):
            torch.empty(int((share.allocator_mib + 64.0) * 2**20), dtype=torch.uint8, device=device)
        assert torch.ones(4, device=device).sum().item() == 4.0
    finally:
        take_share(device, cpus=1, gpus=1.0, context_mib=0.0)


def tenant(barrier: Barrier, gpus: float) -> Tenant:
    def meet() -> None:
        barrier.wait(120.0)

    settings = ProfileSettings(seconds_per_training_batch_size=0.5)
    return train_beside([TRAINING], (1, 28, 28), 10, settings, 1, gpus, meet)


@pytest.mark.usefixtures("device")
def test_processes_that_train_at_once_are_measured_each_by_itself() -> None:
    """A context takes 100 MiB to 2 GiB of a board."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(2, mp_context=context) as pool:
        alone = pool.submit(tenant, manager.Barrier(1), 1.0).result()
        both = manager.Barrier(2)
        found = list(pool.map(partial(tenant, both), [0.5, 0.5]))
    assert alone.context_mib is not None
    assert 100.0 < alone.context_mib < 2_048.0
    assert all(each.images_per_s[0] is not None and each.images_per_s[0] > 0.0 for each in found)
