"""The peer of our training loop: torchdistill's own, in an environment of its own; prints how fast it was, as JSON.

Its DistillationBox, losses, hooks and data loader, set up as its configurations for CIFAR-100 set them up, and driven
as its example drives them, less the logging. Of its own accord the teacher would stay in training mode (1.1.5).
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, RandomSampler
from torchdistill.core.distillation import (  # type: ignore[import-not-found]
    DistillationBox,
    get_distillation_box,
)
from torchvision import transforms

from tests.benchmarks import wide_resnet_pair as pair
from trainables.teacher_outputs import Split

NUM_WARM_UP_STEPS = 3
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Measured:
    """`first_loss`: of the first batch, un-augmented, before any step, to see that both sides compute the same."""

    images_per_s: float
    images_per_cpu_s: float  # of this process, its threads and not its workers
    first_loss: float


@final
class Pictures(Dataset[tuple[Tensor, int]]):
    """A picture at a time, as torchvision holds CIFAR's and torchdistill's configurations transform them."""

    def __init__(self) -> None:
        source = pair.images()
        self._pixels_NHWC = np.ascontiguousarray(source.images_NCHW.transpose(0, 2, 3, 1))
        self._labels = source.labels_N.tolist()
        self._transform = transforms.Compose(
            [
                transforms.RandomCrop(pair.INPUT_SHAPE[-1], padding=4),
                transforms.RandomHorizontalFlip(p=0.5),
                transforms.ToTensor(),
                transforms.Normalize(pair.MEAN_C, pair.STD_C),
            ]
        )

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._pixels_NHWC[index])), self._labels[index]


def box(method: str, *, num_steps: int, num_workers: int) -> DistillationBox:
    """All batches are of one epoch: the workers are started once, and have work until the end."""
    teacher, student = pair.teacher_network(), pair.student_network()
    hooks, terms = TERMS[method]
    sampler = {"num_samples": pair.BATCH_SIZE * (NUM_WARM_UP_STEPS + num_steps + 2 * num_workers)}
    config = {
        "num_epochs": 1,
        "train_data_loader": {
            "dataset_id": "train",
            "sampler": {"class_or_func": RandomSampler, "kwargs": sampler},
            "kwargs": {"batch_size": pair.BATCH_SIZE, "num_workers": num_workers, "drop_last": False},
        },
        "teacher": {
            "forward_proc": "forward_batch_only",
            "forward_hook": {"input": [], "output": hooks["teacher"]},
            "requires_grad": False,
        },
        "student": {
            "forward_proc": "forward_batch_only",
            "forward_hook": {"input": [], "output": hooks["student"]},
            "requires_grad": True,
            **({"auxiliary_model_wrapper": CONNECTOR} if method == "hint" else {}),
        },
        "optimizer": {
            "key": "SGD",
            "kwargs": {
                "lr": pair.LEARNING_RATE,
                "momentum": pair.MOMENTUM,
                "weight_decay": pair.WEIGHT_DECAY,
                "nesterov": True,
            },
        },
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": terms}},
    }
    built = get_distillation_box(teacher, student, {"train": Pictures()}, config, CPU, None, False, 1)
    if method == "hint":
        ours: Any = pair.our_run(method).state_dict()["loss"]
        regressor = {name.rpartition(".")[2]: each for name, each in ours.items()}
        built.student_model.connector_dict["hint"][0].load_state_dict(regressor)
    return built


def _simple(criterion: str, weight: float, **wrapped: object) -> dict[str, object]:
    wrapper = {"key": "SimpleLossWrapper", "kwargs": wrapped}
    return {"criterion": {"key": criterion, "kwargs": {}}, "criterion_wrapper": wrapper, "weight": weight}


def _feature(path: str, **more: object) -> dict[str, object]:
    return {"io": "output", **more, ("module_path" if more else "path"): path}


CONNECTOR = {
    "key": "Connector4DAB",  # its wrapper for a convolution on a student's layer
    "kwargs": {
        "connectors": {
            "hint": {
                "io": "output",
                "path": "student_model.stage2",
                "conv2d_kwargs": {"in_channels": 64, "out_channels": 64, "kernel_size": 1},
            }
        }
    },
}
STAGES = ["stage1", "stage2", "stage3"]
LABELS = _simple("CrossEntropyLoss", 1.0, input=_feature(".", is_from_teacher=False), target={"uses_label": True})
LOGITS = {
    f"{who}_module_{what}": value for who in ("student", "teacher") for what, value in (("path", "."), ("io", "output"))
}
# By method, the layers that are read, and the terms of the loss. Its alpha weighs the labels; its MSE has no half.
TERMS: dict[str, tuple[dict[str, list[str]], dict[str, object]]] = {
    "kd": (
        {"teacher": [], "student": []},
        {"kd": {"criterion": {"key": "KDLoss", "kwargs": {**LOGITS, "temperature": 4.0, "alpha": 0.1}}, "weight": 1.0}},
    ),
    "attention": (
        {"teacher": STAGES, "student": STAGES},
        {
            "labels": LABELS,
            "at": {
                "criterion": {
                    "key": "ATLoss",
                    "kwargs": {
                        "mode": "code",
                        "at_pairs": {
                            stage: {"teacher": _feature(stage), "student": _feature(stage), "weight": 1}
                            for stage in STAGES
                        },
                    },
                },
                "weight": 1000.0,
            },
        },
    ),
    "hint": (
        {"teacher": ["stage2"], "student": ["student_model.stage2", "connector_dict.hint"]},
        {
            "labels": LABELS,
            "hint": _simple(
                "MSELoss",
                50.0,
                input=_feature("connector_dict.hint", is_from_teacher=False),
                target=_feature("stage2", is_from_teacher=True),
            ),
        },
    ),
}


def measure(method: str, *, num_steps: int, num_workers: int) -> Measured:
    """The loop of its example, `train_one_epoch`, after some steps that are not timed."""
    trained = box(method, num_steps=num_steps, num_workers=num_workers)
    trained.pre_epoch_process(epoch=0)
    source, indices_N = pair.our_data().images[Split.TRAIN], torch.arange(pair.BATCH_SIZE)
    first = trained.forward_process(source.normalized(indices_N).contiguous(), source.labels_N[indices_N])
    batches = iter(trained.train_data_loader)
    _train(trained, itertools.islice(batches, NUM_WARM_UP_STEPS))
    started, cpu_started = time.perf_counter(), time.process_time()
    num_images = _train(trained, itertools.islice(batches, num_steps))
    took_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    return Measured(num_images / took_s, num_images / cpu_s, first.item())


def _train(trained: DistillationBox, batches: Iterator[Any]) -> int:
    num_images = 0
    for images_NCHW, labels_N, supplement in batches:
        loss = trained.forward_process(images_NCHW.to(CPU), labels_N.to(CPU), supplement)
        trained.post_forward_process(loss=loss)
        num_images += len(images_NCHW)
    return num_images


def main() -> None:
    """One measurement."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.torchdistill_peer", description=__doc__)
    parser.add_argument("method", choices=pair.METHODS)
    parser.add_argument("--num-threads", type=int, default=1, help="torch's")
    parser.add_argument("--num-workers", type=int, default=0, help="the data loader's")
    parser.add_argument("--num-steps", type=int, default=8, help="that are timed")
    given = parser.parse_args()
    torch.set_num_threads(given.num_threads)
    measured = measure(given.method, num_steps=given.num_steps, num_workers=given.num_workers)
    sys.stdout.write(json.dumps(asdict(measured)) + "\n")


if __name__ == "__main__":
    main()
