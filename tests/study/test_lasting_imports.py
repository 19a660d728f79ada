"""What the garbage collector is told of imports."""

import gc

import pytest

from study.cli import _action
from study.lasting_imports import lasting_imports


def test_collector_does_not_see_what_was_made_within_and_sees_what_comes_after() -> None:
    with lasting_imports():
        assert not gc.isenabled()
        made: dict[str, list[int]] = {"within": []}
    later: list[object] = [made]
    assert gc.isenabled()
    seen = gc.get_objects()
    assert not any(each is made for each in seen)
    assert any(each is later for each in seen)


def test_import_that_fails_leaves_the_collector_at_work() -> None:
    with pytest.raises(ImportError), lasting_imports():
        raise ImportError("no such module")
    assert gc.isenabled()


def test_what_a_command_imports_is_not_looked_through() -> None:
    gc.unfreeze()
    _action("report")
    assert gc.get_freeze_count() > 0
