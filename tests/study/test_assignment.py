"""What the search tells a trial's process."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from study import stages
from study.cluster import TrialResources
from study.search.proposer import Proposal
from tests.factories import student
from tests.profiles import profile
from trainables.config import Execution
from trainables.measurements import ArchitectureProfile, ProfilesRecord
from trainables.study_paths import StudyPaths


def test_a_trial_is_told_the_execution_of_its_network_and_batch_size(tmp_path: Path) -> None:
    measured = profile(student(width=2).model, 2, 0.2)
    ways = [Execution(), Execution(compile="default"), Execution(compile="cuda_graphs")]
    trainings = [each.model_copy(update={"execution": way}) for each, way in zip(measured.trainings, ways, strict=True)]
    known = measured.model_copy(update={"trainings": tuple(trainings)})
    profiles = ProfilesRecord(fingerprint="", teacher=measured, students={known.model.key: known})
    store: Any = SimpleNamespace(paths=StudyPaths(tmp_path), config=SimpleNamespace(metrics=()))
    resources = TrialResources(cpus=1, gpus=0.25, num_slots=1)

    def told(batch_size: int) -> Execution | None:
        proposal = Proposal(0, student(width=2, batch_size=batch_size), {}, 0, ())
        return stages._assignment(proposal, store, resources, profiles).execution

    assert [told(each.batch_size) for each in trainings] == ways
    assert told(2 * trainings[-1].batch_size) is None  # not measured: as it is done without trying


def test_a_trial_is_told_the_idle_power_of_the_board_that_its_network_was_measured_on(tmp_path: Path) -> None:
    """Unknown of a network that was not measured, and of one from before idle power was kept."""
    measured = profile(student(width=2).model, 2, 0.2, has_gpu=True)
    idle = measured.model_copy(update={"device": measured.device.model_copy(update={"idle_watts": 21.5})})
    store: Any = SimpleNamespace(paths=StudyPaths(tmp_path), config=SimpleNamespace(metrics=()))
    resources = TrialResources(cpus=1, gpus=0.25, num_slots=1)

    def told(known: ArchitectureProfile, width: int) -> float | None:
        profiles = ProfilesRecord(fingerprint="", teacher=known, students={known.model.key: known})
        proposal = Proposal(0, student(width=width), {}, 0, ())
        return stages._assignment(proposal, store, resources, profiles).idle_watts

    assert [told(idle, 2), told(idle, 3), told(measured, 2)] == [21.5, None, None]
