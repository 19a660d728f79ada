"""What Tune itself makes of a process that died, on which the search relies: no failure where Ray says preempted."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayActorError
from ray.tune.experiment import Trial


@pytest.mark.parametrize("preempted", [True, False])
def test_tune_starts_a_preempted_trial_again_by_itself_and_leaves_every_other_to_the_search(
    tmp_path: Path, preempted: bool
) -> None:
    storage: Any = SimpleNamespace(trial_driver_staging_path=str(tmp_path))
    trial = Trial("__fake", stub=True, max_failures=0)
    trial.storage = storage
    trial.handle_error(RayActorError(preempted=preempted))
    assert trial.should_recover() is preempted  # type: ignore[no-untyped-call]
