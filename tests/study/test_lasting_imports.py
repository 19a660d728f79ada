"""What the garbage collector is told of imports."""

import gc
from collections.abc import Iterator

import pytest

from study.lasting_imports import lasting_imports


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.unfreeze()


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
