"""What is known of a point before it is tried: functions of its parameters, each called once a point."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from study.search.candidates import Candidate

Array = NDArray[np.float64]
Known = Callable[[Mapping[str, Any]], float]

MAX_REMEMBERED = 32_768


@final
class KnownFunctions:
    """Functions of a point's parameters, each called once a point; what they give must be finite."""

    def __init__(self, what: str, functions: Mapping[int, Known]) -> None:
        """Call `functions` by their index; `what` they are is for the error message."""
        self._what = what
        self._functions = dict(functions)
        self._told: dict[tuple[int, tuple[tuple[str, Any], ...]], float] = {}

    @property
    def indices(self) -> list[int]:
        """Of the functions."""
        return sorted(self._functions)

    def values(self, index: int, points: Sequence[Candidate]) -> Array:
        """Shape (points,), in the function's own units.

        Raises:
            ValueError: a value is not a finite number; the message names the point.
        """
        return np.array([self._value(index, point) for point in points])

    def _value(self, index: int, point: Candidate) -> float:
        value = self._told.get((index, point.key))
        if value is None:
            value = float(self._functions[index](point.parameters))
            if not np.isfinite(value):
                given = ", ".join(f"{name} = {each!r}" for name, each in point.parameters.items())
                raise ValueError(f"{self._what} {index} is {value} at {given}: it must be a finite number")
            if len(self._told) >= MAX_REMEMBERED:
                self._told.clear()
            self._told[index, point.key] = value
        return value
