"""The last words of a launch that failed: what it failed of, and how to go on."""

import contextlib
import traceback

from study.errors import StageFailedError
from study.launch import Launch
from trainables.patience import is_passing
from trainables.whole_files import write_text


def failed(launch: Launch, error: BaseException) -> StageFailedError:
    """Tell whoever watches, keep the traceback where it is of use, and return what is to be raised."""
    paths = launch.store.paths
    why = _words(error)
    given_up = launch.store.patience.given_up
    if given_up is not None or is_of_the_store(error):
        why = str(given_up.strerror) if given_up is not None else why
        text = f"{why}. Nothing finished is lost: mend that, then kd-study resume {paths.root} goes on"
    else:
        with contextlib.suppress(OSError):
            write_text(paths.failure, "".join(traceback.format_exception(error)))
        text = f"{why} (see {paths.failure}); once that is mended, kd-study resume {paths.root} goes on"
    launch.progress.finish("failed", text)
    return StageFailedError(text)


def is_of_the_store(error: BaseException | None) -> bool:
    """Whether the error, or one that it came of, is of a kind that a full or missing disk gives."""
    while error is not None:
        of_task = getattr(error, "cause", None)  # what Ray gives for a task's error holds the task's own so
        if is_passing(error) or (isinstance(of_task, BaseException) and is_passing(of_task)):
            return True
        error = error.__cause__
    return False


def _words(error: BaseException) -> str:
    """In one line; Tune gives a whole traceback as the text of its error, whose last line says what it was."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    if lines and lines[0].startswith("Traceback"):
        return lines[-1]
    return f"{type(error).__name__}: {error}"
