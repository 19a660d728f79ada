"""What a metric of logits is: how it is declared, and how it is computed so that what comes of it is a number."""

# Shapes: N images, C classes.

import inspect
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.metrics import Direction, Metric
from trainables.own_metrics import metric_on_validation

Compute = Callable[[Tensor, Tensor, Tensor], float]

_MAX_NAME, _MAX_LABEL, _MAX_UNIT = 60, 80, 20
_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{_MAX_NAME - 1}}}")


class LogitMetricError(ValueError):
    """A metric of logits could not be computed; training again would not mend it."""


@dataclass(frozen=True, slots=True)
class LogitMetric:
    """A number that a network's logits are worth, computed at each evaluation of a student.

    Args:
        name: lower-case letters, digits and underscores: a trial reports it as ``validation_<name>``, a retraining that
            is read on the test images as ``test_<name>``.
        label: what tables and axes call it, without the images that it is of.
        unit: "" for a pure number; "fraction" for one in [0, 1], which is shown in percent.
        direction: "maximize" or "minimize", whichever is better.
        compute: a function of the student's logits (N, C), the labels (N,) and the teacher's logits (N, C), all of
            the same images: float32 (the labels int64), on the CPU, without gradient, and not to be changed. It returns
            a finite float, the same for the same logits.

    Raises:
        ValueError: one of them is not allowed; the message names it.
    """

    name: str
    label: str
    unit: str
    direction: Direction | str
    compute: Compute

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem is not None:
            raise ValueError(f'metric "{self.name}": {problem}')

    def _problem(self) -> str | None:
        if not isinstance(self.name, str) or _NAME.fullmatch(self.name) is None:
            return f"name = {self.name!r}: must be lower-case letters, digits and underscores, at most {_MAX_NAME}"
        for field, least, most in (("label", 1, _MAX_LABEL), ("unit", 0, _MAX_UNIT)):
            text = getattr(self, field)
            if not isinstance(text, str) or text != text.strip() or not least <= len(text) <= most:
                return f"{field} = {text!r}: must be {least} to {most} characters, without blanks around them"
        if self.direction not in list(Direction):
            return f"direction = {self.direction!r}: must be {' or '.join(map(repr, map(str, Direction)))}"
        try:
            inspect.signature(self.compute).bind(None, None, None)
        except (TypeError, ValueError) as error:
            return f"compute must take the student's logits, the labels and the teacher's logits, by position: {error}"
        return None

    @property
    def metric(self) -> Metric:
        """As trials report it."""
        return metric_on_validation(self.name, self.label, self.unit, Direction(self.direction))

    def value(self, logits_NC: Tensor, labels_N: Tensor, teacher_NC: Tensor) -> float:
        """What the logits are worth.

        Raises:
            LogitMetricError: `compute` raised, or what it returned is not a finite float, or no fraction in [0, 1]
                where it is one; the message says so.
        """
        try:
            value: object = self.compute(logits_NC, labels_N, teacher_NC)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise LogitMetricError(f'metric "{self.name}" raised {type(error).__name__}: {error}') from error
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise LogitMetricError(f'metric "{self.name}" returned a {type(value).__name__}: it must return a float')
        if not math.isfinite(value):
            raise LogitMetricError(f'metric "{self.name}" is {value}: it must be a finite number')
        if self.unit == "fraction" and not 0.0 <= value <= 1.0:
            raise LogitMetricError(f'metric "{self.name}" is {value:g}: a fraction must lie in [0, 1]')
        return float(value)


def values_of(
    metrics: Sequence[LogitMetric], logits_NC: Tensor, labels_N: Tensor, teacher_NC: Tensor
) -> dict[str, float]:
    """Each metric by its declared name.

    Raises:
        LogitMetricError: one of them could not be computed.
    """
    of_student, labels, of_teacher = (each.detach().cpu() for each in (logits_NC.float(), labels_N, teacher_NC.float()))
    return {each.name: each.value(of_student, labels, of_teacher) for each in metrics}
