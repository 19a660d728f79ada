"""The proposer as Ray Tune's searcher: asks one trial ahead, off Tune's thread, and tells what becomes of each."""

import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, final

from ray.tune.search import Searcher

from study.search.proposer import Proposal, Proposer
from study.search.slots import Slots
from trainables.config import TrialAssignment
from trainables.metrics import Metric, Source, is_metric, metric
from trainables.records import RungAction

# Of an assignment, what is read without the rest: for the trial's name, resources and limits.
READ_BY_NAME = {"number", "num_stored_reports", "num_failures", "max_step_s", "cpus", "gpus"}


@final
class StudySearcher(Searcher):
    """Hands a trial to each slot, and asks for the next as soon as one starts: a slot does not wait for the sampler.

    Where trials have shares of a GPU of their own, the next one waits for as much as it asks for: what is handed out
    too early was chosen without what the others will have shown.
    """

    def __init__(
        self,
        proposer: Proposer,
        assign: Callable[[Proposal], TrialAssignment],
        slots: Slots,
        num_slots: int,
        num_gpus: int = 0,
    ) -> None:
        super().__init__()
        self._num_gpus = num_gpus
        self._shares: dict[str, float] = {}  # of a GPU, of those that were handed out
        self._proposer = proposer
        self._slots = slots
        self._assign = assign
        self._num_slots = num_slots
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ask")
        self._asked: Future[Proposal | None] | None = None
        self._numbers: dict[str, int] = {}
        self._limits: dict[int, float | None] = {}  # of a step of each trial, in seconds

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher for `Tuner.restore`, which a study does not use: the storage is the truth."""
        return {}

    def set_max_concurrency(self, max_concurrent: int) -> bool:  # noqa: ARG002 - Tune's signature
        """Tune need not limit it: `suggest` does."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override] # FINISHED is a str
        """The next trial's assignment; None for "not now"; `FINISHED` when there will be no more.

        What has begun comes before what has not.
        """
        if len(self._numbers) >= self._num_slots:
            return None
        begun = self._proposer.going_on()
        if begun is not None:
            given = self._given(trial_id, begun)
            if self._asked is None:  # cut off with an earlier launch: its successor is asked when it starts
                self._ask()
            return given
        asked = self._asked or self._ask()
        if self._numbers and not (asked.done() and self._has_room(asked.result())):
            return None
        proposal = asked.result()
        if proposal is not None:
            given = self._given(trial_id, proposal)
            self._ask()
            return given
        if self._numbers:  # what comes of them may let a paused one go on
            return None
        self._proposer.stop_paused()
        return str(Searcher.FINISHED)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """An epoch of a trial that goes on, or a part of one."""
        self._await_ask()
        self._proposer.record_epoch(self._numbers[trial_id], self._epoch(result))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial's end; its last result comes here only."""
        self._await_ask()
        number = self._numbers.pop(trial_id, None)
        self._shares.pop(trial_id, None)
        if number is None:
            return
        if error or result is None or "number" not in result:
            self._proposer.process_ended(number, self._limits[number])
        elif result["failure"] is not None:
            self._proposer.fail(number, str(result["failure"]))
        else:
            self._end(number, result)

    def _given(self, trial_id: str, proposal: Proposal) -> dict[str, Any]:
        assignment = self._assign(proposal)
        self._numbers[trial_id], self._shares[trial_id] = proposal.number, assignment.gpus
        self._limits[proposal.number] = assignment.max_step_s
        # Tune copies, flattens and writes all of it again and again: what is as by default stays away.
        return assignment.model_dump(mode="json", exclude_defaults=True) | assignment.model_dump(include=READ_BY_NAME)

    def _has_room(self, proposal: Proposal | None) -> bool:
        """Whether the GPUs have as much left as it asks for."""
        if self._num_gpus == 0:
            return True
        share = 0.0 if proposal is None else self._assign(proposal).gpus
        rounding = 1e-6  # 20 times 0.05 is more than 1
        return share == 0.0 or sum(self._shares.values()) + share <= self._num_gpus + rounding

    def _await_ask(self) -> None:
        """With one worker, what is asked ahead is asked before a result is known, whichever is the faster."""
        if self._asked is not None and self._num_slots == 1:
            self._asked.exception()

    def _ask(self) -> "Future[Proposal | None]":
        self._asked = self._executor.submit(self._proposer.next)
        return self._asked

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the storage is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore; see `save`."""

    def _end(self, number: int, result: dict[str, Any]) -> None:
        metrics_of_epoch = self._epoch(result)
        metrics = {name: value for name, value in result.items() if is_metric(name, self._proposer.own_metrics)}
        metrics |= metrics_of_epoch
        facts: dict[str, str] = {name: str(result[name]) for name in ("hostname", "pid", "device") if name in result}
        if result["finished"]:
            self._proposer.complete(number, metrics, facts, metrics_of_epoch)
            return
        self._proposer.record_epoch(number, metrics_of_epoch)
        decision = self._proposer.decision(number, result["epoch"])
        if decision is not None and decision.action is RungAction.PAUSE:
            self._proposer.pause(number, decision.epoch, facts)
        else:
            reason = f"stopped after epoch {result['epoch']:g}" if decision is None else decision.reason
            self._proposer.prune(number, metrics, facts, reason)

    def _epoch(self, result: dict[str, Any]) -> dict[str, float | None]:
        co_tenants = self._slots.num_co_tenants(result["number"], str(result.get("node_ip", "")))
        return {**of_training(result, self._proposer.own_metrics), "num_co_tenants": float(co_tenants)}


def of_training(result: dict[str, Any], own: tuple[Metric, ...]) -> dict[str, float | None]:
    """What an epoch changed, of the study's `own` metrics too: isolated ones are the same in each, with the trial."""
    changed = {name: value for name, value in result.items() if _is_of_training(name, own)}
    return {"epoch": result["epoch"], **changed}


@functools.cache
def _is_of_training(name: str, own: tuple[Metric, ...]) -> bool:
    return is_metric(name, own) and metric(name, own).source is not Source.ISOLATED
