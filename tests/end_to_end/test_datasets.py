"""A study on each dataset, from small files in the format that it is published in, through the command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from analysis.results import read_study
from tests.end_to_end.conftest import environment, overrides
from tests.trainables.data.test_datasets import MAKERS
from trainables.records import TrialState
from trainables.study_paths import StudyPaths

# The files are small, and have neither the sums nor the counts of the published ones: the driver, which alone reads
# them, is told of others.
PROGRAM = """
import sys
from pathlib import Path
import pytest
from study.cli import main
from tests.trainables.data.test_datasets import MAKERS
name, folder = sys.argv[1:3]
MAKERS[name](Path(folder), pytest.MonkeyPatch())
sys.argv[1:3] = []
main()
"""
FIELDS = (
    "dataset.num_validation_images=5",
    'objectives=["validation_accuracy", "num_parameters"]',
    "search.num_trials=4",
    "teacher.training.epochs=1",
    "space.options.widths=[1, 2]",
    "space.options.epochs=1",
    "space.options.batch_sizes=[16]",
    "profile.inference_batch_sizes=[1]",
    "verify.max_students=1",
    "verify.seeds=2",
)
RESIDUAL = (
    'teacher.model={name="resnet8x4"}',
    'space.name="network_distillation"',
    'space.options={student="resnet8", widths=[0.25, 0.5], epochs=1, batch_sizes=[16], shift_pixels=4, flip=true}',
)


def options(name: str, folder: Path) -> str:
    root = f'path="{folder / "mine.npz"}"' if name == "arrays" else f'root="{folder}"'
    return f'dataset={{name="{name}", options={{{root}}}, num_validation_images=5}}'


@pytest.mark.parametrize(
    "name",
    [name if name == "cifar100" else pytest.param(name, marks=pytest.mark.slow) for name in sorted(MAKERS)],
)
def test_study_of_a_dataset_comes_to_its_report(name: str, tmp_path: Path) -> None:
    """CIFAR-100 with its own kind of networks and views, which the live teacher shares."""
    folder, directory = tmp_path / "files", tmp_path / "study"
    fields = [*FIELDS, options(name, folder)]
    if name == "cifar100":
        fields = [*(each for each in fields if not each.startswith("space.")), *RESIDUAL]
    command = [sys.executable, "-c", PROGRAM, name, str(folder), "run", "smoke", "--dir", str(directory)]
    ended = subprocess.run(
        [*command, *overrides(fields)], capture_output=True, text=True, check=False, timeout=300,
        env={**environment(), "KD_STUDY_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    study = read_study(directory)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4
    assert study.verification is not None
    assert all(run.on_test is not None for run in study.verification.runs)
    assert name in StudyPaths(directory).report_html.read_text("utf-8")
