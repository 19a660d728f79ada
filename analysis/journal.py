"""An Optuna journal that is only read: in blocks, by a parser twice as fast as the standard library's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

from optuna.storages.journal import BaseJournalBackend
from pydantic_core import from_json

BLOCK_BYTES = 4 * 2**20


@final
class ReadOnlyJournal(BaseJournalBackend):
    """The whole records of the file, while another process may append to it; takes no lock and makes no file.

    What the file ends in and is no whole record, as a driver that writes or one that was killed leaves it, is left out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = (0, 0)  # records and bytes, as far as it was read last

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Records from that number on.

        Raises:
            ValueError: one is damaged, and others follow.
        """
        number, position = self._read if self._read[0] == log_number_from else (0, 0)
        with self._path.open("rb") as file:
            file.seek(position)
            rest = b""
            while block := file.read(BLOCK_BYTES):
                lines, newline, rest = (rest + block).rpartition(b"\n")
                if not newline:
                    continue
                records, taken = _parsed(lines + newline)
                yield from records[max(0, log_number_from - number) :]
                number, position = number + len(records), position + taken
                left = len(lines + newline) - taken
                if left and (lines[taken:].count(b"\n") or rest or file.read(1)):
                    raise ValueError(f"{self._path}: record {number + 1} is damaged, and others follow")
        self._read = number, position

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refused.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(f"{self._path} is open for reading, and {len(logs)} records were to be written")


def _parsed(lines: bytes) -> tuple[list[dict[str, Any]], int]:
    """The records of whole lines up to the first that is none, and how many bytes they take."""
    try:
        records: list[dict[str, Any]] = from_json(b"[" + lines[:-1].replace(b"\n", b",") + b"]")
    except ValueError:
        records = []
    if len(records) == lines.count(b"\n"):  # lines that are torn may be whole together
        return records, len(lines)
    records, taken = [], 0
    for line in lines.splitlines(keepends=True):
        try:
            records.append(from_json(line))
        except ValueError:
            break
        taken += len(line)
    return records, taken
