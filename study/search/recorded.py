"""What recorded students answer when a search asks for one: their own curve, or that of the most similar."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np

from analysis.curves import RecordedCurves, RecordedTrial
from study.search.replay import Curve
from trainables.config import StudentConfig
from trainables.metrics import Metric


@final
class RecordedAnswers:
    """Curves by parameters; one that was not recorded is answered by the most similar student that was.

    The most similar has the same text parameters and architecture where any has, and then differs least, each number
    compared on a log scale where all of its values are positive, by its range.

    Args:
        curves: as recorded.
        objectives: a trial that does not know one of them answers nothing.

    Raises:
        ValueError: no trial knows all of the objectives.
    """

    def __init__(self, curves: RecordedCurves, objectives: Sequence[Metric]) -> None:
        self.trials = [each for each in curves.trials if _knows(each, objectives)]
        if not self.trials:
            wanted = ", ".join(each.name for each in objectives)
            raise ValueError(f"{curves.name}: no recorded trial knows {wanted}")
        self.num_asked = 0
        self.num_exact = 0
        self._exact = {_key(each.parameters): each for each in self.trials}
        self._isolated = {_architecture(each.student): each.isolated for each in self.trials}
        self._curves = {each.number: _curve(each) for each in self.trials}
        self._scales = _scales(self.trials)

    def answer(self, parameters: Mapping[str, Any], student: StudentConfig) -> Curve:
        """The curve of this student."""
        self.num_asked += 1
        exact = self._exact.get(_key(parameters))
        if exact is not None:
            self.num_exact += 1
            return self._curves[exact.number]
        nearest = min(self.trials, key=lambda each: (self._distance(each, parameters, student), each.number))
        return self._curves[nearest.number]

    def isolated(self, student: StudentConfig) -> Mapping[str, float | None]:
        """What was known of such a student beforehand; nothing where no recorded one has its architecture."""
        return self._isolated.get(_architecture(student), {})

    def _distance(self, trial: RecordedTrial, parameters: Mapping[str, Any], student: StudentConfig) -> float:
        different = 0.0 if trial.student.model == student.model else 1_000.0
        for name in {*trial.parameters, *parameters}:
            mine, other = trial.parameters.get(name), parameters.get(name)
            if mine == other:
                continue
            scale = self._scales.get(name)
            if scale is None or mine is None or other is None:
                different += 100.0
            else:
                different += abs(scale(float(mine)) - scale(float(other)))
        return different


def _knows(trial: RecordedTrial, objectives: Sequence[Metric]) -> bool:
    return all(
        trial.isolated.get(each.name) is not None or all(epoch.get(each.name) is not None for epoch in trial.epochs)
        for each in objectives
    )


def _curve(trial: RecordedTrial) -> Curve:
    seconds = [(each.get("train_seconds") or 0.0) + (each.get("evaluation_seconds") or 0.0) for each in trial.epochs]
    return Curve(trial.epochs, seconds, trial.isolated)


def _key(parameters: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(parameters.items()))


def _architecture(student: StudentConfig) -> tuple[str, int]:
    return student.model.key, student.training.batch_size


def _scales(trials: Sequence[RecordedTrial]) -> dict[str, Callable[[float], float]]:
    """For each parameter that is a number, its place in the range over the trials."""
    numbers: dict[str, list[float]] = {}
    for trial in trials:
        for name, value in trial.parameters.items():
            if not isinstance(value, str | bool):
                numbers.setdefault(name, []).append(float(value))
    return {name: _scale(values) for name, values in numbers.items()}


def _scale(values: Sequence[float]) -> Callable[[float], float]:
    is_positive = min(values) > 0.0
    ends = np.log([min(values), max(values)]) if is_positive else np.array([min(values), max(values)])
    extent = float(ends[1] - ends[0]) or 1.0

    def place(value: float) -> float:
        return (float(np.log(value) if is_positive else value) - float(ends[0])) / extent

    return place
