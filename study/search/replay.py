"""A search over recorded learning curves: the production sampler and early stopping on a virtual clock. No Ray."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import Trial
from optuna.trial import TrialState as OptunaState

from analysis.curves import RecordedTrial
from search_spaces.space import SearchSpace
from study.config import StudyConfig
from study.search.asking import Asking
from study.search.baselines import baselines
from study.search.candidates import Candidate
from study.search.constraints import broken_by
from study.search.pareto_halving import ParetoHalving
from study.search.proposer import MAX_ASKED_IN_VAIN
from trainables.config import StudentConfig
from trainables.metrics import Metric, Source, as_minimized
from trainables.records import (
    METRICS_ATTRIBUTE,
    OBJECTIVES_ATTRIBUTE,
    RungAction,
    RungDecision,
    TrialState,
    epoch_attribute,
)


@dataclass(frozen=True, slots=True)
class Curve:
    """What a student is worth after each report, and how long each takes.

    `metrics` are of training, each with its "epoch", by epoch; the last is the end. `isolated` are known beforehand.
    """

    metrics: Sequence[Mapping[str, float | None]]
    seconds: Sequence[float]
    isolated: Mapping[str, float | None]


Answer = Callable[[Mapping[str, Any], StudentConfig], Curve]


@dataclass(slots=True)
class ReplayedTrial:
    """What became of a student: `state` as in a study, `num_reports` of its curve were trained."""

    number: int
    parameters: Mapping[str, Any]
    curve: Curve
    state: TrialState = TrialState.RUNNING
    num_reports: int = 0
    ended_at_s: float | None = None
    epochs_spent_by_all: float = 0.0
    decisions: list[RungDecision] = field(default_factory=list)

    @property
    def epochs(self) -> float:
        """How many it was trained for."""
        return 0.0 if self.num_reports == 0 else float(self.curve.metrics[self.num_reports - 1]["epoch"] or 0.0)


@final
class Replay:
    """One search, from its first trial to its last.

    With the same arguments it goes the same way. As in a study: baselines first, each method has its share, a trial is
    asked ahead when its predecessor starts, a paused one that may go on comes before a new one, duplicates are told and
    not counted, and what is paused at the end is stopped.

    Args:
        config: of the study that is replayed: its seed, objectives, space, and search as it is to be tried.
        space: of the configuration.
        answer: the curve of a student.
        isolated: what is known of a student beforehand.
        num_workers: trials at once.
        evidence: students of another study, as `--warm-start` gives them.
    """

    def __init__(
        self,
        config: StudyConfig,
        space: SearchSpace,
        answer: Answer,
        isolated: Callable[[StudentConfig], Mapping[str, float | None]],
        *,
        num_workers: int,
        evidence: Sequence[RecordedTrial] = (),
    ) -> None:
        self._config = config
        self._space = space
        self._answer = answer
        self._objectives = config.objective_metrics
        self._isolated = isolated
        self._constraints = config.constraints
        self._asking = Asking(config, space, isolated, evidence)
        self._study = optuna.create_study(directions=[each.direction.value for each in self._objectives])
        self._study.set_user_attr(OBJECTIVES_ATTRIBUTE, list(config.objectives))
        self._baselines = baselines(config, space, isolated)
        for baseline in self._baselines:
            self._study.enqueue_trial(dict(baseline))
        self._num_workers = num_workers
        self._trials: dict[int, ReplayedTrial] = {}
        self._asked: dict[int, Trial] = {}
        self._points: dict[int, Candidate] = {}
        self._halving = self._early_stopping()
        self._by_student: dict[tuple[tuple[str, Any], ...], int] = {}
        self._duplicates: dict[int, list[Trial]] = {}
        self._paused: dict[int, float] = {}
        self._running: list[tuple[float, int]] = []
        self._ahead: int | None = None
        self._is_exhausted = False
        self._epochs_spent = 0.0

    def run(self) -> list[ReplayedTrial]:
        """Every trial that was asked, by number; duplicates left out."""
        self._fill(0.0)
        while self._running:
            now, number = heapq.heappop(self._running)
            self._report(now, number)
            self._fill(now)
        for number in list(self._paused):
            self._end(number, TrialState.PRUNED, None)
        return [self._trials[number] for number in sorted(self._trials)]

    def _early_stopping(self) -> ParetoHalving | None:
        search = self._config.search
        if search.early_stopping == "none":
            return None
        is_known = [each.source is Source.ISOLATED for each in self._objectives]
        halving = search.halving
        return ParetoHalving(
            is_known,
            least_gain=halving.least_gain,
            keep_fraction=halving.keep_fraction,
            pauses=halving.pauses,
            point_of=self._points.__getitem__,
        )

    def _fill(self, now: float) -> None:
        """Give every free worker something to do, where there is something."""
        while len(self._running) < self._num_workers:
            number = self._promoted()
            if number is None:
                number = self._next()
            if number is None:
                return
            self._train(now, number)

    def _promoted(self) -> int | None:
        promotion = None if self._halving is None or not self._paused else self._halving.promotion(self._paused)
        if promotion is None:
            return None
        number, decision = promotion
        del self._paused[number]
        self._trials[number].decisions[-1] = decision
        return number

    def _next(self) -> int | None:
        """The trial that was asked ahead; the one after it is asked now."""
        number = self._ask() if self._ahead is None else self._ahead
        self._ahead = None if number is None else self._ask()
        return number

    def _ask(self) -> int | None:
        for _ in range(MAX_ASKED_IN_VAIN):
            if len(self._trials) >= self._config.search.num_trials or self._is_exhausted:
                return None
            number = len(self._study.get_trials(deepcopy=False, states=_ASKED))
            is_enqueued = number < len(self._baselines)
            self._study.sampler = self._asking.sampler(number, is_enqueued=is_enqueued)
            trial = self._study.ask()
            student = self._space.suggest(trial)
            if broken_by(self._constraints, self._isolated(student)) is not None:
                self._study.tell(trial, state=OptunaState.PRUNED)
                self._asking.asked.keep(number, trial.params, counts=False)
                continue
            parameters = trial.params
            self._asked[trial.number] = trial
            self._points[trial.number] = Candidate(parameters, trial.distributions)
            original = self._by_student.get(key := tuple(sorted(parameters.items())))
            self._asking.asked.keep(number, parameters, counts=original is None)
            if original is None:
                self._by_student[key] = trial.number
                self._trials[trial.number] = ReplayedTrial(trial.number, parameters, self._answer(parameters, student))
                return trial.number
            self._repeat(trial, original)
        self._is_exhausted = True
        return None

    def _repeat(self, trial: Trial, original: int) -> None:
        """Tell a duplicate what its original was told, now or when that ends."""
        if self._trials[original].state is TrialState.RUNNING:
            self._duplicates.setdefault(original, []).append(trial)
        else:
            self._tell(trial, self._trials[original])

    def _train(self, now: float, number: int) -> None:
        trial = self._trials[number]
        heapq.heappush(self._running, (now + trial.curve.seconds[trial.num_reports], number))

    def _report(self, now: float, number: int) -> None:
        trial = self._trials[number]
        before = trial.epochs
        trial.num_reports += 1
        self._epochs_spent += trial.epochs - before
        metrics = trial.curve.metrics[trial.num_reports - 1]
        action = self._judge(trial, metrics)
        self._asked[number].set_user_attr(epoch_attribute(trial.epochs), dict(metrics))
        if trial.num_reports == len(trial.curve.metrics):
            self._end(number, TrialState.COMPLETE, now)
        elif action is RungAction.GO_ON:
            self._train(now, number)
        elif action is RungAction.PAUSE:
            self._paused[number] = trial.epochs
        else:
            self._end(number, TrialState.PRUNED, now)

    def _judge(self, trial: ReplayedTrial, metrics: Mapping[str, float | None]) -> RungAction:
        halving, epoch = self._config.search.halving, trial.epochs
        num_epochs = round(float(trial.curve.metrics[-1]["epoch"] or 0.0))
        if self._halving is None or epoch not in halving.epochs_of_rungs(num_epochs):
            return RungAction.GO_ON
        spared = "a baseline, spared" if halving.spares_baselines and trial.number < len(self._baselines) else None
        decision = self._halving.judge(trial.number, epoch, self._values(trial, metrics), spared=spared)
        trial.decisions.append(decision)
        return decision.action

    def _values(self, trial: ReplayedTrial, metrics: Mapping[str, float | None]) -> tuple[float, ...]:
        """The objectives, better when more."""
        return tuple(-values_at({**metrics, **trial.curve.isolated}, self._objectives))

    def _end(self, number: int, state: TrialState, now: float | None) -> None:
        trial = self._trials[number]
        trial.state, trial.ended_at_s, trial.epochs_spent_by_all = state, now, self._epochs_spent
        self._paused.pop(number, None)
        if self._halving is not None and state is TrialState.COMPLETE:
            self._halving.ended(number, self._values(trial, trial.curve.metrics[-1]))
        for each in (self._asked[number], *self._duplicates.pop(number, ())):
            self._tell(each, trial)

    def _tell(self, asked: Trial, trial: ReplayedTrial) -> None:
        metrics = {**trial.curve.metrics[trial.num_reports - 1], **trial.curve.isolated}
        asked.set_user_attr(METRICS_ATTRIBUTE, metrics)
        if trial.state is TrialState.COMPLETE:
            self._study.tell(asked, [float(metrics[each.name] or 0.0) for each in self._objectives])
        else:
            self._study.tell(asked, state=OptunaState.PRUNED)


_ASKED = (OptunaState.RUNNING, OptunaState.COMPLETE, OptunaState.PRUNED, OptunaState.FAIL)


def values_at(metrics: Mapping[str, float | None], objectives: Sequence[Metric]) -> NDArray[np.float64]:
    """The objectives among the metrics, each turned so that less is better, shape (objectives,)."""
    rows = np.array([[metrics[each.name] for each in objectives]], dtype=np.float64)
    return as_minimized(rows, objectives).reshape(-1)
