"""What is compared: which contestants on which table, what must be reached, and the text of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from analysis.statistics import mean_interval
from tests.benchmarks.scoreboard import Row
from tests.benchmarks.search.contestants import PEERS, contestants
from tests.benchmarks.search.peers.registry import PEERS as OUTSIDE_PEERS
from tests.benchmarks.search.race import NUM_EVALUATIONS, NUM_SEEDS, Scores, cached, run_missing, scores_of
from tests.benchmarks.search.runs import RunCache
from tests.benchmarks.search.tables import TABLES
from tests.benchmarks.search.verdicts import BEHIND, SIGNIFICANT, markdown, plus_minus, verdict

CHECKPOINTS = (25, 50, 100)
WORKERS_SHARE = 0.97


@dataclass(frozen=True, slots=True)
class Comparison:
    """One of ours against the others on a table.

    Args:
        least: share of the true hypervolume that ours must reach, by number of evaluations.
        ahead_at: where ours must be ahead of each of the others.
        not_behind_at: where none of the others may be ahead of ours.
    """

    table: str
    ours: str
    others: Sequence[str]
    least: Mapping[int, float] = field(default_factory=dict)
    ahead_at: Sequence[int] = ()
    not_behind_at: Sequence[int] = ()


COMPARISONS: Mapping[str, Comparison] = MappingProxyType(
    {
        "known latency": Comparison(
            "nb201-cifar10", "ours", PEERS, {25: 0.94, 50: 0.965, 100: 0.98}, ahead_at=CHECKPOINTS
        ),
        "known parameter count": Comparison("hpobench-mlp-phoneme", "ours", PEERS, ahead_at=(50, 100)),
        "nothing known, cells": Comparison(
            "nb201-cifar10", "ours, not told", ("Optuna GP",), not_behind_at=CHECKPOINTS
        ),
        "nothing known, MLP": Comparison(
            "hpobench-mlp-phoneme", "ours, not told", ("Optuna GP",), not_behind_at=CHECKPOINTS
        ),
        "eight workers": Comparison("nb201-cifar10", "ours, 8 workers", ("ours",)),
    }
)


def compare(
    comparison: Comparison, cache: RunCache, *, num_seeds: int = NUM_SEEDS, may_run: bool = True
) -> dict[str, Scores]:
    """Scores of ours, the others and, where there are any, the outside peers; by name.

    Args:
        comparison: which.
        cache: read, and added to.
        num_seeds: 0, 1, ...
        may_run: otherwise only what the cache has counts.
    """
    table, known = TABLES[comparison.table](), contestants()
    chosen = [known[name] for name in (comparison.ours, *comparison.others)]
    if may_run:
        run_missing(table, chosen, cache, num_seeds=num_seeds)
    scores = {each.name: scores_of(table, cached(table, each, cache, num_seeds=num_seeds)) for each in chosen}
    if comparison.others is PEERS:
        for name in OUTSIDE_PEERS:  # shown where `make bench-search-peers` has run them
            found = cache.latest(table.name, table.version, name, num_evaluations=NUM_EVALUATIONS)
            scores[name] = scores_of(table, [each for each in found if each.key.seed < num_seeds])
    return scores


def rows(name: str, scores: Mapping[str, Scores]) -> list[Row]:
    """One a checkpoint, of ours against the best of the others; whether what must be reached is."""
    comparison = COMPARISONS[name]
    return [_row(name, comparison, scores, place) for place in CHECKPOINTS]


def workers_row(scores: Mapping[str, Scores]) -> Row:
    """Hypervolume with eight workers over that with one, after equally many trials."""
    many, one = (mean_interval(scores[name].after(NUM_EVALUATIONS)) for name in ("ours, 8 workers", "ours"))
    ratio = many.mean / one.mean
    return Row(
        f"hypervolume, nb201-cifar10, 8 workers against 1, {NUM_EVALUATIONS} trials each",
        plus_minus(many),
        f"1 worker {plus_minus(one)}",
        f"{ratio:.3f}x",
        f"at least {WORKERS_SHARE:g}x",
        ratio >= WORKERS_SHARE,
    )


def text(name: str, scores: Mapping[str, Scores]) -> str:
    """The whole table, with its title."""
    comparison = COMPARISONS[name]
    title = f"{name}: {comparison.table}, hypervolume / true hypervolume, mean ± 95 % interval"
    if not scores[comparison.ours].seeds:
        return f"{title}\n\n{comparison.ours}: not run as it is now\n"
    return f"{title}\n\n{markdown(comparison.ours, scores, CHECKPOINTS)}"


def _row(name: str, comparison: Comparison, scores: Mapping[str, Scores], place: int) -> Row:
    ours = mean_interval(scores[comparison.ours].after(place))
    others = {other: mean_interval(scores[other].after(place)) for other in comparison.others}
    best = max(others, key=lambda other: others[other].mean)
    found = {
        other: verdict(scores[comparison.ours], scores[other], num_evaluations=place) for other in comparison.others
    }
    targets, are_reached = [], []
    if place in comparison.least:
        targets.append(f"at least {comparison.least[place]:g}")
        are_reached.append(ours.mean >= comparison.least[place])
    if place in comparison.ahead_at:
        targets.append(f"ahead of each, p < {SIGNIFICANT:g}")
        are_reached.append(all(each.is_ahead for each in found.values()))
    if place in comparison.not_behind_at:
        targets.append(f"not behind, p >= {BEHIND:g}")
        are_reached.append(all(each.is_not_behind for each in found.values()))
    largest_p = max(each.p_ahead for each in found.values())
    return Row(
        f"{name}: {comparison.table} after {place}",
        plus_minus(ours),
        f"{best} {plus_minus(others[best])}",
        f"{found[best].difference.mean:+.3f}, largest p {largest_p:.1g}",
        "; ".join(targets),
        all(are_reached) if are_reached else None,
    )
