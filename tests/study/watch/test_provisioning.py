"""The dashboard in the folder that Ray's Grafana reads."""

import json
from pathlib import Path

import pytest

from study.watch.provisioning import DASHBOARD, RAYS_LAST, dashboard_json, provide_dashboard


def folder_of_rays(session: Path) -> Path:
    folder = session / "metrics" / "grafana" / "dashboards"
    folder.mkdir(parents=True)
    return folder


def test_dashboard_stands_beside_rays_own_once_these_are_there(tmp_path: Path) -> None:
    """Ray empties the folder when its dashboard starts: what stood there before would be gone."""
    folder = folder_of_rays(tmp_path)
    provide_dashboard(tmp_path)
    assert list(folder.iterdir()) == []
    (folder / RAYS_LAST).write_text("{}")
    provide_dashboard(tmp_path)
    assert json.loads((folder / DASHBOARD).read_text("utf-8")) == json.loads(dashboard_json())


def test_dashboard_that_stands_there_is_left_as_it_is(tmp_path: Path) -> None:
    folder = folder_of_rays(tmp_path)
    for name in (RAYS_LAST, DASHBOARD):
        (folder / name).write_text("edited by hand")
    provide_dashboard(tmp_path)
    assert (folder / DASHBOARD).read_text() == "edited by hand"


def test_folder_that_ray_was_told_of_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / RAYS_LAST).write_text("{}")
    monkeypatch.setenv("RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR", str(tmp_path))
    provide_dashboard(tmp_path / "session")
    assert (tmp_path / DASHBOARD).is_file()


def test_nothing_is_made_where_the_head_is_another_machine(tmp_path: Path) -> None:
    provide_dashboard(tmp_path / "session")
    assert list(tmp_path.iterdir()) == []


def test_last_of_rays_own_dashboards_is_still_called_so() -> None:
    """The name is Ray's, and not promised."""
    head = Path(pytest.importorskip("ray").__file__).parent / "dashboard" / "modules" / "metrics" / "metrics_head.py"
    source = head.read_text("utf-8")
    written = [line.strip().strip('",') for line in source.splitlines() if line.strip().endswith('_dashboard.json",')]
    assert written[-1] == RAYS_LAST
