"""Teachers that were trained elsewhere: their files read, held against the dataset, and stored as a trained one is."""

import hashlib
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.factories import training_data
from tests.trainables.test_teacher import TEACHER, train
from trainables.brought_teacher import brought_weights, pinned, read_weights, source_of
from trainables.checkpoints import load_weights
from trainables.config import ModelConfig
from trainables.models import build
from trainables.records import TeacherRecord
from trainables.study_paths import StudyPaths
from trainables.teacher import bring_teacher, load_teacher
from trainables.teacher_config import TeacherConfig

SHAPE, NUM_CLASSES = (1, 8, 8), 3


def brought(*files: Path) -> TeacherConfig:
    return TeacherConfig(model=TEACHER.model, weights=tuple(map(str, files)))


def bring(teacher: TeacherConfig, folder: Path) -> TeacherRecord:
    teacher = pinned(teacher)
    weights = brought_weights(teacher, SHAPE, NUM_CLASSES)
    paths = StudyPaths(folder).teacher
    (record,) = bring_teacher(teacher, weights, source_of(teacher), training_data(), paths, "f", 1)
    return record


def state(width: int = 2, num_classes: int = NUM_CLASSES) -> dict[str, torch.Tensor]:
    model = TEACHER.model.model_copy(update={"options": {"width": width}})
    return build(model, input_shape=SHAPE, num_classes=num_classes).state_dict()


def test_teacher_that_is_brought_is_the_one_that_was_trained(tmp_path: Path) -> None:
    """The weights of another study's teacher: the same accuracy and outputs, without an epoch."""
    theirs = train(tmp_path / "theirs")[-1]
    file = StudyPaths(tmp_path / "theirs").teacher.weights
    ours = bring(brought(file), tmp_path / "ours")
    assert (ours.validation_accuracy, ours.validation_nll) == (theirs.validation_accuracy, theirs.validation_nll)
    assert (ours.epochs, ours.train_seconds, ours.num_parameters) == (0, 0.0, theirs.num_parameters)
    assert ours.source is not None
    assert str(file) in ours.source
    stored = [
        load_teacher(StudyPaths(tmp_path / name).teacher, record)
        for name, record in (("theirs", theirs), ("ours", ours))
    ]
    assert np.array_equal(stored[0].train_logits_NC, stored[1].train_logits_NC)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_state_dicts_are_found_where_scripts_put_them(tmp_path: Path, wrapper: str | None, prefix: str) -> None:
    own = state()
    saved: Any = {f"{prefix}{name}": tensor for name, tensor in own.items()}
    torch.save({wrapper: saved, "epoch": 3} if wrapper else saved, tmp_path / "teacher.pth")
    found = read_weights(tmp_path / "teacher.pth")
    assert found.keys() == own.keys()
    assert all(torch.equal(found[name], own[name]) for name in own)


def test_several_files_are_an_ensemble(tmp_path: Path) -> None:
    files = [tmp_path / f"{place}.safetensors" for place in range(2)]
    for file in files:
        save_file(state(), file)
    record = bring(brought(*files), tmp_path / "study")
    assert record.model.key == 'ensemble(num_members=2,of="cnn",width=2)'
    stored = load_teacher(StudyPaths(tmp_path / "study").teacher, record)
    probabilities = np.exp(stored.validation_logits_NC)
    assert np.allclose(probabilities.sum(1), 1.0, atol=1e-5)
    assert {name.split(".")[1] for name in stored.weights} == {"0", "1"}


def test_half_precision_is_read_as_single(tmp_path: Path) -> None:
    torch.save({name: tensor.half() for name, tensor in state().items()}, tmp_path / "half.pt")
    weights = brought_weights(brought(tmp_path / "half.pt"), SHAPE, NUM_CLASSES)
    assert {each.dtype for each in weights.values()} == {np.dtype(np.float32)}


def test_counters_that_old_files_lack_are_added() -> None:
    """torch before 0.4.1 did not count the batches that a norm has seen."""
    model = ModelConfig(name="resnet8")
    whole = build(model, input_shape=SHAPE, num_classes=NUM_CLASSES).state_dict()
    old = {name: tensor for name, tensor in whole.items() if not name.endswith("num_batches_tracked")}
    with tempfile.TemporaryDirectory() as folder:
        torch.save(old, Path(folder) / "old.pth")
        teacher = TeacherConfig(model=model, weights=(f"{folder}/old.pth",))
        assert brought_weights(teacher, SHAPE, NUM_CLASSES).keys() == whole.keys()


def test_file_that_has_changed_since_the_study_began_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.safetensors"
    save_file(state(), file)
    begun = pinned(brought(file))
    assert begun.sha256 == (hashlib.sha256(file.read_bytes()).hexdigest(),)
    assert pinned(begun) == begun
    save_file(state(), file)
    with pytest.raises(ValueError, match=r"t\.safetensors: is not what the study began with"):
        pinned(begun)


def test_paths_are_whole_once_a_study_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_file(state(), "t.safetensors")
    assert pinned(brought(Path("t.safetensors"))).weights == (str(tmp_path / "t.safetensors"),)


