"""When trials ran: their spans with every end filled in, and a clock that leaves out the pauses between launches."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from trainables.records import TrialRecord


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in seconds since the epoch, `start` <= `end`."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.start


def closed_spans(trials: Sequence[TrialRecord]) -> dict[int, tuple[Span, ...]]:
    """The spans of every trial that has any, by number.

    An end that nobody wrote (the trial still runs, or its launch was killed) is taken to be the last moment that any
    trial recorded before the trial's next launch: the launch was certainly alive then.
    """
    moments = sorted({moment for trial in trials for span in trial.spans for moment in span if moment is not None})
    closed = {}
    for trial in trials:
        nexts: list[float | None] = [start for start, _ in trial.spans[1:]]
        ends = [
            _last_sign_of_life(moments, start, following) if end is None else end
            for (start, end), following in zip(trial.spans, [*nexts, None], strict=False)
        ]
        if ends:
            closed[trial.number] = tuple(
                Span(start, max(start, end)) for (start, _), end in zip(trial.spans, ends, strict=True)
            )
    return closed


def slots_of_spans(trials: Sequence[TrialRecord], spans: Mapping[int, Sequence[Span]]) -> dict[int, tuple[int, ...]]:
    """On which of the concurrent slots each trial ran each of its spans, by number; trials that name none are left out.

    A trial stores the slot of its last span alone, and one that was paused may have run elsewhere before: on the lowest
    that was free, since that is how slots are given out.
    """
    known = {trial.number: trial.slot for trial in trials if trial.slot is not None and trial.number in spans}
    begun = sorted((span.start, number, index) for number in known for index, span in enumerate(spans[number]))
    chosen: dict[int, list[int]] = {number: [] for number in known}
    busy_until: dict[int, float] = {}
    for start, number, index in begun:
        is_last = index == len(spans[number]) - 1
        free = (slot for slot in range(len(busy_until) + 1) if busy_until.get(slot, start) <= start)
        slot = known[number] if is_last else next(free)
        busy_until[slot] = max(spans[number][index].end, busy_until.get(slot, start))
        chosen[number].append(slot)
    return {number: tuple(slots) for number, slots in chosen.items()}


def _last_sign_of_life(moments: Sequence[float], start: float, following: float | None) -> float:
    return max((each for each in moments if each >= start and (following is None or each < following)), default=start)


@dataclass(frozen=True, slots=True)
class SearchClock:
    """Seconds of search: the time in which trials ran, without the pauses between launches."""

    stretches: tuple[Span, ...]

    @classmethod
    def over(cls, spans: Iterable[Span], *, longest_gap_s: float = 60.0) -> "SearchClock":
        """A clock over `spans`; a gap of up to `longest_gap_s` between two trials still counts as search."""
        stretches: list[Span] = []
        for span in sorted(spans, key=lambda each: each.start):
            if stretches and span.start - stretches[-1].end <= longest_gap_s:
                stretches[-1] = Span(stretches[-1].start, max(stretches[-1].end, span.end))
            else:
                stretches.append(span)
        return cls(tuple(stretches))

    def seconds(self, moment: float) -> float:
        """Seconds of search up to `moment` (seconds since the epoch); it stands still in a pause."""
        last = bisect_right([stretch.start for stretch in self.stretches], moment) - 1
        if last < 0:
            return 0.0
        before = sum(stretch.seconds for stretch in self.stretches[:last])
        return before + min(moment, self.stretches[last].end) - self.stretches[last].start

    @property
    def pauses(self) -> tuple[float, ...]:
        """Where the clock stood still, in seconds of search."""
        return tuple(self.seconds(before.end) for before, _ in pairwise(self.stretches))
