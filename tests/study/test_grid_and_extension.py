"""A grid holds every student once, and an extended study goes on as a longer one would have."""

from collections import Counter
from pathlib import Path

from study import store as stores
from tests.study.test_proposer import cnn_space, finish, proposer, run_all
from tests.study.test_store import extend
from trainables.config import StudentConfig

GRID = {"widths": (1, 2), "steps": 2}  # labels: 2 widths x 2 rates; kd: times 2 temperatures times 2 alphas


def students_of(directory: Path) -> list[StudentConfig]:
    with stores.reopen(directory) as store:
        return [record.student for record in store.trials() if record.duplicate_of is None and record.student]


def test_grid_tries_every_student_once_and_then_ends(tmp_path: Path) -> None:
    with proposer(tmp_path, cnn_space(**GRID), search={"num_trials": 100, "sampler": "grid"}) as each:
        proposals = run_all(each)
        assert each.is_finished
    students = [proposal.student.model_dump_json() for proposal in proposals]
    assert len(students) == len(set(students)) == 4 + 16
    assert Counter(proposal.student.loss.name for proposal in proposals) == {"labels": 4, "kd": 16}


def test_grid_interrupted_anywhere_holds_the_same_students(tmp_path: Path) -> None:
    search = {"num_trials": 20, "sampler": "grid"}
    with proposer(tmp_path / "whole", cnn_space(**GRID), search=search) as each:
        run_all(each)
    for _ in range(20):
        with proposer(tmp_path / "cut", cnn_space(**GRID), search=search) as each:
            proposal = each.next()  # asked, and its driver dies
            assert proposal is not None
        with proposer(tmp_path / "cut", cnn_space(**GRID), search=search) as each:
            again = each.next()
            assert again is not None
            assert again.student == proposal.student
            finish(each, again)
    assert students_of(tmp_path / "cut") == students_of(tmp_path / "whole")


def test_extended_study_goes_on_to_what_a_longer_one_would_have_asked(tmp_path: Path) -> None:
    """Trial by trial: the shares of the methods and the seeds of the asks do not depend on how many are wanted."""
    longer = {"num_trials": 14, "num_startup_trials": 4}
    with proposer(tmp_path / "longer", cnn_space(), search=longer) as each:
        run_all(each)
    with proposer(tmp_path / "short", cnn_space(), search=longer | {"num_trials": 8}) as each:
        run_all(each)
    before = students_of(tmp_path / "short")
    extend(tmp_path / "short", 14)
    with proposer(tmp_path / "short", cnn_space()) as each:
        assert each.num_trials == 14
        assert len(run_all(each)) == 6
        assert each.is_finished
    assert students_of(tmp_path / "short")[:8] == before
    assert students_of(tmp_path / "short") == students_of(tmp_path / "longer")
