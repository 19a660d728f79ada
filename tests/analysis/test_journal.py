"""A journal that is only read, against Optuna's own reader of the same file."""

import json
from pathlib import Path

import hypothesis.strategies as st
import optuna
import pytest
from hypothesis import given
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from analysis import journal
from analysis.journal import ReadOnlyJournal

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
RECORDS = st.lists(st.dictionaries(st.text(), SCALARS | st.lists(SCALARS, max_size=3), max_size=4), max_size=12)


def written(path: Path, records: list[dict[str, object]]) -> bytes:
    content = b"".join(json.dumps(each, separators=(",", ":")).encode() + b"\n" for each in records)
    path.write_bytes(content)
    return content


@given(records=RECORDS, block=st.integers(1, 60), skipped=st.integers(0, 12))
def test_records_are_those_that_were_written_whatever_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, object]], block: int, skipped: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    written(path, records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "BLOCK_BYTES", block)
        assert list(ReadOnlyJournal(path).read_logs(skipped)) == records[skipped:]


def test_study_reads_as_optuna_reads_it_and_so_does_what_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    study = optuna.create_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="s")
    reader = optuna.load_study(storage=JournalStorage(ReadOnlyJournal(path)), study_name="s")
    for number in range(3):
        trial = study.ask()
        trial.suggest_float("x", 0.0, 1.0)
        trial.set_user_attr("epoch:1", {"loss": 0.1 + number})
        study.tell(trial, 0.5)
        assert reader.get_trials() == study.get_trials()


def test_what_follows_is_read_without_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    begin = written(path, [{"n": 0}, {"n": 1}])
    reader = ReadOnlyJournal(path)
    assert list(reader.read_logs(0)) == [{"n": 0}, {"n": 1}]
    path.write_bytes(b"x" * len(begin) + b'{"n":2}\n')
    assert list(reader.read_logs(2)) == [{"n": 2}]


@pytest.mark.parametrize("torn", [b'{"n":2', b'{"n":2\n', b'"m":3}\n'])
def test_torn_end_is_left_out_until_it_is_whole(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "journal"
    begin = written(path, [{"n": 0}, {"n": 1}])
    path.write_bytes(begin + torn)
    reader = ReadOnlyJournal(path)
    assert list(reader.read_logs(0)) == [{"n": 0}, {"n": 1}]
    path.write_bytes(begin + b'{"n":2}\n')
    assert list(reader.read_logs(2)) == [{"n": 2}]


@pytest.mark.parametrize("damaged", [b'{"n":\n{"n":2}\n', b'{"n":1\n"m":2}\n'])
@pytest.mark.parametrize("block", [8, 4 * 2**20])
def test_damage_before_the_end_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bytes, block: int
) -> None:
    """The second is whole as one: a record that a line break stands in."""
    path = tmp_path / "journal"
    path.write_bytes(written(path, [{"n": 0}]) + damaged)
    monkeypatch.setattr(journal, "BLOCK_BYTES", block)
    with pytest.raises(ValueError, match="journal: record 2 is damaged, and others follow"):
        list(ReadOnlyJournal(path).read_logs(0))


def test_study_without_its_epochs_is_the_same_but_for_them(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    study = optuna.create_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="s")
    reader = optuna.load_study(storage=JournalStorage(ReadOnlyJournal(path, with_epochs=False)), study_name="s")
    for _ in range(3):
        trial = study.ask()
        trial.suggest_float("x", 0.0, 1.0)
        for name in ("epoch:1", "metrics", "epoch:1.5"):
            trial.set_user_attr(name, {"loss": 0.1})
        study.tell(trial, 0.5)
        without = study.get_trials()
        for each in without:
            each.user_attrs = {name: value for name, value in each.user_attrs.items() if not name.startswith("epoch:")}
        assert reader.get_trials() == without


def test_record_that_is_torn_into_an_epoch_is_not_left_out_with_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    torn = b'{"op_code":8,"trial_id":0,"user_attr":{"epoch:1":{"epo{"op_code":6,"trial_id":0,"state":1}'
    path.write_bytes(torn + b'\n{"op_code":4,"study_id":0}\n')
    with pytest.raises(ValueError, match="is damaged"):
        list(ReadOnlyJournal(path, with_epochs=False).read_logs(0))


def test_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="is open for reading"):
        ReadOnlyJournal(tmp_path / "journal").append_logs([{}])
    assert list(tmp_path.iterdir()) == []
