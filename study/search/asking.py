"""Which sampler a trial is asked from: seeded for it, told the method that is due, and what is known beforehand."""

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
from study.search.shares import method_shares
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

    def sampler(self, number: int, num_asked: Mapping[str, int], *, is_enqueued: bool) -> BaseSampler:
        """For the trial of this number, where so many have been asked of each method."""
        is_free = is_enqueued or not self._space.methods or not self._has_shares
        fixed = {} if is_free else {"method": self._due_method(num_asked)}
        return self._proposals(derive_seed(self._config.seed, "ask", number), fixed)

    @property
    def _has_shares(self) -> bool:
        """Whether each method has its share; a grid gives each as many trials as it has students, unless told."""
        return self._config.search.sampler != "grid" or self._config.search.trials_per_method is not None

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

    def _due_method(self, num_asked: Mapping[str, int]) -> str:
        """The method that is furthest behind its share."""
        shares = method_shares(self._config.search, self._space)

        def progress(method: str) -> float:
            return num_asked.get(method, 0) / shares[method] if shares[method] else math.inf

        return min(self._space.methods, key=progress)
