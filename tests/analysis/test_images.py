"""Pictures: all in one session, and never a reason to fail."""

from pathlib import Path
from typing import Any

import kaleido
import plotly.graph_objects as go
import pytest

from analysis.images import write_images

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def figures() -> dict[str, go.Figure]:
    return {name: go.Figure(go.Scatter(y=[1, 2])) for name in ("one", "two")}


def test_all_pictures_are_drawn_in_one_session(
    figures: dict[str, go.Figure], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[int] = []

    def draw(requests: list[dict[str, Any]], **_: object) -> tuple[Exception, ...]:
        sessions.append(len(requests))
        for request in requests:
            Path(request["path"]).write_bytes(PNG_SIGNATURE)
        return ()

    monkeypatch.setattr(kaleido, "write_fig_from_object_sync", draw)
    assert write_images(figures, tmp_path / "figures") is None
    assert sessions == [2]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["one.png", "two.png"]


def test_missing_browser_is_told_in_one_line_not_raised(
    figures: dict[str, go.Figure], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(*_: object, **__: object) -> None:
        raise RuntimeError("no Chrome\nlong explanation")

    monkeypatch.setattr(kaleido, "write_fig_from_object_sync", draw)
    assert write_images(figures, tmp_path) == "no Chrome"
    assert list(tmp_path.iterdir()) == []


def test_figure_that_cannot_be_drawn_does_not_take_the_others_with_it(
    figures: dict[str, go.Figure], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(requests: list[dict[str, Any]], **_: object) -> tuple[Exception, ...]:
        Path(requests[0]["path"]).write_bytes(PNG_SIGNATURE)
        return (TimeoutError(),)

    monkeypatch.setattr(kaleido, "write_fig_from_object_sync", draw)
    assert write_images(figures, tmp_path) == "TimeoutError"
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def test_folder_that_cannot_be_made_is_told(figures: dict[str, go.Figure], tmp_path: Path) -> None:
    (tmp_path / "figures").write_text("a file", encoding="utf-8")
    assert "figures" in (write_images(figures, tmp_path / "figures") or "")


@pytest.mark.slow
def test_browser_draws_a_picture(figures: dict[str, go.Figure], tmp_path: Path) -> None:
    problem = write_images(figures, tmp_path)
    if problem is not None:
        pytest.skip(f"no browser: {problem}")
    assert all((tmp_path / f"{name}.png").read_bytes().startswith(PNG_SIGNATURE) for name in figures)
