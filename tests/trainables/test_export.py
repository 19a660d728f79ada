"""A student as files that travel: whole or not there, and a program that does what the network does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.factories import student, training_data
from tests.trainables.models.test_models import FAMILIES, build_small
from trainables import export
from trainables.checkpoints import load_weights, save_weights
from trainables.config import ModelConfig
from trainables.export import ExportCard, export_student, exported_program, largest_difference
from trainables.models import build
from trainables.verification import preprocessing_of

LOAD_WITH_TORCH_ALONE = """
import json, sys, torch
program = torch.export.load(sys.argv[1] + "/student.pt2").module()
images = torch.load(sys.argv[1] + "/images.pt")
print(json.dumps({"logits": program(images).tolist(), "ours": sorted(
    {name.split(".")[0] for name in sys.modules} & {"trainables", "study", "analysis", "ray", "pydantic"})}))
"""


def card() -> ExportCard:
    return ExportCard(
        study="s",
        trial=3,
        weights_of="students/3.safetensors",
        student=student(width=3),
        preprocessing=preprocessing_of(training_data()),
        metrics={"validation_accuracy": 0.9},
        versions={"torch": "2"},
        num_checked_images=0,
        largest_logit_difference=0.0,
    )


def network() -> torch.nn.Module:
    return build(ModelConfig(name="cnn", options={"width": 3}), input_shape=(1, 8, 8), num_classes=3).eval()


def weights(folder: Path) -> Path:
    path = folder / "3.safetensors"
    save_weights(path, network().state_dict())
    return path


def images(count: int = 20) -> torch.Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_exported_folder_holds_weights_card_and_program_and_nothing_else(tmp_path: Path) -> None:
    written = export_student(card(), weights(tmp_path), images(), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"student.safetensors", "card.json", "student.pt2"}
    assert ExportCard.model_validate_json((tmp_path / "out" / "card.json").read_bytes()) == written
    assert written.num_checked_images == 20
    assert written.largest_logit_difference <= 1e-4
    assert {path.name for path in tmp_path.iterdir()} == {"3.safetensors", "out"}


def test_program_runs_where_there_is_torch_alone(tmp_path: Path) -> None:
    """In an interpreter that loads none of our packages, on one image and on more than the example had."""
    export_student(card(), weights(tmp_path), images(), tmp_path / "out")
    torch.save(images(7), tmp_path / "out" / "images.pt")
    command = [sys.executable, "-c", LOAD_WITH_TORCH_ALONE, str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    said = json.loads(ended.stdout)
    original = network()
    original.load_state_dict(load_weights(tmp_path / "3.safetensors"))
    with torch.inference_mode():
        assert torch.allclose(torch.tensor(said["logits"]), original(images(7)), atol=1e-4)
    assert said["ours"] == []


@pytest.mark.parametrize("name", FAMILIES)
def test_every_network_is_exported_for_any_number_of_images(name: str) -> None:
    original = build_small(name)
    program = exported_program(original, torch.randn(2, 1, 28, 28))
    assert largest_difference(original.eval(), program, torch.randn(50, 1, 28, 28)) <= 1e-4


def test_program_keeps_no_more_images_than_its_example(tmp_path: Path) -> None:
    """A view of 5,000 images would take all of them with it: 1.3 MB."""
    export_student(card(), weights(tmp_path), images(5_000), tmp_path / "out")
    assert (tmp_path / "out" / "student.pt2").stat().st_size < 200_000


def test_program_that_says_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = weights(tmp_path)
    monkeypatch.setattr(export, "exported_program", lambda _, example: exported_program(network(), example))
    with pytest.raises(ValueError, match=r"logits differ by .* allowed are 0\.0001; nothing was written"):
        export_student(card(), stored, images(), tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"3.safetensors"}


def test_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="out exists: an export goes to a folder that is new or empty"):
        export_student(card(), weights(tmp_path), images(), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    other = build(ModelConfig(name="cnn", options={"width": 5}), input_shape=(1, 8, 8), num_classes=3)
    save_weights(tmp_path / "5.safetensors", other.state_dict())
    with pytest.raises(ValueError, match=r"5\.safetensors: not the weights of cnn\(width=3\)"):
        export_student(card(), tmp_path / "5.safetensors", images(), tmp_path / "out")
