"""What all trials of a search share, in Ray's object store, named by a text that fits into a trial's assignment."""

import base64
from collections.abc import Sequence
from typing import Any

import ray
from ray import cloudpickle


def share(*objects: object) -> str:
    """Put the objects into the store, for as long as this driver lives.

    Tune's own way, `tune.with_parameters`, makes a class of its own for them, which Tune then reads anew, two times for
    each trial: a tenth of all that a driver did for one.
    """
    references = [ray.put(each) for each in objects]
    return base64.b64encode(cloudpickle.dumps(references)).decode("ascii")  # type: ignore[no-untyped-call] # as Ray has it


def shared(name: str) -> Sequence[Any]:
    """The objects that `share` has given this name to; large arrays are not copied, and may not be written to."""
    references: list[ray.ObjectRef[Any]] = cloudpickle.loads(base64.b64decode(name))
    return ray.get(references)
