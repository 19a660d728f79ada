"""Files are whole or as they were."""

from pathlib import Path

import pytest

from trainables.config import DatasetConfig
from trainables.whole_files import read_record, replacing, write_record, write_text


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


def test_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    write_record(tmp_path / "dataset.json", DatasetConfig(split_seed=4))
    assert read_record(tmp_path / "dataset.json", DatasetConfig) == DatasetConfig(split_seed=4)
    assert read_record(tmp_path / "nothing.json", DatasetConfig) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"split_seed": -1, "colour": 2}', r"dataset\.json: cannot be read: split_seed: Input should be greater"),
        ('{"split_seed"', r"dataset\.json: cannot be read: Invalid JSON"),
    ],
)
def test_what_is_wrong_with_a_record_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_record(tmp_path / "dataset.json", DatasetConfig)
    assert "\n" not in str(caught.value)


def test_directory_in_a_records_place_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_record(tmp_path, DatasetConfig)
