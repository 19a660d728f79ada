"""Files that are whole or not there: written under a temporary name, flushed, then renamed; and records read back."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

_Record = TypeVar("_Record", bound=BaseModel)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path` that takes its place at the end; after an error, `path` is as it was.

    The folder is made where it does not exist. The temporary name ends as `path` does, for writers that go by the
    ending, and is on the disk before it is renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes it readable by its owner alone; a study is for others too.
        temporary.chmod(0o644)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_record(path: Path, record: BaseModel) -> None:
    """Write a record as JSON."""
    write_text(path, record.model_dump_json(indent=1))


def read_record(path: Path, kind: type[_Record]) -> _Record | None:
    """The record that stands at `path`; None where nothing does.

    Raises:
        ValueError: what stands there is no such record, or cannot be read; one line says what is wrong with it first.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise ValueError(f"{path}: cannot be read: {where}: {problem['msg']}".replace(": : ", ": ")) from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error
