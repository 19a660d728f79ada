"""The surrogates of unknown objectives and constraints: when their hyperparameters are chosen, and from what."""

# Shapes: N trials that told something, M objectives, K unknown constraints.

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from study.search.encoding import Encoder
from study.search.history import History
from study.search.projection import MIN_COMPLETE, projected_ends
from study.search.surrogate import Surrogate

Array = NDArray[np.float64]

REFIT_GROWTH = 1.2  # hyperparameters are chosen anew whenever so many times as many trials have ended
MAX_FITTED = 300


@final
class Models:
    """Surrogates, kept from one ask to the next.

    Their hyperparameters are chosen whenever the trials that have ended have become a fifth more, from those that ended
    first, with the projections that these alone allow: so that they, and what is asked, do not depend on when this
    process began. Of more than 300 such trials, 300 are taken, evenly along the order.

    Args:
        is_additive: whether the surrogates of objectives are; it pays where a cost has to be learned.
    """

    def __init__(self, *, is_additive: bool = False) -> None:
        self._is_additive = is_additive
        self._fitted_to: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        self.objectives: dict[int, Surrogate] = {}
        self.constraints: dict[int, Surrogate] = {}

    def update(self, history: History, encoder: Encoder, unknown: Sequence[int]) -> None:
        """Choose hyperparameters anew where it is time; of the `unknown` objectives, by index.

        An unknown constraint whose value is known of fewer than two of the trials has no model yet.
        """
        first = history.first(last_refit(history))
        due = (first.numbers, tuple(encoder.groups))
        if due == self._fitted_to:
            return
        columns = encoder.encode(first.points)
        ends_NM, _ = projected_ends(first.curves, first.ends_NM)
        objectives = {
            index: _fitted(Surrogate(encoder, is_additive=self._is_additive), columns, ends_NM[:, index])
            for index in unknown
        }
        constraints = {
            index: _fitted(Surrogate(encoder, draws_up=False), columns, margins)
            for index, margins in enumerate(first.margins_NK.T)
        }
        self.objectives = {index: each for index, each in objectives.items() if each is not None}
        self.constraints = {index: each for index, each in constraints.items() if each is not None}
        self._fitted_to = due


def _fitted(surrogate: Surrogate, columns: Array, values: Array) -> Surrogate | None:
    rows = np.flatnonzero(np.isfinite(values))
    if len(rows) < 2:
        return None
    if len(rows) > MAX_FITTED:
        rows = rows[np.linspace(0, len(rows) - 1, MAX_FITTED).round().astype(int)]
    surrogate.fit(columns[rows], values[rows])
    return surrogate


def last_refit(history: History) -> int:
    """How many trials had ended when hyperparameters were last due: not before three of them were complete."""
    num_before_model = np.flatnonzero(history.is_complete_N)[:MIN_COMPLETE]
    return max(last_turn(history.num_ended), int(num_before_model[-1]) + 1)


def last_turn(count: int) -> int:
    """The last number up to `count` of the schedule 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, ..."""
    turn = 2
    while (following := max(turn + 1, int(turn * REFIT_GROWTH))) <= count:
        turn = following
    return min(turn, count)
