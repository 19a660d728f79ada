"""The training loop, one for teacher and student: no Ray, no files, no printing, no clock."""

# Shapes: N batch, C classes, H height, W width.

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.config import Execution, TrainingConfig
from trainables.data.image_arrays import TrainingData
from trainables.data.transfer_set import TransferSet
from trainables.data.views import DeviceImages, EpochViews, epoch_order
from trainables.execution import ExecutedNetwork, execution_for
from trainables.logit_metrics.logit_metric import LogitMetric, values_of
from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, Need, Networks, Outputs
from trainables.models.features import FeatureTap
from trainables.optimization import bound_norms, build_optimizer, build_schedule
from trainables.randomness import derive_seed
from trainables.streams import seeded, set_stream_state, stream_state
from trainables.teacher_outputs import Batch, Split, TeacherSource

_NEEDS_OUTPUTS = frozenset({Need.TEACHER_LOGITS, Need.FEATURES})

# On a CPU 500 images at width 32 make activations above malloc's largest reuse threshold (32 MiB): each batch then maps
# and clears fresh pages, and evaluation takes 1.6 times as long, with a peak 80 MB higher.
EVALUATION_BATCH_SIZE = 250


class TrainingDivergedError(ArithmeticError):
    """The loss or a weight is no longer finite; going on, or trying again, would not mend it."""


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """What an epoch of training did, or a part of one. After it `epoch` epochs have been trained."""

    epoch: float
    train_loss: float
    num_images: int


@dataclass(frozen=True, slots=True)
class EvaluationMetrics:
    """A network against a split's labels, and against the teacher where there is one."""

    accuracy: float
    nll: float
    agreement: float | None
    own: Mapping[str, float] = field(default_factory=dict)  # metrics of logits that the study has, by declared name


@final
class DeviceData:
    """A study's images, moved to the device once and shared by every run on it."""

    def __init__(self, data: TrainingData, device: torch.device) -> None:
        self.device = device
        self.num_classes = data.num_classes
        self.input_shape = data.input_shape
        self.images = {
            Split.TRAIN: DeviceImages(data.train, mean_C=data.mean_C, std_C=data.std_C, device=device),
            Split.VALIDATION: DeviceImages(data.validation, mean_C=data.mean_C, std_C=data.std_C, device=device),
        }


