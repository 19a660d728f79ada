"""The README's example of a method of one's own, run as it is printed."""

import re
import subprocess
from collections import Counter
from pathlib import Path

from analysis.results import read_study
from tests.end_to_end.conftest import environment, kd_study, overrides
from trainables.records import TrialState

README = Path(__file__).parents[2] / "README.md"
FASTER = (
    "dataset.max_train_images=600",
    "dataset.num_validation_images=100",
    "resources.dashboard=false",
    "resources.object_store_mib=100",
    "profile.inference_batch_sizes=[1]",
    "profile.seconds_per_batch_size=0.1",
    "profile.seconds_per_training_batch_size=0.1",
    "profile.max_attempts=1",
)


def block(first_line: str) -> str:
    """The fenced block of the README that starts with a comment naming its file."""
    match = re.search(rf"```\w+\n({re.escape(first_line)}.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None, f"the README has no block that begins with {first_line}"
    return match.group(1)


def test_own_loss_from_the_readme_is_searched_beside_the_built_in_methods(tmp_path: Path) -> None:
    (tmp_path / "my_losses.py").write_text(block("# my_losses.py"), encoding="utf-8")
    (tmp_path / "my_study.toml").write_text(block("# my_study.toml"), encoding="utf-8")
    command = kd_study("run", "my_study.toml", "--dir", "out", *overrides(FASTER))
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=environment(), cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    trials = read_study(tmp_path / "out").trials
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    methods = Counter(trial.parameters["method"] for trial in trials)
    assert methods == {"labels": 2, "kd": 2, "my_losses:logit_mse": 2}
