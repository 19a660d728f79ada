"""Runs every contestant with every seed, as many searches at once as there are CPUs, each on one thread."""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks.search.contestants import Contestant
from tests.benchmarks.search.runs import RunCache, RunKey, RunRecord
from tests.benchmarks.search.tables import TABLES, Table

NUM_SEEDS = 20
NUM_EVALUATIONS = 100
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
QUIET = {"PYTHONWARNINGS": "ignore"}  # of the peers, about themselves


@dataclass(frozen=True, slots=True)
class Scores:
    """Hypervolume over the true front's of one contestant: (seeds, evaluations), and CPU seconds a search."""

    seeds: tuple[int, ...]
    shares: NDArray[np.float64]
    cpu_s: float

    def after(self, num_evaluations: int) -> list[float]:
        """For each seed."""
        return [float(each) for each in self.shares[:, num_evaluations - 1]]


def run_missing(
    table: Table, contestants: Sequence[Contestant], cache: RunCache, *, num_seeds: int = NUM_SEEDS
) -> None:
    """Run what the cache has not, seed by seed, and add it."""
    missing = [
        (contestant, seed)
        for seed in range(num_seeds)
        for contestant in contestants
        if cache.find(key_of(table, contestant, seed), num_evaluations=NUM_EVALUATIONS) is None
    ]
    for place, record in enumerate(_run(table, missing), start=1):
        cache.add(record)
        _say(table, record, f"{place} of {len(missing)}")


def cached(table: Table, contestant: Contestant, cache: RunCache, *, num_seeds: int) -> list[RunRecord]:
    """What there is of a contestant as it is now."""
    found = [cache.find(key_of(table, contestant, seed), num_evaluations=NUM_EVALUATIONS) for seed in range(num_seeds)]
    return [each for each in found if each is not None]


def scores_of(table: Table, records: Sequence[RunRecord]) -> Scores:
    """From records of one contestant."""
    records = sorted(records, key=lambda each: each.key.seed)
    shares = [table.hypervolumes(each.values[:NUM_EVALUATIONS]) for each in records]
    cpu_s = float(np.mean([each.cpu_s for each in records])) if records else float("nan")
    seeds = tuple(each.key.seed for each in records)
    return Scores(seeds, np.array(shares).reshape(len(records), NUM_EVALUATIONS), cpu_s)


def key_of(table: Table, contestant: Contestant, seed: int) -> RunKey:
    """What the search's result depends on."""
    return RunKey(table.name, table.version, contestant.name, contestant.version, seed)


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Variables that processes started inside the context inherit: BLAS reads its thread count when it is loaded."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def _run(table: Table, missing: Sequence[tuple[Contestant, int]]) -> Iterator[RunRecord]:
    """As they end; each in a process that computes on one thread."""
    if not missing:
        return
    with (
        environment(ONE_THREAD | QUIET),
        ProcessPoolExecutor(
            max_workers=os.cpu_count(),
            mp_context=get_context("spawn"),
            initializer=torch.set_num_threads,
            initargs=(1,),
        ) as pool,
    ):
        pending = [pool.submit(_search, table.name, contestant, seed) for contestant, seed in missing]
        try:
            for each in as_completed(pending):
                yield each.result()
        finally:
            for each in pending:
                each.cancel()


def _search(table_name: str, contestant: Contestant, seed: int) -> RunRecord:
    table = TABLES[table_name]()
    began, cpu_began = time.perf_counter(), time.process_time()
    values = contestant.run(table, seed, NUM_EVALUATIONS)
    return RunRecord(
        key_of(table, contestant, seed), values, time.process_time() - cpu_began, time.perf_counter() - began
    )


def _say(table: Table, record: RunRecord, place: str) -> None:
    share = table.hypervolumes(record.values)[NUM_EVALUATIONS - 1]
    sys.stderr.write(
        f"{table.name}, {record.key.contestant}, seed {record.key.seed}: {share:.3f} after {NUM_EVALUATIONS}, "
        f"{record.cpu_s:.0f} s of CPU ({place})\n"
    )
