"""A study at work, Ray's own configuration, a real Prometheus: every query of the dashboard is answered."""

import contextlib
import json
import logging
import math
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from study.watch.provisioning import DASHBOARD, dashboard_json
from study.watch.readings import GAUGES
from tests.end_to_end.conftest import SMALL, environment, kd_study, overrides
from tests.end_to_end.prometheus_server import BINARY, Prometheus, running_prometheus

# So many trials that some are at work until Prometheus has seen all of it; the study is ended by then.
LONG = (
    *SMALL,
    "search.num_trials=500",
    "space.options.widths=[1, 2, 4]",
    "space.options.epochs=8",
    "resources.dashboard=true",
)
TIMEOUT_S = 240.0

pytestmark = [
    pytest.mark.slow,  # a minute: Ray exports its metrics every 10 s, and Prometheus scrapes them every 10 s
    pytest.mark.skipif(BINARY is None, reason="needs Debian's package prometheus: apt-get install prometheus"),
]

Series = dict[str, Any]

logger = logging.getLogger(__name__)


def test_every_query_of_the_dashboard_is_answered_while_a_study_runs(tmp_path: Path) -> None:
    queries = {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$study", str(tmp_path / "study"))
        for panel in json.loads(dashboard_json())["panels"]
        for target in panel["targets"]
    }
    with running_study(tmp_path / "study") as session:
        config = session / "metrics" / "prometheus" / "prometheus.yml"
        until(config.is_file, "Ray's configuration of Prometheus")
        with running_prometheus(config, tmp_path) as server:
            answers = answered(server, queries)
            offered = server.label_values("study", "ray_kd_study_stage")
            exported = set(server.label_values("__name__", '{__name__=~"ray_kd_study_.+"}'))
        provided = (session / "metrics" / "grafana" / "dashboards" / DASHBOARD).read_text(encoding="utf-8")
    for name, found in answers.items():
        logger.info("%s: %s: %s", name, queries[name], [told(series) for series in found])
    assert offered == [str(tmp_path / "study")]
    assert exported >= {f"ray_{name}" for name in GAUGES}
    assert json.loads(provided) == json.loads(dashboard_json())
    for series in answers["How good are the trials that run? A"]:
        assert series["metric"]["trial"].isdigit()
        assert series["metric"]["objective"] == "validation_accuracy"
        assert all(0.0 <= float(value) <= 1.0 for _, value in series["values"])


def answered(server: Prometheus, queries: dict[str, str]) -> dict[str, list[Series]]:
    """The series of each query that have a number, once every query has some."""
    found: dict[str, list[Series]] = {}

    def are_all_answered() -> bool:
        for name, query in queries.items():
            found[name] = [each for each in server.answers(query) if any(map(has_number, each["values"]))]
        return all(found.values())

    until(are_all_answered, "an answer to each query", lambda: [name for name in queries if not found.get(name)])
    return found


def has_number(point: tuple[float, str]) -> bool:
    return math.isfinite(float(point[1]))


def told(series: Series) -> str:
    return f"{series['metric']} {series['values'][-1][1]}"


def until(is_so: Callable[[], bool], what: str, lacking: Callable[[], object] = lambda: None) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not come: {lacking()}"
        time.sleep(1.0)


@contextlib.contextmanager
def running_study(directory: Path) -> Iterator[Path]:
    """A study at work on a Ray of its own; yields the folder of the Ray session, and ends both in good order.

    The folder's path is short: Ray makes sockets in it, and a socket's path may have 107 characters.
    """
    with tempfile.TemporaryDirectory(prefix="kd-", ignore_cleanup_errors=True) as folder:
        command = kd_study("run", "smoke", "--dir", str(directory), *overrides(LONG))
        with (directory.parent / "study.log").open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env={**environment(), "RAY_TMPDIR": folder}
            )
            try:
                session = Path(folder, "ray", "session_latest")
                until(session.is_dir, "Ray's session", (directory.parent / "study.log").read_text)
                yield session.resolve()
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(timeout=60)
