"""The README's example of a study of one's own in all its parts, run as it is printed."""

import re
import subprocess
from collections import Counter
from pathlib import Path

from analysis.results import read_study
from tests.end_to_end.conftest import environment, kd_study, overrides
from trainables.records import TrialState

README = Path(__file__).parents[2] / "README.md"
FASTER = (
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


def test_own_network_data_method_and_space_from_the_readme_are_a_study(tmp_path: Path) -> None:
    for name in ("my_nets.py", "my_data.py", "my_losses.py", "my_spaces.py", "my_study.toml"):
        printed = block(f"# {name}")
        assert printed.count("\n") < 30
        (tmp_path / name).write_text(printed, encoding="utf-8")
    command = kd_study("run", "my_study.toml", "--dir", "out", *overrides(FASTER))
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=environment(), cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    trials = read_study(tmp_path / "out").trials
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    methods = Counter(trial.parameters["method"] for trial in trials)
    assert methods == {"labels": 2, "kd": 2, "my_losses:logit_mse": 2}
    assert {trial.parameters["width"] for trial in trials} == {1, 2}
    assert {trial.student.model.name for trial in trials if trial.student} == {"my_nets:small"}
