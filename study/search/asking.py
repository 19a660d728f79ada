"""Which sampler a trial is asked from: seeded for it, told what is due, and what is known beforehand."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from optuna.samplers import BaseSampler

from analysis.curves import RecordedTrial
from search_spaces.space import SearchSpace, student_of
from study.config import StudyConfig
from study.search.constraints import IsolatedMetrics
from study.search.evidence import evidence_trials
from study.search.samplers import SamplingContext, proposals, random
from study.search.shares import balanced_values, due, method_shares
from study.search.tally import Tally
from trainables.metrics import Source
from trainables.randomness import derive_seed

MAX_IN_VAIN = 5  # asks in a row


@final
class Asking:
    """Of one study; told of the same trials, and another study's `evidence`, it gives a sampler that asks the same."""

    def __init__(
        self,
        config: StudyConfig,
        space: SearchSpace,
        isolated: IsolatedMetrics,
        evidence: Sequence[RecordedTrial] = (),
    ) -> None:
        self._config = config
        self._space = space
        self._isolated = isolated
        # A grid gives each method as many trials as it has students, unless told.
        has_shares = config.search.sampler != "grid" or config.search.trials_per_method is not None
        self._shares = method_shares(config.search, space) if has_shares else {}
        self._balanced = balanced_values(config.search, space)
        self.asked = Tally(tuple(self._balanced))
        context = SamplingContext(
            config.search,
            config.seed,
            space.suggest,
            self._known_objectives(),
            objectives=config.objectives,
            constraints=config.constraints,
            metric_of=self._metric_of,
            evidence=evidence_trials(evidence, space, config.objective_metrics, isolated),
        )
        self._proposals, self._chance = proposals(context), random(context)

    def sampler(self, number: int, *, is_enqueued: bool) -> BaseSampler:
        """For the trial of this number, after those that `asked` was told of.

        A sampler that goes on asking what it has asked before is not asked again and again: after a row of asks that
        gave nothing to train the next one is left to chance, so that it does not end the search of a finite space in
        which others have not been tried.
        """
        fixed: Mapping[str, object] = {}
        if not is_enqueued:
            fixed = due(self._shares, self._balanced, self.asked.counted, self.asked.in_vain)
        at_random = self.asked.num_last_in_vain >= MAX_IN_VAIN and self._config.search.sampler != "grid"
        return (self._chance if at_random else self._proposals)(derive_seed(self._config.seed, "ask", number), fixed)

    def _known_objectives(self) -> dict[int, Callable[[Mapping[str, Any]], float]]:
        """By index, each objective that the profile tells before a student is trained."""
        return {
            index: functools.partial(self._metric_of, name=each.name)
            for index, each in enumerate(self._config.objective_metrics)
            if each.source is Source.ISOLATED
        }

    def _metric_of(self, parameters: Mapping[str, Any], name: str) -> float:
        """An isolated metric of the student that has these parameters; NaN where it is unknown."""
        value = self._isolated(student_of(self._space, parameters)).get(name)
        return math.nan if value is None else value