@final
class DistillationRun:
    """A network on its way through its epochs.

    The weights after any epoch are a function of configuration, data and teacher alone: the initial weights, the order
    of the images, their views and dropout each come from a stream of their own, derived from the seed and the epoch.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: DistillationLoss,
        training: TrainingConfig,
        data: DeviceData,
        teacher: TeacherSource | None,
        transfer: TransferSet | None = None,
        metrics: Sequence[LogitMetric] = (),
        execution: Execution | None = None,
    ) -> None:
        if metrics and teacher is None:
            raise ValueError(
                f"metrics of logits ({', '.join(each.name for each in metrics)}) need a teacher beside them"
            )
        execution = execution or execution_for(training, data.device)
        images_a_pass, is_read = -(-training.batch_size // training.accumulate), bool(loss.taps.student)
        self._network = ExecutedNetwork(model, execution, data.device, images_a_pass=images_a_pass, is_read=is_read)
        self.model = self._network.module
        self.epoch = 0
        self._step = 0  # of the present epoch
        self._stream: Tensor | None = None  # torch's random state, where an epoch is left in the middle
        self._loss = loss.to(data.device)
        self._training = training
        self._data = data
        self._teacher = teacher
        self._metrics = tuple(metrics)
        self._asks_teacher = bool(_NEEDS_OUTPUTS & loss.needs)
        self._networks = _networks(self._network, teacher) if Need.TEACHER_NETWORK in loss.needs else None
        self._images = data.images[Split.TRAIN]
        self._members_K = torch.arange(len(self._images), device=data.device)
        self._labels_M = self._images.labels_N
        if transfer is not None:
            self._members_K = torch.as_tensor(transfer.members_K, device=data.device)
            self._labels_M = torch.as_tensor(transfer.labels_M, device=data.device)
        parameters = [*model.parameters(), *loss.parameters()]
        self._optimizer = build_optimizer(parameters, training.optimizer, form=execution.optimizer)
        self._steps_per_epoch = -(-len(self._members_K) // training.batch_size)
        self._num_steps = training.epochs * self._steps_per_epoch
        self._schedule = build_schedule(self._optimizer, training, self._num_steps)

    @property
    def is_finished(self) -> bool:
        """Whether it has had all its epochs."""
        return self.epoch >= self._training.epochs

    @property
    def num_method_parameters(self) -> int:
        """Numbers that are trained beside the network's and are no part of it: a regressor's, an embedding's."""
        return sum(parameter.numel() for parameter in self._loss.parameters())

    def run_epoch(self) -> EpochMetrics:
        """Train on every image once, or on those that the present epoch has left; see `run_until`."""
        return self.run_until(self.epoch + 1)

    def run_until(self, epochs: float) -> EpochMetrics:
        """Train within the present epoch until `epochs` have been trained in all; in its middle, by whole batches.

        What comes of it does not depend on where an epoch was left and gone on with.

        Raises:
            TrainingDivergedError: the mean loss is not finite.
            RuntimeError: it has had all its epochs.
            ValueError: so many have been trained, or more than the present epoch would have to be.
        """
        if self.is_finished:
            raise RuntimeError(f"all {self._training.epochs} epochs have been trained")
        steps = slice(self._step, math.ceil((epochs - self.epoch) * self._steps_per_epoch - 1e-6))
        if not steps.start < steps.stop <= self._steps_per_epoch:
            trained = self.epoch + self._step / self._steps_per_epoch
            raise ValueError(f"{epochs} epochs: must be above {trained:g}, at most {self.epoch + 1}, by a whole batch")
        self.model.train()
        self._loss.train()
        seed, members_K = self._training.seed, self._members_K
        order_K = members_K[epoch_order(seed, self.epoch, len(members_K)).to(self._data.device)]
        views = EpochViews.of(
            self._training.augmentation, seed, self.epoch, members_K, len(self._images), self._data.input_shape
        )
        total_loss, num_seen = torch.zeros((), device=self._data.device), 0
        with seeded(derive_seed(seed, "dropout", self.epoch), self._data.device):
            if self._stream is not None:
                set_stream_state(self._stream, self._data.device)
            for place, indices_N in enumerate(torch.split(order_K, self._training.batch_size)[steps], steps.start):
                progress = (self.epoch * self._steps_per_epoch + place) / self._num_steps
                total_loss += self.train_step(indices_N, views, progress=progress) * len(indices_N)
                num_seen += len(indices_N)
            is_whole = steps.stop == self._steps_per_epoch
            self._stream = None if is_whole else stream_state(self._data.device)
        train_loss = total_loss.item() / num_seen
        if not torch.isfinite(total_loss):
            raise TrainingDivergedError(f"the training loss of epoch {self.epoch + 1} is {train_loss}")
        self.epoch, self._step = (self.epoch + 1, 0) if is_whole else (self.epoch, steps.stop)
        return EpochMetrics(epoch=float(epochs), train_loss=train_loss, num_images=num_seen)

    def train_step(self, indices_N: Tensor, views: EpochViews | None = None, *, progress: float = 0.0) -> Tensor:
        """One optimiser step on the training images `indices_N`; returns the batch's loss, detached.

        In as many parts as `accumulate` says, one after another, their gradients weighed by their images: of a loss
        that is a mean over the images, the step of the whole batch. But batch normalisation sees the part alone, in
        its statistics as in those that it keeps, and dropout draws part by part: there the step is another.

        Args:
            indices_N: on the device.
            views: how the epoch shows them; None: as they are.
            progress: share of the training that is done.
        """
        self._optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self._data.device)
        with self._network.arithmetic():
            for part_N in torch.tensor_split(indices_N, min(self._training.accumulate, len(indices_N))):
                loss = self._loss_of(part_N, views, progress) * (len(part_N) / len(indices_N))
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
        self._optimizer.step()
        self._schedule.step()
        if self._training.optimizer.max_norm is not None:
            bound_norms(self.model, self._training.optimizer.max_norm)
        return total

    def _loss_of(self, indices_N: Tensor, views: EpochViews | None, progress: float) -> Tensor:
        images_NCHW, labels_N = self._images.viewed(indices_N, views), self._labels_M.index_select(0, indices_N)
        batch = Batch(Split.TRAIN, indices_N, images_NCHW, labels_N, None if views is None else views.number)
        teacher = self._teacher.outputs(batch) if self._asks_teacher and self._teacher is not None else None
        with FeatureTap(self.model, self._loss.taps.student) as tap:
            student = Outputs(self._network.in_training(images_NCHW), tap.take())
        loss: Tensor = self._loss(
            DistillationStep(
                student, teacher, labels_N, indices_N, images_NCHW, networks=self._networks, progress=progress
            )
        )
        return loss

    @torch.inference_mode()
    def evaluate(self, split: Split) -> EvaluationMetrics:
        """Measure the network on all images of `split`, un-augmented, in evaluation mode.

        Raises:
            TrainingDivergedError: a logit is not finite.
            LogitMetricError: a metric of logits could not be computed.
        """
        self.model.eval()
        images = self._data.images[split]
        kept = list[tuple[Tensor, Tensor]]()  # logits of student and teacher, where a metric wants them all
        num_correct, num_agreeing, total_nll = 0, 0, 0.0
        for start in range(0, len(images), EVALUATION_BATCH_SIZE):
            indices_N = torch.arange(start, min(start + EVALUATION_BATCH_SIZE, len(images)), device=self._data.device)
            labels_N = images.labels_N.index_select(0, indices_N)
            batch = Batch(split, indices_N, images.normalized(indices_N), labels_N)
            logits_NC = self.logits(batch.images_NCHW)
            total_nll += F.cross_entropy(logits_NC, labels_N, reduction="sum").item()
            predictions_N = logits_NC.argmax(dim=1)
            num_correct += int((predictions_N == labels_N).sum())
            if self._teacher is not None:
                teacher_NC = self._teacher.outputs(batch).logits_NC
                num_agreeing += int((predictions_N == teacher_NC.argmax(dim=1)).sum())
                if self._metrics:
                    kept.append((logits_NC, teacher_NC))
        if not torch.isfinite(torch.tensor(total_nll)):
            raise TrainingDivergedError(f"the {split} negative log-likelihood after epoch {self.epoch} is {total_nll}")
        return EvaluationMetrics(
            accuracy=num_correct / len(images),
            nll=total_nll / len(images),
            agreement=None if self._teacher is None else num_agreeing / len(images),
            own=self._own_metrics(kept, images.labels_N),
        )

    def _own_metrics(self, kept: Sequence[tuple[Tensor, Tensor]], labels_N: Tensor) -> dict[str, float]:
        if not self._metrics:
            return {}
        logits_NC, teacher_NC = (torch.cat(each) for each in zip(*kept, strict=True))
        return values_of(self._metrics, logits_NC, labels_N, teacher_NC)

    @torch.inference_mode()
    def logits(self, images_NCHW: Tensor) -> Tensor:
        """Float32 logits (N, C) of normalised images, in the network's present mode and the run's precision."""
        return self._network(images_NCHW).float()

    def all_logits(self, split: Split) -> Tensor:
        """Float32 logits (images, C) of every un-augmented image of `split`, on the CPU, in evaluation mode."""
        return self.logits_of(self._data.images[split])

    @torch.inference_mode()
    def logits_of(self, images: DeviceImages) -> Tensor:
        """Float32 logits (images, C) of images on the run's device, un-augmented, on the CPU, in evaluation mode."""
        self.model.eval()
        indices = torch.arange(len(images), device=images.device)
        parts = [self.logits(images.normalized(part_N)).cpu() for part_N in torch.split(indices, EVALUATION_BATCH_SIZE)]
        return torch.cat(parts)

    def state_dict(self) -> dict[str, object]:
        """All that the rest of the run depends on: tensors, numbers and text only."""
        return {
            "epoch": self.epoch,
            "step": self._step,
            "stream": self._stream,
            "model": self.model.state_dict(),
            "loss": self._loss.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on where `state_dict` was taken; the bits that follow are those of an uninterrupted run."""
        for name in ("epoch", "step"):
            if not isinstance(state[name], int):
                raise TypeError(f"{name} in the state is {state[name]!r}: it must be a whole number")
        self.epoch, self._step = state["epoch"], state["step"]  # type: ignore[assignment] # just seen
        self._stream = state["stream"]  # type: ignore[assignment]
        self.model.load_state_dict(state["model"])  # type: ignore[arg-type]
        self._loss.load_state_dict(state["loss"])  # type: ignore[arg-type]
        self._optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
        self._schedule.load_state_dict(state["schedule"])  # type: ignore[arg-type]


def _networks(student: Callable[[Tensor], Tensor], teacher: TeacherSource | None) -> Networks | None:
    return None if teacher is None or teacher.network is None else Networks(student, teacher.network)
