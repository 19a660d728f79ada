"""A student's trial that watches its memory. Imports no more than a trial does: its imports are what is left out."""

import json
from pathlib import Path
from typing import Any

from tests.benchmarks.memory_watch import MemoryWatch
from trainables.data.image_arrays import TrainingData
from trainables.student import StudentTrial
from trainables.teacher_outputs import TeacherArrays


class WatchedStudentTrial(StudentTrial):
    """Watches its memory from the moment it is set up: all is imported, and its arrays lie in the object store."""

    def begin_with(self, config: dict[str, Any], data: TrainingData, teacher: TeacherArrays) -> None:
        """As it is, watched."""
        self._watch = MemoryWatch()
        super().begin_with(config, data, teacher)

    def step(self) -> dict[str, Any]:
        """An epoch, its evaluation, checkpoint and weights; then what it took."""
        report = super().step()
        with (Path(self._assignment.weights).parents[1] / "memory").open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(self._watch.growth() | {"failure": report["failure"]}) + "\n")
        return report

    def cleanup(self) -> None:
        """Let go of the watch too."""
        self._watch.stop()
        super().cleanup()
