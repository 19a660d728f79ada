"""The dashboard in Ray's own Grafana set-up, which provisions every JSON of one folder."""

import os
from importlib import resources
from pathlib import Path

from trainables.whole_files import write_text

DASHBOARD = "kd_study_grafana_dashboard.json"
# Ray makes its folder anew when its dashboard starts, and writes this one last.
RAYS_LAST = "train_grafana_dashboard.json"


def dashboard_json() -> str:
    """The dashboard, as Grafana reads it."""
    return resources.files("study").joinpath("watch", "grafana.json").read_text(encoding="utf-8")


def provide_dashboard(session: Path) -> None:
    """Put the dashboard beside Ray's own, once these are there; where the head is another machine, they never are.

    Args:
        session: folder of the Ray session, as on the head.
    """
    named = os.environ.get("RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR")
    folder = Path(named) if named else session / "metrics" / "grafana" / "dashboards"
    if (folder / RAYS_LAST).is_file() and not (folder / DASHBOARD).is_file():
        write_text(folder / DASHBOARD, dashboard_json())
