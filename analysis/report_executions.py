"""The report's words on how training was computed: in which ways it was tried, which was taken, and what failed."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median

from analysis.wording import count, listed, significant
from trainables.config import Execution
from trainables.measurements import DeviceFacts, TrainingMeasurement

_PRODUCTS = {True: " by TF32", False: ""}
_ORDERS = {"channels_last": "channels last", "contiguous": "channels first"}
_COMPILED = {"default": "compiled", "cuda_graphs": "compiled and replayed as CUDA graphs"}


def execution_words(trainings: Sequence[TrainingMeasurement], device: DeviceFacts) -> list[str]:
    """Nothing where there was one way, and it is that of the device.

    Args:
        trainings: of the students' networks.
        device: on which all was measured.
    """
    tried = [each for each in trainings if each.tried]
    if tried:
        return [_taken_words(tried), *_other_words(tried), *_failure_words(tried)]
    others = {each.execution.precision for each in trainings if each.execution is not None} - {device.precision}
    how = ", by autocast" if "bfloat16" in others else ""
    return [f"Training was in {listed(sorted(others))}{how}: its MFU is over that peak."] if others else []


def execution_text(execution: Execution) -> str:
    """A way of computing in words: "float32 by TF32, channels last, compiled"."""
    precision = execution.precision + (_PRODUCTS[execution.tf32] if execution.precision == "float32" else "")
    parts = [precision, _ORDERS[execution.memory_format]]
    parts += [] if execution.optimizer == "fused" else ["the optimiser operation by operation"]
    return ", ".join([*parts, *([] if execution.compile == "none" else [_COMPILED[execution.compile]])])


def _taken_words(tried: Sequence[TrainingMeasurement]) -> str:
    taken = Counter(execution_text(each.execution) for each in tried if each.execution is not None)
    told = [f"{name} ({number:,} of {len(tried):,})" for name, number in taken.most_common()]
    return (
        "How a training step is computed was tried on the device, for each network and batch size by itself, and the "
        "way in which the shortest training of the study would end first was taken, compiling counted: "
        f"{listed(told)}. Every trial and every verification is computed so; the MFU is over the peak of that "
        "precision. Students whose layers are read while they train are not compiled."
    )


def _other_words(tried: Sequence[TrainingMeasurement]) -> list[str]:
    """How fast each way was against the first, which is how it is done untried."""
    first = tried[0].tried[0].execution
    ratios: dict[str, list[float]] = defaultdict(list)
    for training in tried:
        usual, *others = training.tried
        for each in others:
            if usual.images_per_s and each.images_per_s:
                ratios[execution_text(each.execution)].append(each.images_per_s / usual.images_per_s)
    told = [
        f"{name} {significant(median(values))} times in {count(len(values), 'case')}" for name, values in ratios.items()
    ]
    if not told:
        return []
    return [f"Against {execution_text(first)}, the median speed once it runs was: {listed(told)}."]


def _failure_words(tried: Sequence[TrainingMeasurement]) -> list[str]:
    failures = Counter(
        f"{execution_text(each.execution)} ({each.failure})"
        for training in tried
        for each in training.tried
        if each.images_per_s is None
    )
    if not failures:
        return []
    told = [f"{name} in {count(number, 'case')}" for name, number in failures.most_common()]
    return [f"What failed when it was tried was not taken: {'; '.join(told)}."]
