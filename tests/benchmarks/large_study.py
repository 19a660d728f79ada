"""A study of thousands of trials in its directory, with the journal that its driver would have written, in a minute."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from rich.console import Console

import search_spaces
from study import store as stores
from study.progress import Progress
from study.search.ledger import Ledger
from study.search.tally import Tally
from study.store import StudyStore
from tests.factories import study_config
from trainables.records import ORIGIN_ATTRIBUTE, STUDENT_ATTRIBUTE, TrialRecord

ISOLATED = {
    "num_parameters": 1e4, "forward_flops_per_image": 1e6, "train_images_per_s": 1e3, "train_mfu_fraction": 0.2,
    "gpu_utilization_fraction": 0.5, "cpu_utilization_fraction": 0.3, "peak_memory_mib": 100.0,
    "energy_joules_per_image": 1.0, "latency_p90_ms_batch1": 0.3, "latency_p99_ms_batch1": 0.4,
}  # fmt: skip
REPORTED = (
    "train_loss", "num_method_parameters", "validation_accuracy", "validation_nll", "validation_agreement",
    "train_seconds", "evaluation_seconds", "shared_cpu_utilization_fraction", "process_memory_mib",
)  # fmt: skip


@final
class InMemory(BaseJournalBackend):
    """A journal that is written at the end: a flush to the disk a record would take the time."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.records = records

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        return iter(self.records[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.records += json.loads(json.dumps(logs))


def make_study(directory: Path, num_trials: int, num_epochs: int) -> None:
    """Students of a random search, each with all that a driver stores of one; `status.json` is of the last moment."""
    options = {"widths": [1, 2, 4, 8, 16], "batch_sizes": [64, 128, 256], "epochs": num_epochs}
    config = study_config(space={"name": "cnn_distillation", "options": options}, search={"num_trials": num_trials})
    with stores.create(directory, config) as store:
        journal = store.paths.journal
        backend = InMemory([json.loads(line) for line in journal.read_bytes().splitlines()])
        storage = JournalStorage(backend)
        sampler = optuna.samplers.RandomSampler(seed=0)
        study = optuna.load_study(study_name=store.record.name, storage=storage, sampler=sampler)
        records = _run(replace(store, storage=storage, study=study), num_trials, num_epochs)
        lines = [json.dumps(record, separators=(",", ":")) + "\n" for record in backend.records]
        journal.write_text("".join(lines), encoding="utf-8")
        progress = Progress(store.paths, store.record, Console(file=io.StringIO()), num_trials)
        progress.show_trials(records, num_trials)
        progress.finish("done", "report.html")


def _run(store: StudyStore, num_trials: int, num_epochs: int) -> list[TrialRecord]:
    space = search_spaces.build(store.config.space)
    ledger = Ledger(store, store.record.objective_metrics, Tally(()))
    stream = np.random.default_rng(0)
    for number in range(num_trials):
        student = space.suggest(store.study.ask())
        ledger.write(number, {ORIGIN_ATTRIBUTE: "search", STUDENT_ATTRIBUTE: student.model_dump(mode="json")})
        ledger.started(number, number % 8)
        metrics: dict[str, float | None] = {}
        for epoch in range(1, num_epochs + 1):
            numbers = dict(zip(REPORTED, stream.random(len(REPORTED)).tolist(), strict=True))
            metrics = {"epoch": float(epoch), **numbers, "shared_gpu_utilization_fraction": None, "num_co_tenants": 7.0}
            ledger.record_epoch(number, metrics)
        known = {**ISOLATED, "latency_p50_ms_batch1": float(stream.random())}
        facts = {"hostname": "node", "pid": "1", "device": "cpu"}
        ledger.end(number, optuna.trial.TrialState.COMPLETE, {**known, **metrics}, facts)
    return ledger.all()
