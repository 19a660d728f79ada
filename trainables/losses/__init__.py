"""Methods of teaching a student: one file and one line here each; users name their own as "package.module:object"."""

from trainables.config import LossConfig
from trainables.losses.distillation_loss import DistillationLoss, LossContext
from trainables.registry import construct

LOSSES = {
    "labels": "trainables.losses.labels:labels",
    "label_smoothing": "trainables.losses.labels:label_smoothing",
    "teacher_free_kd": "trainables.losses.teacher_free_kd:teacher_free_kd",
    "kd": "trainables.losses.hinton_kd:kd",
    "standardized": "trainables.losses.standardized:standardized",
    "logit_mse": "trainables.losses.logit_mse:logit_mse",
    "dkd": "trainables.losses.dkd:dkd",
    "dist": "trainables.losses.dist:dist",
    "hint": "trainables.losses.hint:hint",
    "hint_first": "trainables.losses.hint:hint_first",
    "attention": "trainables.losses.attention:attention",
    "similarity": "trainables.losses.similarity:similarity",
    "relational": "trainables.losses.relational:relational",
    "contrastive": "trainables.losses.contrastive:contrastive",
    "boundary": "trainables.losses.boundary:boundary",
    "function_matching": "trainables.losses.function_matching:function_matching",
    "sum": "trainables.losses.weighted_sum:weighted_sum",
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
