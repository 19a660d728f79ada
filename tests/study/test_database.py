"""A storage that is no file: refused in one line where it cannot be reached, and never with its password."""

import sys
from pathlib import Path

import pytest

from analysis.stored_trials import shown
from study import store as stores
from study.database import hold_in_database, open_database
from tests.factories import study_config
from trainables.patience import Patience

URL = "postgresql+psycopg://keeper:secret@127.0.0.1:1/trials"  # nothing listens at port 1


def test_server_that_does_not_answer_is_named_with_its_reason_and_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(ValueError, match=r'storage = ".*keeper:\*\*\*@127\.0\.0\.1:1/trials": .*refused') as raised:
        open_database(URL, Patience("DB", 60.0))
    assert "secret" not in str(raised.value)


def test_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ValueError, match=r"its package is missing .*pip install 'kd-study\[postgresql\]'"):
        open_database(URL, Patience("DB", 60.0))


def test_server_that_does_not_answer_is_refused_on_opening_a_study_and_nothing_stands(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with (
        pytest.raises(ValueError, match="cannot be opened"),
        stores.create(tmp_path / "study", study_config(storage=URL)),
    ):
        pass
    assert not (tmp_path / "study" / "study.json").exists()


@pytest.mark.parametrize("url", [None, "sqlite:///no/such/folder/study.db"])
def test_journal_and_file_of_sqlite_need_no_lock_beside_the_directorys(url: str | None) -> None:
    with hold_in_database(url, "study"), hold_in_database(url, "study"):
        pass


@pytest.mark.parametrize(("url", "expected"), [("sqlite:///a.db", "sqlite:///a.db"), ("nonsense", "nonsense")])
def test_url_without_a_password_is_shown_as_it_is(url: str, expected: str) -> None:
    assert shown(url) == expected