@pytest.mark.parametrize("options", [{"of": "cnn"}, {"num_members": 3}])
def test_ensembles_are_not_ensembles_of_ensembles(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="several of it make an ensemble, which it must not be itself"):
        TeacherConfig.model_validate(
            {"model": {"name": "ensemble", "options": options}, "training": {"epochs": 1}, "num_members": 2}
        )


def test_weights_of_the_builder_are_not_fetched_where_others_follow() -> None:
    model = ModelConfig(name="torchvision", options={"architecture": "resnet18", "weights": "DEFAULT"})
    assert model.without_weights.options == {"architecture": "resnet18"}
    assert TeacherConfig(model=model, weights="as_built").network == model.without_weights
    assert TEACHER.model.without_weights == TEACHER.model


def test_network_as_it_is_built_needs_no_file() -> None:
    teacher = TeacherConfig(model=TEACHER.model, weights="as_built")
    assert brought_weights(teacher, SHAPE, NUM_CLASSES).keys() == state().keys()
    assert source_of(teacher) == "as cnn is built"


class Trap:
    """What a hostile file does when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("sprung",)


def test_code_in_a_file_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Trap()}, tmp_path / "trap.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Trap()))
    for name in ("trap.pth", "old.pth"):
        with pytest.raises(ValueError, match="not a state dict that can be read without executing it"):
            read_weights(tmp_path / name)
    assert not Path("sprung").exists()


def test_file_that_does_not_fit_is_told_by_what(tmp_path: Path) -> None:
    def refused(weights: dict[str, torch.Tensor]) -> str:
        save_file({name: tensor.clone() for name, tensor in weights.items()}, tmp_path / "t.safetensors")
        with pytest.raises(ValueError, match="does not fit model") as caught:
            brought_weights(brought(tmp_path / "t.safetensors"), SHAPE, NUM_CLASSES)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "classifier.weight is (7, 16) there and (3, 16) here, where the dataset has 3 classes" in refused(
        state(num_classes=7)
    )
    assert "stage1.0.weight is (5, 1, 3, 3) there and (2, 1, 3, 3) here" in refused(state(width=5))
    lacking = state()
    del lacking["classifier.bias"]
    assert "it lacks classifier.bias" in refused(lacking)
    assert "it has fc.bias, which the network has not" in refused(state() | {"fc.bias": torch.zeros(3)})
    endless = state()
    endless["classifier.bias"] = torch.full((3,), float("inf"))
    assert "classifier.bias is not finite" in refused(endless)


def test_missing_and_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"teacher\.weights: .*gone\.pth: there is no such file"):
        read_weights(tmp_path / "gone.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match=r"list\.pth: holds a list, not tensors by name"):
        read_weights(tmp_path / "list.pth")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"teacher\.weights: .*torn\.safetensors: not a readable safetensors file"):
        read_weights(tmp_path / "torn.safetensors")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_files_of_old_that_are_cut_short_are_one_line(tmp_path: Path, share: float) -> None:
    torch.save(state(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "old.pth").read_bytes()
    (tmp_path / "old.pth").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"teacher\.weights: .*old\.pth: ") as caught:
        read_weights(tmp_path / "old.pth")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "training: is required, or weights"),
        ({"weights": "a.pth", "training": {"epochs": 1}}, "a brought teacher has no training"),
        ({"weights": ["a.pth"], "num_members": 2}, "num_members = 2: of a teacher that is brought"),
        ({"training": {"epochs": 1}, "num_members": 0}, "greater than or equal to 1"),
    ],
)
def test_teacher_is_trained_or_brought(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TeacherConfig.model_validate({"model": {"name": "cnn"}, **fields})


def test_ensemble_is_trained_member_by_member_and_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    """Its first member is the teacher that there would be alone; cut off in the second, it comes to the same bits."""
    pair = TEACHER.model_copy(update={"num_members": 2})
    *told, record = train(tmp_path / "whole", teacher=pair)
    assert [(each["member"], each["epoch"]) for each in told] == [(m, e) for m in (1, 2) for e in (1, 2, 3)]
    assert record.model.key == 'ensemble(num_members=2,of="cnn",width=2)'
    train(tmp_path / "alone")
    alone, whole = (load_weights(StudyPaths(tmp_path / name).teacher.weights) for name in ("alone", "whole"))
    assert all(torch.equal(whole[f"members.0.{name}"], alone[name]) for name in alone)
    assert not torch.equal(whole["members.1.classifier.weight"], whole["members.0.classifier.weight"])

    train(tmp_path / "cut", teacher=pair, epochs=4)
    rest = train(tmp_path / "cut", teacher=pair)
    assert [(each["member"], each["epoch"]) for each in rest[:-1]] == [(2, 2), (2, 3)]
    cut = load_weights(StudyPaths(tmp_path / "cut").teacher.weights)
    assert all(torch.equal(cut[name], whole[name]) for name in whole)
    checkpoints = StudyPaths(tmp_path / "cut").teacher.checkpoints
    assert [path.name for path in checkpoints] == ["checkpoint-0.pt", "checkpoint-1.pt"]  # the driver's to remove
