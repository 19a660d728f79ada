"""Figures as picture files, drawn by a headless browser through kaleido, all in one session."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import kaleido
import plotly.graph_objects as go

_WIDTH_PIXELS = 1000
_TIMEOUT_S = 60.0


def write_images(figures: Mapping[str, go.Figure], folder: Path) -> str | None:
    """Write each figure as `folder`/`name`.png; the names include no ending.

    Returns:
        None when all were written; otherwise why not, in one line. Nothing is raised: pictures are an extra.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".drawing-", dir=folder))
    except OSError as error:
        return str(error)
    try:
        problems = _draw(figures, temporary)
        for drawn in sorted(temporary.glob("*.png")):
            drawn.replace(folder / drawn.name)
    # A browser that is missing, too old or out of memory fails in ways that no list of exceptions covers.
    except Exception as error:  # noqa: BLE001
        return _first_line(error)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return "; ".join(problems) or None


def _draw(figures: Mapping[str, go.Figure], folder: Path) -> list[str]:
    requests = [
        {
            "fig": drawn,
            "path": str(folder / f"{name}.png"),
            "opts": {"format": "png", "width": _WIDTH_PIXELS, "height": drawn.layout.height or 480, "scale": 2},
        }
        for name, drawn in figures.items()
    ]
    # Without mathjax=False the page would ask the network for it.
    errors = kaleido.write_fig_from_object_sync(requests, kopts={"mathjax": False, "timeout": _TIMEOUT_S})
    return [_first_line(error) for error in errors or ()]


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
