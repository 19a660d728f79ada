"""The points that an ask chooses among: all of a finite space, else kept and fresh ones, and neighbours of the best."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np

from study.search.candidates import Candidate, Space, enumerate_space, neighbours, random_points
from study.search.history import History
from study.search.known_functions import KnownFunctions

MAX_ENUMERATED = 2_048
NUM_KEPT = 512
NUM_FRESH = 64
NUM_STARTS = 8
NUM_NEIGHBOURS = 8
MAX_DRAWS_PER_KEPT = 16
MAX_KEPT_SETS = 16


@final
class Supply:
    """Points that have the fixed parameters and satisfy every known constraint.

    A large or infinite space is drawn from once, and those points are weighed at every ask: to draw and cost so many
    anew each time would take longer than the model does. What they miss, fresh points and neighbours make up for.
    """

    def __init__(self, space: Space | None, constraints: KnownFunctions, seed: int) -> None:
        self._space = space
        self._constraints = constraints
        self._seed = seed
        self._enumerated = None if space is None else enumerate_space(space, at_most=MAX_ENUMERATED)
        self._kept: dict[tuple[tuple[str, Any], ...], list[Candidate]] = {}
        self._typical = [] if space is None else self._enumerated or list(random_points(space, NUM_KEPT, self._stream))

    @property
    def typical(self) -> Sequence[Candidate]:
        """Points that show which parameters the space has, whatever is fixed; none without a space."""
        return self._typical

    @property
    def is_complete(self) -> bool:
        """Whether every point of the space is supplied."""
        return self._enumerated is not None

    def points(self, history: History, fixed: Mapping[str, Any], stream: np.random.Generator) -> list[Candidate]:
        """What to choose among; nothing where there is neither a space nor a history.

        Raises:
            ValueError: none satisfies the constraints.
        """
        if self._enumerated is not None:
            return self._allowed(self._enumerated, fixed, is_refused=True)
        if self._space is None:
            return self._like_own(history, fixed, stream)
        fresh = self._allowed(list(random_points(self._space, NUM_FRESH, stream, fixed)), fixed)
        starts = history.front
        if len(starts) > NUM_STARTS:
            starts = [starts[index] for index in sorted(stream.permutation(len(starts))[:NUM_STARTS])]
        return [*self._keep(self._space, fixed), *fresh, *self.near(starts, fixed, stream)]

    def near(
        self, points: Sequence[Candidate], fixed: Mapping[str, Any], stream: np.random.Generator
    ) -> list[Candidate]:
        """Neighbours of `points`; none where every point is supplied already."""
        if self._enumerated is not None:
            return []
        found = [
            other
            for each in points
            for other in neighbours(self._space or each.distributions, each, NUM_NEIGHBOURS, stream, fixed)
        ]
        return self._allowed(found, fixed)

    @property
    def _stream(self) -> np.random.Generator:
        """Of what is drawn once; apart from the streams of the asks."""
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(0,)))

    def _keep(self, space: Space, fixed: Mapping[str, Any]) -> list[Candidate]:
        """Points with these fixed parameters, the same at every ask; few where the constraints leave few."""
        key = tuple(sorted(fixed.items()))
        if key not in self._kept:
            if len(self._kept) >= MAX_KEPT_SETS:
                self._kept.clear()
            self._kept[key] = self._draw(space, fixed)
        return self._kept[key]

    def _draw(self, space: Space, fixed: Mapping[str, Any]) -> list[Candidate]:
        stream, kept, num_agreeing = self._stream, list[Candidate](), 0
        for _ in range(MAX_DRAWS_PER_KEPT):
            drawn = list(random_points(space, NUM_KEPT, stream, fixed))
            num_agreeing += sum(_agrees(each, fixed) for each in drawn)
            kept += self._allowed(drawn, fixed)
            if len(kept) >= NUM_KEPT:
                break
        if num_agreeing and not kept:
            raise ValueError(f"none of {num_agreeing} points drawn from the space satisfies the constraints")
        return kept[:NUM_KEPT]

    def _like_own(self, history: History, fixed: Mapping[str, Any], stream: np.random.Generator) -> list[Candidate]:
        """Points with the parameters that trials of the study have had."""
        own = history.own
        if not own:
            return []
        drawn = [
            point
            for _ in range(NUM_KEPT)
            for point in random_points(own[int(stream.integers(len(own)))].distributions, 1, stream, fixed)
        ]
        return self._allowed(drawn, fixed)

    def _allowed(
        self, points: Sequence[Candidate], fixed: Mapping[str, Any], *, is_refused: bool = False
    ) -> list[Candidate]:
        agreeing = [each for each in points if _agrees(each, fixed)]
        is_kept = np.ones(len(agreeing), dtype=bool)
        for index in self._constraints.indices:
            is_kept &= self._constraints.values(index, agreeing) <= 0.0
        kept = [each for each, may in zip(agreeing, is_kept, strict=True) if may]
        if is_refused and agreeing and not kept:
            raise ValueError(f"none of the {len(agreeing)} points of the space satisfies the constraints")
        return kept


def _agrees(point: Candidate, fixed: Mapping[str, Any]) -> bool:
    return all(name in point.parameters and point.parameters[name] == value for name, value in fixed.items())
