"""Which sampler a trial is asked from: seeded for it, told what is due, and what is known beforehand."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from optuna.samplers import BaseSampler

from analysis.curves import RecordedTrial
from search_spaces.space import SearchSpace, student_of
from study.config import StudyConfig
from study.search.constraints import IsolatedMetrics, parse_constraints
from study.search.evidence import evidence_trials
from study.search.samplers import SamplingContext, proposals
from study.search.shares import balanced_values, due, method_shares
from trainables.metrics import Source, metric
from trainables.randomness import derive_seed


@final
class Asking:
    """Of one study; with the same records, and another study's `evidence`, it gives a sampler that asks the same."""

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
        self._proposals = proposals(
            SamplingContext(
                config.search,
                config.seed,
                space.suggest,
                self._known_objectives(),
                objectives=config.objectives,
                constraints=parse_constraints(config.search.constraints),
                metric_of=self._metric_of,
                evidence=evidence_trials(evidence, space, [metric(name) for name in config.objectives], isolated),
            )
        )

    def sampler(
        self,
        number: int,
        asked: Sequence[Mapping[str, Any]],
        in_vain: Sequence[Mapping[str, Any]],
        *,
        is_enqueued: bool,
    ) -> BaseSampler:
        """For the trial of this number, after those whose parameters are given: that count, and that do not."""
        fixed = {} if is_enqueued else due(self._shares, self._balanced, asked, in_vain)
        return self._proposals(derive_seed(self._config.seed, "ask", number), fixed)

    def _known_objectives(self) -> dict[int, Callable[[Mapping[str, Any]], float]]:
        """By index, each objective that the profile tells before a student is trained."""
        isolated = [
            index for index, name in enumerate(self._config.objectives) if metric(name).source is Source.ISOLATED
        ]
        return {index: functools.partial(self._metric_of, name=self._config.objectives[index]) for index in isolated}

    def _metric_of(self, parameters: Mapping[str, Any], name: str) -> float:
        """An isolated metric of the student that has these parameters; NaN where it is unknown."""
        value = self._isolated(student_of(self._space, parameters)).get(name)
        return math.nan if value is None else value
