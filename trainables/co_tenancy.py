"""One of several processes that train the same at once on one GPU, as a task: what it reaches beside the others."""

import gc
from collections.abc import Callable, Sequence
from typing import final

import torch

from trainables.config import Execution, Frozen, ModelConfig
from trainables.hardware.compilation import release
from trainables.hardware.device import select_device, take_share, telemetry_for
from trainables.hardware.gpu_share import BYTES_PER_MIB, used_beside_allocator_mib
from trainables.hardware.settings import ProfileSettings
from trainables.hardware.training_speed import measure_speed
from trainables.profile import profiled_run, random_images, random_teacher, stepper
from trainables.teacher_outputs import Split, StoredOutputs
from trainables.training import DeviceData

WARM_UP_S = 0.05  # after the first steps, in which all that is slow is done


class Training(Frozen):
    """What is trained: a network at a batch size, computed as its profile found best."""

    model: ModelConfig
    batch_size: int
    execution: Execution | None


class Tenant(Frozen):
    """What one of the processes saw."""

    images_per_s: tuple[float | None, ...]  # of each training; None: too little memory
    board_mib: float | None  # None on a CPU, and so is the next
    context_mib: float | None  # used beside this process's tensors: its context, where it is alone


def train_beside(
    trainings: Sequence[Training],
    input_shape: tuple[int, int, int],
    num_classes: int,
    settings: ProfileSettings,
    num_threads: int,
    gpus: float,
    meet: Callable[[], None],
) -> Tenant:
    """Train one after the other, each for a short time, all processes at the same.

    One that fails for memory meets the others all the same: they would wait for it.

    Args:
        trainings: the same, in the same order, in all processes.
        input_shape: (channels, height, width) of an image.
        num_classes: number of logits.
        settings: of the profile; a window is as long as the one of a process alone.
        num_threads: CPU threads of this process.
        gpus: its share of the GPU; 0 on a CPU.
        meet: returns once all processes have called it as often.
    """
    device = select_device() if gpus > 0 else torch.device("cpu")
    take_share(device, cpus=num_threads, gpus=gpus)
    data = DeviceData(random_images(input_shape, num_classes), device)
    teacher = random_teacher(data)
    speeds = []
    for training in trainings:
        speeds.append(beside(_Trainer(training, data, teacher, num_threads), settings, meet))
        if training.execution is not None and training.execution.compile != "none":
            release()
        gc.collect()
    on_cuda = device.type == "cuda"
    return Tenant(
        images_per_s=tuple(speeds),
        board_mib=torch.cuda.get_device_properties(device).total_memory / BYTES_PER_MIB if on_cuda else None,
        context_mib=used_beside_allocator_mib(device) if on_cuda else None,
    )


def beside(train_for: Callable[[float], float], settings: ProfileSettings, meet: Callable[[], None]) -> float | None:
    """Warm up, then train while all others do.

    Args:
        train_for: trains for so many seconds; returns images/s.
        settings: of the profile.
        meet: as that of `train_beside`.

    Returns:
        Images/s; None: too little memory.
    """
    has_room = _within_memory(train_for, WARM_UP_S) is not None
    meet()
    images_per_s = _within_memory(train_for, settings.seconds_per_training_batch_size) if has_room else None
    meet()  # before the next one is built, beside which nobody is to be measured
    return images_per_s


def _within_memory(train_for: Callable[[float], float], seconds: float) -> float | None:
    try:
        return train_for(seconds)
    except torch.OutOfMemoryError:
        return None


@final
class _Trainer:
    """Trains a student for so long; it is built when first asked."""

    def __init__(self, training: Training, data: DeviceData, teacher: StoredOutputs, num_threads: int) -> None:
        self._training = training
        self._data = data
        self._teacher = teacher
        self._num_threads = num_threads
        self._step: Callable[[], int] | None = None

    def __call__(self, seconds: float) -> float:
        training, device = self._training, self._data.device
        if self._step is None:
            run = profiled_run(training.model, training.batch_size, self._data, self._teacher, training.execution)
            self._step = stepper(run, training.batch_size, len(self._data.images[Split.TRAIN]), device)
        images_per_s, _ = measure_speed(
            self._step,
            device=device,
            num_threads=self._num_threads,
            seconds=seconds,
            telemetry=telemetry_for(device),
        )
        return images_per_s
