"""Metrics of logits of a user's own, for tests: one as it should be, and one for each mistake."""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.logit_metrics.logit_metric import Compute, LogitMetric

NOT_BUILDABLE = 3


def _declared(compute: Compute, *, name: str = "mine", unit: str = "") -> LogitMetric:
    return LogitMetric(name, "my number", unit, "minimize", compute)


def brier(*, scale: float = 1.0) -> LogitMetric:
    """The Brier score (Brier 1950)."""

    def compute(logits_NC: Tensor, labels_N: Tensor, _: Tensor) -> float:
        wrong_NC = logits_NC.softmax(dim=1) - F.one_hot(labels_N, logits_NC.shape[1])
        return scale * wrong_NC.square().sum(dim=1).mean().item()

    return _declared(compute, name="brier")


def distance_to_teacher() -> LogitMetric:
    return _declared(lambda student, _, teacher: (student - teacher).square().mean().item(), name="distance")


def largest_label() -> LogitMetric:
    """Of what it is given: the order of images, and their number, do not matter to it."""
    return _declared(lambda _, labels_N, __: int(labels_N.max()), name="largest_label")


def drawing() -> LogitMetric:
    """Leaves torch's stream elsewhere, and is a function of the logits all the same."""

    def compute(logits_NC: Tensor, _: Tensor, __: Tensor) -> float:
        torch.rand(17)
        return logits_NC.abs().mean().item()

    return _declared(compute, name="drawing")


def fails_on_good_students(*, accuracy: float = 0.5) -> LogitMetric:
    """Fine on random logits; of a student that has learnt something it raises."""

    def compute(logits_NC: Tensor, labels_N: Tensor, _: Tensor) -> float:
        reached = (logits_NC.argmax(dim=1) == labels_N).double().mean().item()
        if reached > accuracy:
            raise KeyError("bin 7")
        return reached

    return _declared(compute, name="touchy")


def no_memory() -> LogitMetric:
    def compute(_: Tensor, __: Tensor, ___: Tensor) -> float:
        raise torch.OutOfMemoryError("6 GiB")

    return _declared(compute)


def raising() -> LogitMetric:
    def compute(_: Tensor, __: Tensor, ___: Tensor) -> float:
        raise IndexError("no such bin")

    return _declared(compute)


def tensor() -> LogitMetric:
    return _declared(lambda logits_NC, _, __: logits_NC.mean())  # type: ignore[arg-type, return-value] # the mistake


def nothing() -> LogitMetric:
    return _declared(lambda _, __, ___: None)  # type: ignore[arg-type, return-value] # the mistake


def truth() -> LogitMetric:
    return _declared(lambda _, __, ___: True)


def infinite() -> LogitMetric:
    return _declared(lambda _, __, ___: float("-inf"))


def not_a_number() -> LogitMetric:
    return _declared(lambda _, __, ___: float("nan"))


def percent() -> LogitMetric:
    return _declared(lambda _, __, ___: 97.5, unit="fraction")


def random() -> LogitMetric:
    return _declared(lambda _, __, ___: torch.rand(1).item())


def in_place() -> LogitMetric:
    return _declared(lambda logits_NC, _, __: logits_NC.sub_(logits_NC.mean()).square().mean().item())


def of_two() -> LogitMetric:
    return _declared(lambda logits_NC, labels_N: 0.0)  # type: ignore[arg-type, misc] # noqa: ARG005 - the mistake


def itself(logits_NC: Tensor, labels_N: Tensor, teacher_NC: Tensor) -> float:  # noqa: ARG001 - the mistake
    return 0.0


def undeclared() -> float:
    return 0.5


def broken() -> LogitMetric:
    raise RuntimeError("no bins")


def accuracy() -> LogitMetric:
    return _declared(lambda _, __, ___: 0.5, name="accuracy")


def badly_named() -> LogitMetric:
    return _declared(lambda _, __, ___: 0.5, name="My number")
