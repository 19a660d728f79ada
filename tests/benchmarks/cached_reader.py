"""A process that reads images as a trial's does: from the object store, on its own CPU device, each image once."""

import psutil
import ray
import torch

from trainables.config import AugmentationConfig
from trainables.data.image_arrays import TrainingData
from trainables.data.views import EpochViews, epoch_order
from trainables.teacher_outputs import Split
from trainables.training import DeviceData

BATCH_SIZE = 128
BYTES_PER_MB = 1e6


@ray.remote(num_cpus=1)
def private_mb(data: TrainingData) -> tuple[float, float]:
    """This process's own memory (USS) in MB, before the data is touched and after an epoch of views; see `_epoch`."""
    torch.set_num_threads(1)
    before = _uss_mb()
    device_data = DeviceData(data, torch.device("cpu"))
    _epoch(device_data)
    return before, _uss_mb()


def _epoch(data: DeviceData) -> None:
    """What the training loop does before its networks."""
    images = data.images[Split.TRAIN]
    members_K = torch.arange(len(images))
    augmentation = AugmentationConfig(shift_pixels=4, flip=True)
    views = EpochViews.of(augmentation, 0, 0, members_K, len(images), data.input_shape)
    for indices_N in torch.split(epoch_order(0, 0, len(images)), BATCH_SIZE):
        images.viewed(indices_N, views)
        images.labels_N.index_select(0, indices_N)


def _uss_mb() -> float:
    return psutil.Process().memory_full_info().uss / BYTES_PER_MB
