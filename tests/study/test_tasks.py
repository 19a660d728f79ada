"""Tasks that stream, whose processes die: begun again, and nothing of what they yield is lost. No Ray is started."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import ray

from study.errors import StageFailedError
from study.tasks import streamed

CRASHED = ray.exceptions.WorkerCrashedError()


class Resumable:
    """A task of five epochs and a record, which goes on after the last epoch it told of; dies as it is told to."""

    def __init__(self, *dies_after: int) -> None:
        self._dies_after = list(dies_after)  # items, of each process that dies
        self._epoch = 0
        self.num_processes = 0

    def remote(self, name: str) -> Iterator[Any]:
        self.num_processes += 1
        left = self._dies_after.pop(0) if self._dies_after else None
        yield from itertools.islice(self._items(name), left)
        if left is not None:
            yield CRASHED

    def _items(self, name: str) -> Iterator[Any]:
        while self._epoch < 5:
            self._epoch += 1
            yield self._epoch
        yield f"record of {name}"


@pytest.fixture(autouse=True)
def objects_for_references(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(given: object) -> object:
        if isinstance(given, Exception):
            raise given
        return given

    monkeypatch.setattr(ray, "get", get)


@pytest.mark.parametrize("dies_after", [(0,), (1,), (4,), (2, 1), (0, 0, 0)])
def test_task_that_goes_on_after_its_process_died_tells_its_result(dies_after: tuple[int, ...]) -> None:
    """Ray's own retry ends the stream without it where the second process has fewer items left than the first told."""
    function = Resumable(*dies_after)
    told = list(streamed(function, "teacher"))
    assert told == [1, 2, 3, 4, 5, "record of teacher"]
    assert function.num_processes == 1 + len(dies_after)


def test_task_that_dies_again_and_again_without_an_item_is_given_up() -> None:
    function = Resumable(1, *[0] * 10)
    with pytest.raises(StageFailedError, match="its process ended 4 times in a row, at last: WorkerCrashedError: "):
        list(streamed(function, "teacher"))
    assert function.num_processes == 4


def test_deaths_with_an_item_in_between_are_not_added_up() -> None:
    function = Resumable(1, 0, 0, 1, 0, 0, 1)
    assert list(streamed(function, "teacher"))[-1] == "record of teacher"
    assert function.num_processes == 8


def test_failed_task_is_told_in_its_own_words_and_not_begun_again() -> None:
    error = ray.exceptions.RayTaskError("train_teacher", "traceback", ArithmeticError("the loss is nan"))  # type: ignore[no-untyped-call]

    class Failing:
        num_processes = 0

        def remote(self) -> Iterator[Any]:
            self.num_processes += 1
            yield error

    function = Failing()
    with pytest.raises(StageFailedError, match="ArithmeticError: the loss is nan"):
        next(streamed(function))
    assert function.num_processes == 1
