"""Each student's own share of a GPU, planned from what its profile measured. No Ray: functions of measurements."""

import itertools
from collections.abc import Sequence

from study.config import StudyConfig
from study.resources import UNMEASURED_SHARE
from trainables.data.image_arrays import TrainingData
from trainables.hardware.gpu_share import BYTES_PER_MIB
from trainables.measurements import CoTenancy, ProfilesRecord, Together, TrainingMeasurement

# Powers of two: shares of different students then fill a GPU without a gap, and Ray counts them without rounding.
NUM_TENANTS = (1, 2, 4, 8)
# One more doubling is worth it from so much more throughput on; less is noise of a short window.
LEAST_GAIN = 0.05
# On what was measured: fragments of the allocator, what a method adds, a smaller last batch.
MEMORY_MARGIN = 0.25
BYTES_A_NUMBER = 4


def tenants_by_speed(together: Sequence[Together]) -> int:
    """How many processes a GPU is shared by, so that each doubling still trained enough more images a second.

    Args:
        together: what so many processes trained in all, at least for one.
    """
    ordered = sorted(together, key=lambda each: each.num_processes)
    best = ordered[0]
    for fewer, more in itertools.pairwise(ordered):
        if fewer.images_per_s is None or more.images_per_s is None:
            break
        if more.images_per_s < (1.0 + LEAST_GAIN) * fewer.images_per_s:
            break
        best = more
    return best.num_processes


def tenants_by_memory(needed_mib: float, co_tenancy: CoTenancy) -> int:
    """How many processes fit on the GPU, each with its context and the margin; at least one, which may try."""
    each_mib = (1.0 + MEMORY_MARGIN) * needed_mib + co_tenancy.context_mib
    return max((number for number in NUM_TENANTS if number * each_mib <= co_tenancy.board_mib), default=1)


def planned_share(training: TrainingMeasurement, resident_mib: float) -> float:
    """The share of a GPU for a student that trains like this.

    Where it was not measured beside others, the usual share: nothing is known that speaks for another.

    Args:
        training: as measured, of one network at one batch size.
        resident_mib: that the study keeps on the GPU for each process, and the measurement did not.

    Returns:
        1, 1/2, 1/4 or 1/8.
    """
    co_tenancy, peak_mib = training.co_tenancy, training.peak_memory_mib
    if co_tenancy is None or peak_mib is None:
        return UNMEASURED_SHARE
    fitting = tenants_by_memory(peak_mib + resident_mib, co_tenancy)
    return 1.0 / min(fitting, tenants_by_speed(co_tenancy.together))


def planned_shares(profiles: ProfilesRecord, resident_mib: float) -> dict[tuple[str, int], float]:
    """The share of every student's network at every batch size, by `ModelConfig.key` and batch size."""
    return {
        (key, training.batch_size): planned_share(training, resident_mib)
        for key, profile in profiles.students.items()
        for training in profile.trainings
    }


def resident_mib(config: StudyConfig, data: TrainingData, profiles: ProfilesRecord) -> float:
    """What every trial keeps on its GPU beside its student: images, the teacher's outputs, and the teacher at work.

    The teacher is counted as it was when it was trained, which is more than it takes beside a student. Of one that was
    trained elsewhere, and so not measured in training, only the weights are known.
    """
    splits = (data.train, data.validation)
    pixels = sum(each.images_NCHW.nbytes + each.labels_N.nbytes for each in splits)
    logits = BYTES_A_NUMBER * data.num_classes * sum(len(each) for each in splits)
    weights_mib = BYTES_A_NUMBER * profiles.teacher.num_parameters / BYTES_PER_MIB
    measured = [each.peak_memory_mib for each in profiles.teacher.trainings if each.peak_memory_mib is not None]
    teacher_mib = 0.0 if config.teacher.outputs == "stored" else max(measured, default=weights_mib)
    return (pixels + logits) / BYTES_PER_MIB + teacher_mib


def share_words(shares: dict[tuple[str, int], float]) -> list[str]:
    """For people: which networks share a GPU by how many; the larger shares first."""
    by_share: dict[float, list[str]] = {}
    for (key, batch_size), share in shares.items():
        by_share.setdefault(share, []).append(f"{key} at batch {batch_size}")
    return [f"{round(1 / share)} to a GPU: {', '.join(by_share[share])}" for share in sorted(by_share, reverse=True)]
