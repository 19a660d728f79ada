"""Early stopping in a study: trials are judged from what its storage holds, and what is decided is stored first."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np

from study.search.candidates import Candidate, trace
from study.search.constraints import IsolatedMetrics
from study.search.pareto_halving import ParetoHalving
from study.search.settings import SearchConfig
from trainables.config import StudentConfig
from trainables.metrics import Metric, Source, as_minimized
from trainables.records import RungDecision, TrialRecord, decision_attribute


@final
class EarlyStopping:
    """Pareto halving over a study's records: built anew from them, it decides as if it had never ended.

    Args:
        config: of the search.
        objectives: of the study.
        isolated: what is known of a student before it is trained.
        write: stores attributes of a trial.
        suggest: the space, which tells what a trial's parameters are drawn from.
    """

    def __init__(
        self,
        config: SearchConfig,
        objectives: Sequence[Metric],
        isolated: IsolatedMetrics,
        write: Callable[[int, Mapping[str, object]], None],
        suggest: Callable[[Any], object],
    ) -> None:
        self._config = config
        self._objectives = objectives
        self._isolated = isolated
        self._write = write
        self._suggest = suggest
        self._points: dict[int, Candidate] = {}
        self._halving = ParetoHalving(
            [each.source is Source.ISOLATED for each in objectives],
            least_gain=config.halving.least_gain,
            keep_fraction=config.halving.keep_fraction,
            pauses=config.halving.pauses,
            point_of=self._points.__getitem__,
        )

    def rebuild(self, records: Sequence[TrialRecord]) -> None:
        """Put on the rungs what the records hold."""
        for record in records:
            self.ended(record)
            told = {each["epoch"]: each for each in record.epochs}
            for decision in record.decisions:
                values = self._values(record, told.get(decision.epoch, {}))
                if values is not None:  # a driver may have died between the decision and its epoch, which comes again
                    self._point(record)
                    self._halving.restore(record.number, values, decision)

    def ended(self, record: TrialRecord) -> None:
        """The trial has ended, by itself or not: what is projected learns from those that came to their end."""
        values = self._values(record, record.metrics) if record.may_stand_on_a_front else None
        if values is not None:
            self._halving.ended(record.number, values)

    def judge(self, record: TrialRecord, metrics: Mapping[str, float | None]) -> RungDecision | None:
        """What becomes of a trial that tells these metrics; None where it is at no rung, or cannot be judged."""
        epoch = metrics["epoch"]
        if record.student is None or epoch is None or epoch not in self.epochs(record.student):
            return None
        values = self._values(record, metrics)
        if values is None:
            return None
        self._point(record)
        known = next((each for each in record.decisions if each.epoch == epoch), None)
        if known is not None:  # told again after a restart
            if all(each["epoch"] != epoch for each in record.epochs):
                self._halving.restore(record.number, values, known)
            return self._halving.judge(record.number, epoch, values)
        spared = "a baseline, spared" if self._config.halving.spares_baselines and record.origin == "baseline" else None
        decision = self._halving.judge(record.number, epoch, values, spared=spared)
        self._store(record.number, decision)
        return decision

    def promoted(self, records: Sequence[TrialRecord]) -> int | None:
        """The paused trial that goes on now; None: none of them."""
        paused = {record.number: record.paused_at_epoch for record in records if record.paused_at_epoch is not None}
        promotion = self._halving.promotion(paused)
        if promotion is None:
            return None
        self._store(*promotion)
        return promotion[0]

    def epochs(self, student: StudentConfig) -> tuple[float, ...]:
        """Of the rungs that the student comes to."""
        return self._config.halving.epochs_of_rungs(student.training.epochs)

    def _point(self, record: TrialRecord) -> None:
        """Remember what the trial is."""
        if record.number not in self._points:
            self._points[record.number] = trace(self._suggest, lambda name, _: record.parameters[name])

    def _store(self, number: int, decision: RungDecision) -> None:
        self._write(number, {decision_attribute(decision.epoch): decision.model_dump(mode="json")})

    def _values(self, record: TrialRecord, metrics: Mapping[str, float | None]) -> tuple[float, ...] | None:
        """The objectives, better when more; None where one is not known."""
        if record.student is None:
            return None
        told = {**metrics, **self._isolated(record.student)}
        values = [told.get(each.name) for each in self._objectives]
        if any(value is None or not math.isfinite(value) for value in values):
            return None
        return tuple(-as_minimized(np.array([values], dtype=np.float64), self._objectives)[0])
