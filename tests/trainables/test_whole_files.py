"""Files are whole or as they were."""

from pathlib import Path

import pytest

from trainables.whole_files import replacing, write_text


def interrupted(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise RuntimeError("power lost")


def test_interrupted_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError, match="power lost"):
        interrupted(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_written_file_replaces_the_old_one_and_others_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "front.csv"
    write_text(path, "first")
    write_text(path, "zweite Fassung: ü")
    assert path.read_text(encoding="utf-8") == "zweite Fassung: ü"
    assert path.stat().st_mode & 0o444 == 0o444
    assert list(tmp_path.iterdir()) == [path]


def test_temporary_file_keeps_the_ending_that_writers_go_by(tmp_path: Path) -> None:
    with replacing(tmp_path / "trials.csv") as temporary:
        assert temporary.suffix == ".csv"
        assert temporary.parent == tmp_path
