"""Searches that were run, kept as JSON lines: what is there already is not run again."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

PROTOCOL = 1  # of the searches: a change that makes earlier ones incomparable counts it up
CACHE = Path(__file__).parents[3] / ".bench-search" / "runs.jsonl"


@dataclass(frozen=True, slots=True)
class RunKey:
    """What a search's result depends on."""

    table: str
    table_version: str
    contestant: str
    version: str
    seed: int
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One search: the objectives' values in the order in which they were told, and what the searching took."""

    key: RunKey
    values: Sequence[Sequence[float]]
    cpu_s: float
    wall_s: float


@final
class RunCache:
    """The file, read once and appended to line by line: a search is in it whole or not at all."""

    def __init__(self, path: Path = CACHE) -> None:
        self._path = path
        self._records = {record.key: record for record in _read(path)}

    def find(self, key: RunKey, *, num_evaluations: int) -> RunRecord | None:
        """The record of a search at least so long."""
        record = self._records.get(key)
        return record if record is not None and len(record.values) >= num_evaluations else None

    def latest(self, table: str, table_version: str, contestant: str, *, num_evaluations: int) -> list[RunRecord]:
        """Of the version that was run last: of a peer whose version is not known here."""
        fitting = [
            record
            for key, record in self._records.items()
            if (key.table, key.table_version, key.contestant) == (table, table_version, contestant)
            and key.protocol == PROTOCOL
            and len(record.values) >= num_evaluations
        ]
        return [record for record in fitting if record.key.version == fitting[-1].key.version]

    def add(self, record: RunRecord) -> None:
        """Append a record."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(asdict(record)) + "\n"
        with self._path.open("ab+") as file:
            file.seek(max(0, file.seek(0, 2) - 1))
            is_torn = file.read(1) not in {b"", b"\n"}  # the process before was killed while it wrote
            file.write((b"\n" if is_torn else b"") + line.encode())
        self._records.pop(record.key, None)
        self._records[record.key] = record


def _read(path: Path) -> Iterator[RunRecord]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            stored = json.loads(line)
        except json.JSONDecodeError:
            continue  # torn
        yield RunRecord(RunKey(**stored.pop("key")), **stored)
