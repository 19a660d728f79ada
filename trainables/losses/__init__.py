"""Methods of teaching a student: one file and one line here each; users name their own as "package.module:object"."""

from trainables.config import LossConfig
from trainables.losses.distillation_loss import DistillationLoss, LossContext
from trainables.registry import construct

LOSSES = {
    "labels": "trainables.losses.labels:labels",
    "kd": "trainables.losses.hinton_kd:kd",
}


def build(settings: LossConfig, context: LossContext) -> DistillationLoss:
    """Build the loss that `settings` name, its options checked.

    Raises:
        ValueError: no such loss, an option it does not take, or a value that is not allowed; the message names it.
    """
    loss = construct("loss", LOSSES, settings, context)
    if not isinstance(loss, DistillationLoss):
        raise ValueError(f'loss "{settings.name}" built a {type(loss).__name__}: it must build a DistillationLoss')
    return loss
