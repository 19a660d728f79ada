"""What a step of each method costs over one of Hinton's loss; the teacher's forward pass is on neither side."""

import time
from collections.abc import Sequence
from functools import cache

import pytest
import torch
from torch import Tensor

from tests.benchmarks.interleaved import compare
from tests.benchmarks.scoreboard import Scoreboard
from trainables.config import DatasetConfig, LossConfig, ModelConfig, OptionValue, StudentConfig, TrainingConfig
from trainables.data import load
from trainables.data.split import split
from trainables.hardware.device import fixed_num_threads
from trainables.losses.distillation_loss import Outputs
from trainables.run_start import student_run, teacher_run
from trainables.teacher_config import TeacherConfig
from trainables.teacher_outputs import Batch, LiveTeacher, Split, Teacher, TeacherArrays
from trainables.training import DeviceData, DistillationRun

WIDTH, BATCH_SIZE, NUM_IMAGES = 8, 64, 4_096
TEACHER = ModelConfig(name="cnn", options={"width": 32})  # that of the preset `methods`
TRAINING = TrainingConfig(epochs=1_000, batch_size=BATCH_SIZE, schedule="constant")
INDICES_N = torch.arange(BATCH_SIZE)
NUM_ROUNDS, NUM_STEPS, NUM_WARM_UP_STEPS = 21, 10, 60


class AnswersOfOneBatch:
    """A live teacher that answers for its one batch from memory, features among them, and else is run."""

    def __init__(self, live: LiveTeacher, data: DeviceData) -> None:
        images = data.images[Split.TRAIN]
        batch = Batch(Split.TRAIN, INDICES_N, images.normalized(INDICES_N), images.labels_N[INDICES_N])
        self._live = live
        self._outputs = live.outputs(batch)

    def network(self, images_NCHW: Tensor) -> Tensor:
        return self._live.network(images_NCHW)

    def outputs(self, batch: Batch) -> Outputs:
        assert torch.equal(batch.indices_N, INDICES_N)
        return self._outputs


class TeacherOfOneBatch(Teacher):
    """Gives `AnswersOfOneBatch` for a network."""

    def __init__(self, arrays: TeacherArrays, data: DeviceData) -> None:
        super().__init__(arrays, data.device, input_shape=data.input_shape, num_classes=data.num_classes)
        self._data = data

    def live(self, taps: Sequence[str]) -> AnswersOfOneBatch:  # type: ignore[override] # another source
        return AnswersOfOneBatch(super().live(taps), self._data)


@cache
def images_and_teacher() -> tuple[DeviceData, TeacherOfOneBatch]:
    """Real images, and a teacher that has seen them once: boundary samples need networks that are right."""
    data = DeviceData(split(load("mnist"), DatasetConfig(max_train_images=NUM_IMAGES)), torch.device("cpu"))
    run = teacher_run(TeacherConfig(model=TEACHER, training=TRAINING), data)
    run.run_epoch()
    weights = {name: each.numpy().copy() for name, each in run.model.state_dict().items()}
    logits = {each: run.all_logits(each).numpy() for each in Split}
    arrays = TeacherArrays(TEACHER, weights, logits[Split.TRAIN], logits[Split.VALIDATION])
    return data, TeacherOfOneBatch(arrays, data)


def warm_run(name: str, options: dict[str, OptionValue]) -> DistillationRun:
    data, teacher = images_and_teacher()
    loss = LossConfig(name=name, options=options)
    model = ModelConfig(name="cnn", options={"width": WIDTH})
    run = student_run(StudentConfig(model=model, loss=loss, training=TRAINING), data, teacher)
    run.model.train()
    step_ms(run, NUM_WARM_UP_STEPS)
    return run


def step_ms(run: DistillationRun, num_steps: int = NUM_STEPS) -> float:
    """In the middle of the training, after every warm-up and before the end of every decay; the process's own time."""
    started = time.process_time()
    for _ in range(num_steps):
        run.train_step(INDICES_N, progress=0.5)
    return 1e3 * (time.process_time() - started) / num_steps


@pytest.mark.benchmark
@pytest.mark.parametrize(
    ("name", "options", "limit"),
    [
        ("attention", {}, 1.3),
        ("similarity", {}, 1.3),
        ("dkd", {}, 1.3),
        ("dist", {}, 1.3),
        ("contrastive", {"num_negatives": 1_024}, 2.0),
        ("contrastive", {"num_negatives": 16_384}, None),
        ("boundary", {}, None),
        ("standardized", {}, None),
        ("hint", {}, None),
        ("relational", {}, None),
    ],
)
def test_step_of_a_method_costs_little_more_than_one_of_kd(
    scoreboard: Scoreboard, name: str, options: dict[str, OptionValue], limit: float | None
) -> None:
    with fixed_num_threads(1):
        ours, peer = warm_run(name, options), warm_run("kd", {})
        measured = compare(lambda: step_ms(ours), lambda: step_ms(peer), num_rounds=NUM_ROUNDS)
    told = "".join(f", {option} {value:,}" for option, value in options.items())
    what = f"a step of {name}{told} over one of kd, cnn width {WIDTH}, batch {BATCH_SIZE}, one thread"
    texts = {"ours": f"{measured.median_ours:.2f} ms", "peer": f"{measured.median_peer:.2f} ms"}
    if limit is None:
        scoreboard.shown(what, **texts, ratio=measured.median_ratio)
        return
    row = scoreboard.ratio_at_most(what, **texts, ratio=measured.median_ratio, maximum=limit)
    assert row.is_reached, row


@pytest.mark.benchmark
def test_teachers_forward_pass_is_shown_apart(scoreboard: Scoreboard) -> None:
    data, teacher = images_and_teacher()
    images_NCHW = data.images[Split.TRAIN].normalized(INDICES_N)
    network = Teacher.live(teacher, ()).network

    def forward_ms() -> float:
        started = time.process_time()
        with torch.no_grad():
            network(images_NCHW)
        return 1e3 * (time.process_time() - started)

    with fixed_num_threads(1):
        peer = warm_run("kd", {})
        measured = compare(forward_ms, lambda: step_ms(peer), num_rounds=NUM_ROUNDS)
    what = f"the forward pass of the teacher, cnn width 32, batch {BATCH_SIZE}, one thread, beside a step of kd"
    texts = {"ours": f"{measured.median_ours:.2f} ms", "peer": f"{measured.median_peer:.2f} ms"}
    scoreboard.shown(what, **texts, ratio=measured.median_ratio)
