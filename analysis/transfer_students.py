"""Which trained students of a study are held against its teacher, and which labels-only one is each one's control."""

from collections.abc import Sequence

from analysis.findings import accuracy, finished
from analysis.results import StudyResults
from analysis.students import LABELS_METHOD
from trainables.config import Frozen, StudentConfig
from trainables.study_paths import StudyPaths
from trainables.verified import Role


class AnalysedStudent(Frozen):
    """A student with weights on the disk; the fields are those of `StudentTransfer`."""

    weights: str
    trial: int
    role: Role | None
    seed_index: int | None
    student: StudentConfig
    control: str | None = None


def analysed_students(results: StudyResults, paths: StudyPaths) -> tuple[AnalysedStudent, ...]:
    """The verified runs, each once; where there are none, the students that finished the search and have weights.

    The control of a distilled student is the labels-only one of the same network that was trained alike: the same
    batches, learning rate and seed, so that only what taught it differs. Where a search has none, it is the most
    accurate labels-only student of the network; verified students have their own, or none.
    """
    verified = _verified(results, paths)
    chosen = verified or _searched(results, paths)
    return tuple(each.model_copy(update={"control": _control(each, chosen)}) for each in chosen)


def _verified(results: StudyResults, paths: StudyPaths) -> list[AnalysedStudent]:
    runs = () if results.verification is None else results.verification.runs
    chosen: dict[str, AnalysedStudent] = {}
    for run in sorted(runs, key=lambda run: run.role is not Role.STUDENT):  # stable: a student before a partner
        weights = paths.verified_weights(run.fingerprint)
        if run.failure is None and weights.is_file():
            name = weights.relative_to(paths.root).as_posix()
            kept = AnalysedStudent(
                weights=name, trial=run.trial, role=run.role, seed_index=run.seed_index, student=run.student
            )
            chosen.setdefault(name, kept)
    order = [run.trial for run in runs]
    return sorted(chosen.values(), key=lambda each: order.index(each.trial))


def _searched(results: StudyResults, paths: StudyPaths) -> list[AnalysedStudent]:
    """From the most accurate on, so that this is the first control that is found."""
    chosen = []
    for trial in sorted(finished(results), key=lambda trial: -accuracy(trial)):
        weights = paths.student_weights(trial.number)
        if trial.student is not None and weights.is_file():
            name = weights.relative_to(paths.root).as_posix()
            chosen.append(
                AnalysedStudent(weights=name, trial=trial.number, role=None, seed_index=None, student=trial.student)
            )
    return chosen


def _control(student: AnalysedStudent, among: Sequence[AnalysedStudent]) -> str | None:
    if student.student.loss.name == LABELS_METHOD:
        return None
    same = [
        each
        for each in among
        if each.student.loss.name == LABELS_METHOD and each.student.model == student.student.model
    ]
    alike = [each for each in same if each.student.model_copy(update={"loss": student.student.loss}) == student.student]
    found = alike or (same if student.role is None else [])
    return found[0].weights if found else None
