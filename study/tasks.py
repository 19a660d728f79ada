"""Functions as Ray tasks: given so much of a node, waited for, and begun again where a process or its node died."""

from collections.abc import Callable, Iterator
from typing import Any

import ray

from study.errors import StageFailedError

MAX_RESTARTS = 3  # of a task; of one that streams, in a row without an item
DIED = (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError)


def task(
    function: Callable[..., Any],
    *,
    cpus: float,
    gpus: float,
    streams: bool = False,
    num_retries: int = MAX_RESTARTS,
    placement: object = None,
) -> Any:
    """The function as a Ray task that takes so much of a node; call its `remote`, or give it to `streamed`.

    The share stands in the decorator and not in `.options`: only then does Ray end a GPU's worker with its task, and
    with it a CUDA context that would stay beside the trials, or on the wrong board.
    """
    options: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": num_retries}
    if streams:
        options |= {"num_returns": "streaming", "max_retries": 0}
    if placement is not None:
        options["scheduling_strategy"] = placement
    return ray.remote(**options)(function)


def streamed(function: Any, *arguments: object) -> Iterator[Any]:
    """What a streaming task yields, as soon as it yields it; begun again where its process or node died.

    Ray does not retry it: it would take the second process to yield the items of the first once more, and hand out none
    of as many as it has handed out. Of a task that goes on from a checkpoint those are the new ones, its result among
    them. Here all are handed out, and what is not resumed comes a second time.

    Args:
        function: made by `task` with `streams`.
        arguments: of each call.

    Raises:
        StageFailedError: the task ended with an exception, or died too often in a row without an item.
    """
    num_in_vain = 0
    while True:
        try:
            for reference in function.remote(*arguments):
                yield result_of(reference)
                num_in_vain = 0
        except DIED as error:
            num_in_vain += 1
            if num_in_vain > MAX_RESTARTS:
                words = " ".join(str(error).split())[:300]
                times = f"{num_in_vain} times in a row"
                raise StageFailedError(
                    f"its process ended {times}, at last: {type(error).__name__}: {words}"
                ) from error
        else:
            return


def result_of(reference: "ray.ObjectRef[Any]") -> Any:
    """A task's result.

    Raises:
        StageFailedError: the task ended with an exception, which is given as the cause.
    """
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise StageFailedError(f"{type(error.cause).__name__}: {error.cause}") from error
