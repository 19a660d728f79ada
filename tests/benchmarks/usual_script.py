"""The peer of our training loop: distillation as the usual script does it, with torchvision and a DataLoader."""

# Shapes: N batch, C classes, H height, W width.

import itertools
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from trainables.data.idx import decompress
from trainables.data.mnist import SHA256

TEMPERATURE = 4.0
ALPHA = 0.9


def write_mnist(root: Path) -> None:
    """Lay the package's MNIST files out as `torchvision.datasets.MNIST(root)` expects them."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in SHA256:
        packed = (resources.files("trainables.data") / "mnist_files" / name).read_bytes()
        (raw / name.removesuffix(".gz")).write_bytes(decompress(packed, name))


@final
class UsualScript:
    """Images decoded and normalised one by one, the teacher run on every batch, contiguous tensors, plain AdamW."""

    def __init__(self, student: nn.Module, teacher: nn.Module, root: Path, *, batch_size: int) -> None:
        transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
        images = datasets.MNIST(str(root), train=True, transform=transform)
        self._loader = DataLoader(images, batch_size=batch_size, shuffle=True, num_workers=0)
        self._batches = self._endless()
        self._student = student.train()
        self._teacher = teacher.eval()
        self._soft = nn.KLDivLoss(reduction="batchmean")
        self._hard = nn.CrossEntropyLoss()
        self._optimizer = torch.optim.AdamW(student.parameters())

    def train(self, num_batches: int) -> int:
        """Train on so many batches; returns the number of images in them."""
        num_images = 0
        for images_NCHW, labels_N in itertools.islice(self._batches, num_batches):
            with torch.no_grad():
                teacher_NC = self._teacher(images_NCHW)
            student_NC = self._student(images_NCHW)
            soft = self._soft(
                F.log_softmax(student_NC / TEMPERATURE, dim=1), F.softmax(teacher_NC / TEMPERATURE, dim=1)
            )
            loss = ALPHA * TEMPERATURE**2 * soft + (1 - ALPHA) * self._hard(student_NC, labels_N)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            num_images += len(images_NCHW)
        return num_images

    def _endless(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from self._loader
