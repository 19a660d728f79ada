"""Architectures measured alone on their device, run as one Ray task that holds the whole of it and submits nothing."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import final

import numpy as np
import torch

from trainables.config import Execution, LossConfig, ModelConfig, StudentConfig, TrainingConfig
from trainables.data.image_arrays import LabelledImages, TrainingData
from trainables.execution import executions_for
from trainables.hardware import peaks
from trainables.hardware.compilation import release
from trainables.hardware.device import (
    device_facts,
    precision_for,
    select_device,
    telemetry_for,
    tensor_float_products,
)
from trainables.hardware.executions import tried_executions
from trainables.hardware.latency import make_reference, measure_latency
from trainables.hardware.settings import ProfileSettings, StudentTrainings
from trainables.hardware.training_speed import measure_idle_watts, measure_speed, measure_training
from trainables.measurements import ArchitectureProfile, DeviceFacts, TrainingMeasurement, TriedExecution
from trainables.models import num_parameters
from trainables.randomness import generator
from trainables.run_start import initial_model, student_run
from trainables.teacher_outputs import Split, StoredOutputs
from trainables.training import DeviceData, DistillationRun

NUM_IMAGES = 8_192
MAX_BYTES, LEAST_IMAGES = 256 * 2**20, 256  # of them all; however large they are
NUM_BATCHES = 32


@final
class DeviceProfiler:
    """Measures architectures on this process's device, on random images of the dataset's shape.

    Speed and latency do not depend on what the images show, nor on the teacher: a profile serves every study that has
    images of the same shape and as many classes.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        num_classes: int,
        settings: ProfileSettings,
        num_threads: int,
        trainings: StudentTrainings,
        reference_ms: float | None = None,
    ) -> None:
        self._device = select_device()
        self._trainings = trainings
        self._executions = executions_for(trainings.precision, self._device)  # first: it may refuse the precision
        self._precision = precision_for(self._device, "auto")
        self._settings = settings
        self._num_threads = num_threads
        self._telemetry = telemetry_for(self._device)
        self._data = DeviceData(random_images(input_shape, num_classes), self._device)
        self._teacher = random_teacher(self._data)

        self._idle_watts = measure_idle_watts(self._telemetry)  # first: the board must not be warm from other work
        self._reference = make_reference(
            self._device, precision=self._precision, settings=settings, anchor_ms=reference_ms
        )

    def facts(self) -> DeviceFacts:
        """The device, its measured peak, its idle power and the reference's undisturbed time among the rest."""
        peak = peaks.measured_peak_flops_per_s(self._device, self._precision, self._num_threads)
        facts = device_facts(
            self._device,
            num_threads=self._num_threads,
            precision=self._precision,
            peak_flops_per_s=peak,
            telemetry=self._telemetry,
        )
        return facts.model_copy(update={"reference_ms": self._reference.anchor_ms, "idle_watts": self._idle_watts})

    def profiles(
        self, models: Sequence[ModelConfig], training_batch_sizes: Sequence[int]
    ) -> Iterator[ArchitectureProfile]:
        """Measure one architecture after the other."""
        facts = self.facts()
        for model in models:
            started = time.perf_counter()
            network = initial_model(model, self._data.input_shape, self._data.num_classes, seed=0).to(self._device)
            latencies = tuple(
                measure_latency(
                    network,
                    self._data.input_shape,
                    batch_size,
                    device=self._device,
                    precision=self._precision,
                    settings=self._settings,
                    reference=self._reference,
                )
                for batch_size in self._settings.inference_batch_sizes
            )
            trainings = tuple(self._training(model, batch_size, facts) for batch_size in training_batch_sizes)
            yield ArchitectureProfile(
                model=model,
                num_parameters=num_parameters(network),
                forward_flops_per_image=peaks.forward_flops_per_image(network, self._data.input_shape),
                latencies=latencies,
                trainings=trainings,
                device=facts,
                measured_at=datetime.now(UTC),
                seconds=time.perf_counter() - started,
            )

    def _training(self, model: ModelConfig, batch_size: int, facts: DeviceFacts) -> TrainingMeasurement:
        """In the fastest of the ways that may be tried."""
        may_try = self._settings.executions != "fixed"
        execution, tried = tried_executions(
            self._executions if may_try else self._executions[:1],
            self._trainings.num_images,
            lambda each: self._tried(model, batch_size, each),
            may_compile=self._settings.executions == "measured",
        )
        run = self._run(model, batch_size, execution)
        measured = measure_training(
            stepper(run, batch_size, len(self._data.images[Split.TRAIN]), self._device),
            batch_size=batch_size,
            flops_per_image=peaks.training_flops_per_image(run.model, self._data.input_shape),
            peak_flops_per_s=self._peak_flops_per_s(execution, facts),
            device=self._device,
            num_threads=self._num_threads,
            settings=self._settings,
            telemetry=self._telemetry,
            idle_watts=self._idle_watts,
        )
        return measured.model_copy(update={"execution": execution, "tried": tried})

    def _tried(self, model: ModelConfig, batch_size: int, execution: Execution) -> TriedExecution:
        try:
            run = self._run(model, batch_size, execution)
            images_per_s, start_s = measure_speed(
                stepper(run, batch_size, len(self._data.images[Split.TRAIN]), self._device),
                device=self._device,
                num_threads=self._num_threads,
                seconds=self._settings.seconds_per_training_batch_size,
                telemetry=self._telemetry,
            )
        finally:
            if execution.compile != "none":
                release()
        start_s = start_s if execution.compile != "none" else 0.0  # what the first of all starts is no network's own
        return TriedExecution(execution=execution, images_per_s=images_per_s, start_s=start_s)

    def _run(self, model: ModelConfig, batch_size: int, execution: Execution) -> DistillationRun:
        return profiled_run(model, batch_size, self._data, self._teacher, execution)

    def _peak_flops_per_s(self, execution: Execution, facts: DeviceFacts) -> float | None:
        """Of the units that the execution computes on."""
        if execution.precision == facts.precision:
            return facts.peak_flops_per_s
        with tensor_float_products(self._device, allowed=execution.tf32):
            return peaks.measured_peak_flops_per_s(self._device, execution.precision, self._num_threads)


