"""What becomes of a stage that fails: tried again while its store is away, or the last words and how to go on."""

import contextlib
import traceback
from collections.abc import Callable
from typing import TypeVar

from study.errors import StageFailedError
from study.launch import Launch
from trainables.patience import is_passing
from trainables.whole_files import write_text

_Done = TypeVar("_Done")


def patiently(launch: Launch, stage: Callable[[], _Done]) -> _Done:
    """Run what goes on where it was left, again and again while the store cannot be written to.

    Raises:
        StoreUnwritableError: the store stayed so for all the time that it is waited for.
        StageFailedError: the stage failed of something else.
    """

    def once() -> _Done:
        try:
            return stage()
        except StageFailedError as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            raise OSError(refusal.errno, refusal.strerror) from error

    return launch.store.patience.run(once)


def failed(launch: Launch, error: BaseException) -> StageFailedError:
    """Tell whoever watches, keep the traceback where it is of use, and return what is to be raised."""
    paths = launch.store.paths
    why = _words(error)
    given_up = launch.store.patience.given_up
    if given_up is not None or refusal_of(error) is not None:
        why = str(given_up.strerror) if given_up is not None else why
        text = f"{why}. Nothing finished is lost: mend that, then kd-study resume {paths.root} goes on"
    else:
        with contextlib.suppress(OSError):
            write_text(paths.failure, "".join(traceback.format_exception(error)))
        text = f"{why} (see {paths.failure}); once that is mended, kd-study resume {paths.root} goes on"
    launch.progress.finish("failed", text)
    return StageFailedError(text)


def refusal_of(error: BaseException | None) -> OSError | None:
    """The error, or the one that it came of, that is of a kind that a full or missing disk gives; None: none is."""
    while error is not None:
        of_task = getattr(error, "cause", None)  # what Ray gives for a task's error holds the task's own so
        for each in (error, of_task):
            if isinstance(each, OSError) and is_passing(each):
                return each
        error = error.__cause__
    return None


def _words(error: BaseException) -> str:
    """In one line; Tune gives a whole traceback as the text of its error, whose last line says what it was."""
    if isinstance(error, StageFailedError):  # its text says what
        return str(error)
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    if lines and lines[0].startswith("Traceback"):
        return lines[-1]
    return f"{type(error).__name__}: {error}"
