"""States and weights on disk: whole or not at all, and nothing executed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.full_disk import no_file_above
from trainables.checkpoints import load_state, load_weights, save_array, save_state, save_weights
from trainables.patience import is_passing


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("boom",))


def test_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    state = {"epoch": 3, "model": {"w": torch.randn(3, 4)}, "reports": [{"accuracy": 0.5, "gpu": None}]}
    save_state(tmp_path / "new" / "state.pt", state)
    loaded = load_state(tmp_path / "new" / "state.pt")
    assert loaded["epoch"] == 3
    assert loaded["reports"] == state["reports"]
    assert torch.equal(loaded["model"]["w"], state["model"]["w"])  # type: ignore[index]


def test_interrupted_write_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.pt"
    save_state(path, {"epoch": 1})

    def torn(_: object, target: Path) -> None:
        Path(target).write_bytes(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", torn)
    with pytest.raises(OSError, match="no space"):
        save_state(path, {"epoch": 2})
    assert load_state(path) == {"epoch": 1}


def test_state_that_would_execute_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "state.pt"
    torch.save({"epoch": Bomb()}, path)
    with pytest.raises(ValueError, match=r"state\.pt: not a readable training state"):
        load_state(path)
    assert "boom" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_torn_state_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"state\.pt: not a readable training state"):
        load_state(path)


def test_weights_come_back_whatever_their_memory_format(tmp_path: Path) -> None:
    weights = {"conv": torch.randn(2, 3, 3, 3).to(memory_format=torch.channels_last)}
    save_weights(tmp_path / "weights.safetensors", weights, metadata={"trial": "3"})
    assert torch.equal(load_weights(tmp_path / "weights.safetensors")["conv"], weights["conv"])


def test_torn_weights_are_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"\x00" * 20)
    with pytest.raises(ValueError, match=r"weights\.safetensors: not a readable safetensors file"):
        load_weights(path)


def test_disk_that_takes_a_part_of_a_file_is_told_as_one_that_is_waited_for(tmp_path: Path) -> None:
    """NumPy, torch and safetensors each have a word of their own for it."""
    large = torch.zeros(100_000)
    writers: dict[str, Callable[[Path], None]] = {
        "array.npy": lambda path: save_array(path, large.numpy()),
        "state.pt": lambda path: save_state(path, {"w": large}),
        "weights.safetensors": lambda path: save_weights(path, {"w": large}),
    }
    for name, write in writers.items():
        (tmp_path / name).write_bytes(b"as it was")
        with no_file_above(50_000), pytest.raises(OSError) as refused:  # noqa: PT011 - the kind is what is asked
            write(tmp_path / name)
        assert is_passing(refused.value), name
        assert (tmp_path / name).read_bytes() == b"as it was"
    save_array(tmp_path / "array.npy", np.arange(3))
    assert np.load(tmp_path / "array.npy").tolist() == [0, 1, 2]
