"""An Optuna journal that is only read: in blocks, by a parser twice as fast as the standard library's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

from optuna.storages.journal import BaseJournalBackend
from pydantic_core import from_json

from trainables.records import EPOCH_PREFIX

BLOCK_BYTES = 4 * 2**20
BEGIN = b'{"op_code":'
EPOCH = f'"user_attr":{{"{EPOCH_PREFIX}'.encode()


@final
class ReadOnlyJournal(BaseJournalBackend):
    """The whole records of the file, while another process may append to it; takes no lock and makes no file.

    What the file ends in and is no whole record, as a driver that writes or one that was killed leaves it, is left out.

    Args:
        path: of the file.
        with_epochs: whether to give the records of epochs, which count for nothing where they are left out.
    """

    def __init__(self, path: Path, *, with_epochs: bool = True) -> None:
        self._path = path
        self._with_epochs = with_epochs
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
                records, taken = _parsed(lines + newline, with_epochs=self._with_epochs)
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


def _parsed(lines: bytes, *, with_epochs: bool) -> tuple[list[dict[str, Any]], int]:
    """The records of whole lines up to the first that is none, and how many bytes these lines take."""
    wanted = [line for line in lines.split(b"\n")[:-1] if with_epochs or not _is_epoch(line)]
    try:
        records: list[dict[str, Any]] = from_json(b"[" + b",".join(wanted) + b"]")
    except ValueError:
        records = []
    if len(records) == len(wanted):  # lines that are torn may be whole together
        return records, len(lines)
    records, taken = [], 0
    for line in lines.split(b"\n")[:-1]:
        if with_epochs or not _is_epoch(line):
            try:
                records.append(from_json(line))
            except ValueError:
                break
        taken += len(line) + 1
    return records, taken


def _is_epoch(line: bytes) -> bool:
    """Whether it is the record of an epoch, as Optuna writes it, and no other one is torn into it."""
    return EPOCH in line and line.rfind(BEGIN) == 0
