"""How long a trial may train without an epoch's end before it counts as hanging: asked for, or by measured speeds."""

from typing import Annotated, Literal

from pydantic import Field

from trainables.config import StudentConfig
from trainables.measurements import ProfilesRecord

# Minutes; a year of them is no limit, and more than a clock takes.
EpochLimit = Literal["measured", "none"] | Annotated[float, Field(gt=0.0, le=525_600.0)]

# An epoch under a method that costs eight steps of plain distillation is still within, on a device that is no faster
# for all its trials together than for one: who waits for a hung trial loses hours, who ends a slow one loses the study.
TIMES_MEASURED = 30.0
LEAST_S = 1_800.0  # compiling, a first look at images on a network folder, a CPU that something else takes for a while


def epoch_limit_s(
    limit: EpochLimit,
    student: StudentConfig,
    profiles: ProfilesRecord,
    *,
    num_images: int,
    num_teachers: int,
    num_sharing: int,
) -> float | None:
    """Seconds within which the student must have trained and evaluated an epoch; None: no limit.

    By measured speeds, that is its network's training of the epoch, and the teacher's forward passes beside it as if
    it were run live, times the trials that share a device, times `TIMES_MEASURED`, and half an hour at the least.

    Args:
        limit: minutes; "measured"; or "none".
        student: the trial's.
        profiles: of the study.
        num_images: that an epoch shows.
        num_teachers: networks that the teacher is made of.
        num_sharing: trials that may be on one device with it, itself among them.
    """
    if limit == "none":
        return None
    if limit != "measured":
        return 60.0 * limit
    profile = profiles.students[student.model.key]
    speed = profile.metrics(student.training.batch_size).get("train_images_per_s")
    if speed is None:
        return None
    teacher_s = min(each.p50_ms / each.batch_size for each in profiles.teacher.latencies) / 1_000.0 * num_teachers
    alone_s = num_images * student.transfer.share * (1.0 / speed + teacher_s)
    return max(LEAST_S, TIMES_MEASURED * num_sharing * alone_s)
