"""One process's work on a study: what its stages share, and how they read what earlier ones left."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from search_spaces.space import SearchSpace
from study.cluster import TrialResources
from study.errors import StageFailedError
from study.progress import Progress
from study.store import StudyStore
from trainables.config import Frozen
from trainables.data.image_arrays import TrainingData
from trainables.study_paths import TeacherPaths
from trainables.whole_files import read_record

_Record = TypeVar("_Record", bound=Frozen)


@dataclass(frozen=True, slots=True)
class Launch:
    """One process's work on a study: what the stages share."""

    store: StudyStore
    space: SearchSpace
    data: TrainingData
    resources: TrialResources
    progress: Progress
    asked_to_end: Callable[[], bool]

    @property
    def students_teacher(self) -> TeacherPaths:
        """Where what teaches the students stands: the teacher, or the last assistant."""
        return self.store.paths.in_chain(len(self.store.config.assistants))

    @property
    def has_students(self) -> bool:
        """Whether some have begun to learn: what they learn from stays as it is."""
        return any(trial.epochs for trial in self.store.trials())


def stored_record(path: Path, kind: type[_Record]) -> _Record | None:
    """The record at `path`; None where there is none.

    Raises:
        StageFailedError: there is one that cannot be read.
    """
    try:
        return read_record(path, kind)
    except ValueError as error:
        raise StageFailedError(f"{error}; remove it to have it made again") from error
