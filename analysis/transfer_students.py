"""Which trained students of a study are held against its teacher, and which labels-only one is each one's control."""

from collections.abc import Mapping, Sequence

from analysis.findings import accuracy, finished
from analysis.results import StudyResults
from analysis.students import LABELS_METHOD
from analysis.transfer_findings import is_alike
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
    batches, learning rate and seed, so that only what taught it differs. Where there is none, it is one that learned
    from the same images but was tuned for itself: for the best of its kind the labels-only best of its network with
    the same training seed, for a student of the search the most accurate labels-only one of its network. Others have
    none.
    """
    verified = _verified(results, paths)
    chosen = verified or _searched(results, paths)
    best = _best_of_their_kind(results, paths) if verified else {}
    return tuple(each.model_copy(update={"control": _control(each, chosen, best)}) for each in chosen)


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


def _best_of_their_kind(results: StudyResults, paths: StudyPaths) -> dict[str, float]:
    """Weights of the verified runs that are the best of a kind, also as something else; accuracy in the search."""
    runs = () if results.verification is None else results.verification.runs
    reached = {trial.number: accuracy(trial) for trial in finished(results)}
    return {
        paths.verified_weights(run.fingerprint).relative_to(paths.root).as_posix(): reached.get(run.trial, 0.0)
        for run in runs
        if run.role is Role.BEST
    }


def _control(student: AnalysedStudent, among: Sequence[AnalysedStudent], best: Mapping[str, float]) -> str | None:
    mine = student.student
    if mine.loss.name == LABELS_METHOD:
        return None
    same = [each for each in among if each.student.loss.name == LABELS_METHOD and each.student.model == mine.model]
    alike = [each for each in same if is_alike(mine, each.student)]
    if alike:
        return alike[0].weights
    if student.role is None:
        found = [each for each in same if each.student.transfer == mine.transfer]
    elif student.weights in best:
        found = [each for each in same if each.weights in best and _is_beside(mine, each.student)]
        found.sort(key=lambda each: (each.student.transfer != mine.transfer, -best[each.weights]))
    else:
        found = []
    return found[0].weights if found else None


def _is_beside(student: StudentConfig, control: StudentConfig) -> bool:
    """Whether both learned from the same kind of transfer set, with the same training seed."""
    drawn_alike = control.transfer.model_copy(update={"seed": student.transfer.seed}) == student.transfer
    return drawn_alike and control.training.seed == student.training.seed
