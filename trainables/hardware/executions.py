"""Ways of computing a training step on a device: which there are to try, and which of those tried is the fastest."""

from collections.abc import Callable, Sequence

from trainables.config import Execution, Precision
from trainables.measurements import TriedExecution

# What is computed without trying is left only for so much less time: less is noise of a short window.
MARGIN = 0.05
# A compilation takes 10 s to a minute: a training that is over before is not worth trying one for.
LEAST_COMPILED_S = 60.0


def tried_executions(
    first: Sequence[Execution],
    num_images: int,
    measure: Callable[[Execution], TriedExecution],
    *,
    may_compile: bool,
) -> tuple[Execution, tuple[TriedExecution, ...]]:
    """Try what there is to try; the only one there is is taken without.

    Args:
        first: from `untried_executions`.
        num_images: that the shortest training shows.
        measure: takes a short time, and may fail in any way.
        may_compile: whether compiling is allowed.

    Returns:
        The one to take, and all that were tried.
    """
    if len(first) == 1:
        return first[0], ()
    tried = [_tried(each, measure) for each in first]
    others = further_executions(fastest(tried, num_images), num_images, may_compile=may_compile)
    tried += [_tried(each, measure) for each in others]
    best = fastest(tried, num_images)
    return (first[0] if best is None else best.execution), tuple(tried)


def _tried(execution: Execution, measure: Callable[[Execution], TriedExecution]) -> TriedExecution:
    try:
        return measure(execution)
    except Exception as error:  # noqa: BLE001 - compilers, drivers and memory fail in ways of their own
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        return TriedExecution(execution=execution, images_per_s=None, failure=f"{type(error).__name__}: {reason}")


def untried_executions(kind: str, precisions: Sequence[Precision], *, tf32: bool) -> tuple[Execution, ...]:
    """Those to try first; the first of them is how it is done where nothing is tried.

    On a CPU there is no more than that: compiled is slower there, and what a seed gives must not hang on a clock.

    Args:
        kind: of the device, "cpu" or "cuda".
        precisions: that are allowed, the one to prefer first.
        tf32: whether products in float32 may be of TF32.
    """
    first = Execution(precision=precisions[0], tf32=tf32)
    if kind != "cuda":
        return (first,)
    orders = ("channels_last", "contiguous")
    return tuple(Execution(precision=each, memory_format=order, tf32=tf32) for each in precisions for order in orders)


def further_executions(best: TriedExecution | None, num_images: int, *, may_compile: bool) -> tuple[Execution, ...]:
    """Those to try after the others: the best of them with its optimiser otherwise, and compiled.

    Args:
        best: of the first; None: there is none.
        num_images: that a training shows.
        may_compile: whether compiling is allowed.
    """
    if best is None or best.images_per_s is None:
        return ()
    others = [best.execution.model_copy(update={"optimizer": "foreach"})]
    if may_compile and num_images / best.images_per_s >= LEAST_COMPILED_S:
        others += [best.execution.model_copy(update={"compile": each}) for each in ("default", "cuda_graphs")]
    return tuple(others)


def fastest(tried: Sequence[TriedExecution], num_images: int) -> TriedExecution | None:
    """The one in which a training of so many images ends first, what it takes to start counted.

    The first one that ran, which is preferred, is left only where another saves `MARGIN` of its time.

    Returns:
        None: all have failed.
    """
    times = [(each, time) for each in tried if (time := training_s(each, num_images)) is not None]
    if not times:
        return None
    best, least = min(times, key=lambda pair: pair[1])
    first, usual = times[0]
    return best if least < (1.0 - MARGIN) * usual else first


def training_s(tried: TriedExecution, num_images: int) -> float | None:
    """Seconds until so many images have been trained on; None: it failed."""
    return None if tried.images_per_s is None else tried.start_s + num_images / tried.images_per_s
