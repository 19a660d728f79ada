"""A stage whose own task finds the disk full: tried again for a while; what is said where it stays so."""

import errno
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ray.exceptions import RayTaskError
from rich.console import Console

import search_spaces
from study import store as stores
from study.cluster import TrialResources
from study.errors import StageFailedError
from study.failures import failed, patiently
from study.launch import Launch
from study.progress import Progress
from tests.factories import study_config, training_data
from trainables.patience import Patience, StoreUnwritableError


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """It waits a minute, by a clock that goes on by 10 s each time that it is looked at."""
    clock = iter(range(0, 10_000, 10))
    with stores.create(tmp_path / "study", study_config()) as created:
        patience = Patience("DIR", 60.0, tell=lambda _: None, sleep=lambda _: None, clock=lambda: float(next(clock)))
        store = replace(created, patience=patience)
        progress = Progress(store.paths, store.record, Console(file=io.StringIO()), 6)
        space = search_spaces.build(store.config.space)
        yield Launch(store, space, training_data(), TrialResources(1, 0.0, 2), progress, lambda: False)


def stage(*refusals: BaseException) -> Callable[[], str]:
    """A stage whose task meets these, one after the other, as Ray tells of them; then it is through."""
    left = list(refusals)

    def run() -> str:
        if left:
            cause = left.pop(0)
            of_ray = RayTaskError("task", "Traceback", cause)  # type: ignore[no-untyped-call]
            raise StageFailedError(f"{type(cause).__name__}: {cause}") from of_ray
        return "done"

    return run


def test_stage_goes_on_once_there_is_room(launch: Launch) -> None:
    assert patiently(launch, stage(*[OSError(errno.ENOSPC, "No space left on device")] * 3)) == "done"
    assert launch.store.patience.given_up is None


def test_disk_that_stays_full_ends_the_launch_with_how_to_go_on(launch: Launch) -> None:
    with pytest.raises(StoreUnwritableError) as refused:
        patiently(launch, stage(*[OSError(errno.ENOSPC, "No space left on device")] * 100))
    root = launch.store.paths.root
    assert str(failed(launch, refused.value)) == (
        "DIR cannot be written to (No space left on device), for 1 min. Nothing finished is lost: mend that, then "
        f"kd-study resume {root} goes on"
    )
    assert not launch.store.paths.failure.exists()


def test_failure_of_another_kind_is_told_at_once_and_named_once(launch: Launch) -> None:
    with pytest.raises(StageFailedError, match=r"^ValueError: no such layer$") as raised:
        patiently(launch, stage(ValueError("no such layer"), OSError(errno.ENOSPC, "never reached")))
    assert str(failed(launch, raised.value)).startswith("ValueError: no such layer (see ")


def test_file_that_is_missing_is_not_waited_for(launch: Launch) -> None:
    with pytest.raises(StageFailedError, match="FileNotFoundError"):
        patiently(launch, stage(FileNotFoundError(errno.ENOENT, "No such file or directory")))
