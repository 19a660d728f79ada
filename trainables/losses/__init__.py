"""Methods of teaching a student: one file and one line here each; users name their own as "package.module:object"."""

from collections.abc import Callable
from typing import cast

from pydantic import ValidationError

from trainables.config import LossConfig
from trainables.losses.distillation_loss import DistillationLoss, LossContext
from trainables.registry import option_error, resolve

LOSSES = {
    "labels": "trainables.losses.labels:labels",
    "kd": "trainables.losses.hinton_kd:kd",
}


def build(settings: LossConfig, context: LossContext) -> DistillationLoss:
    """Build the loss that `settings` name, its options checked.

    Raises:
        ValueError: no such loss, an option it does not take, or a value that is not allowed; the message names it.
    """
    builder = cast("Callable[..., DistillationLoss]", resolve("loss", LOSSES, settings.name))
    try:
        return builder(context, **settings.options)
    except (ValidationError, TypeError) as error:
        raise option_error("loss", settings.name, settings.options, error) from error