def random_images(input_shape: tuple[int, int, int], num_classes: int) -> TrainingData:
    """Training data of the given shape that shows nothing; the same each time."""
    stream = np.random.default_rng(0)
    num_images = min(NUM_IMAGES, max(LEAST_IMAGES, MAX_BYTES // math.prod(input_shape)))
    images = stream.integers(0, 256, size=(num_images, *input_shape), dtype=np.uint8)
    labels = stream.integers(0, num_classes, size=num_images, dtype=np.int64)
    channels = input_shape[0]
    return TrainingData(
        num_classes=num_classes,
        mean_C=(0.5,) * channels,
        std_C=(0.25,) * channels,
        train=LabelledImages(images, labels),
        validation=LabelledImages(images[:1], labels[:1]),
    )


def random_teacher(data: DeviceData) -> StoredOutputs:
    """Logits on the random training images that teach nothing; the same each time."""
    stream = generator(0, "profile_logits")
    logits_NC = torch.randn(len(data.images[Split.TRAIN]), data.num_classes, generator=stream)
    return StoredOutputs({Split.TRAIN: logits_NC.to(data.device)})


def profiled_run(
    model: ModelConfig, batch_size: int, data: DeviceData, teacher: StoredOutputs, execution: Execution | None
) -> DistillationRun:
    """A student as it is trained to be measured: by kd, without an end."""
    training = TrainingConfig(epochs=1_000_000, batch_size=batch_size)
    student = StudentConfig(model=model, loss=LossConfig(name="kd"), training=training)
    return student_run(student, data, teacher, measured=execution)


def describe_device(
    input_shape: tuple[int, int, int],
    num_classes: int,
    settings: ProfileSettings,
    num_threads: int,
    trainings: StudentTrainings,
) -> DeviceFacts:
    """The facts of the device that this task holds.

    Raises:
        ValueError: it has not the precision that the students ask for.
    """
    return DeviceProfiler(input_shape, num_classes, settings, num_threads, trainings).facts()


def profile_architectures(
    models: Sequence[ModelConfig],
    training_batch_sizes: Sequence[int],
    input_shape: tuple[int, int, int],
    num_classes: int,
    settings: ProfileSettings,
    num_threads: int,
    trainings: StudentTrainings,
    reference_ms: float | None,
) -> Iterator[ArchitectureProfile]:
    """Each architecture's profile as soon as it is measured, corrected to the reference's speed of an earlier time."""
    profiler = DeviceProfiler(input_shape, num_classes, settings, num_threads, trainings, reference_ms)
    yield from profiler.profiles(models, training_batch_sizes)


def stepper(run: DistillationRun, batch_size: int, num_images: int, device: torch.device) -> Callable[[], int]:
    """One optimiser step a call, on random batches, over and over."""
    stream = generator(0, "profile_batches")
    batches = itertools.cycle(
        [torch.randint(num_images, (batch_size,), generator=stream).to(device) for _ in range(NUM_BATCHES)]
    )

    def step() -> int:
        run.train_step(next(batches))
        return batch_size

    return step
