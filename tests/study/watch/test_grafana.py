"""The dashboard against what is declared: every name, tag and label; the real answers are in end_to_end."""

import itertools
import json
import re
from typing import Any

import pytest

from study.watch.provisioning import dashboard_json
from study.watch.readings import GAUGES, SPEEDS, Series

BOARD: dict[str, Any] = json.loads(dashboard_json())
PANELS: list[dict[str, Any]] = BOARD["panels"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]
EXPORTED: dict[str, Series] = {
    **{f"ray_{name}": series for name, series in GAUGES.items()},
    f"ray_{SPEEDS.name}_bucket": Series("", "", "", (*SPEEDS.tags, "le")),
}

by_target = pytest.mark.parametrize(("title", "target"), TARGETS, ids=[f"{t} {each['refId']}" for t, each in TARGETS])


def selected(query: str) -> list[tuple[str, set[str]]]:
    """Each series that a query selects, with the labels that it selects by."""
    found = re.findall(r"\b(ray_\w+)(?:\{([^}]*)\})?", query)
    return [(name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))) for name, matchers in found]


def grouped(query: str) -> list[set[str]]:
    return [set(re.findall(r"\w+", labels)) for labels in re.findall(r"\b(?:by|on|group_left) \(([^)]*)\)", query)]


@by_target
def test_query_asks_for_what_is_declared(title: str, target: dict[str, Any]) -> None:
    series = selected(target["expr"])
    assert series, title
    for name, labels in series:
        assert name in EXPORTED
        assert labels <= set(EXPORTED[name].tags)
        assert "study" in labels, "two studies on one cluster would be mixed"


@by_target
def test_labels_of_groups_and_legends_are_those_of_the_series(title: str, target: dict[str, Any]) -> None:
    made = set(re.findall(r'count_values by \([^)]*\) \("(\w+)"', target["expr"]))
    known = made.union(*(EXPORTED[name].tags for name, _ in selected(target["expr"])))
    for labels in grouped(target["expr"]):
        assert labels <= known, title
    shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    assert shown <= set().union(*grouped(target["expr"])), title


def test_every_series_is_shown() -> None:
    asked = {name for _, target in TARGETS for name, _ in selected(target["expr"])}
    assert asked == EXPORTED.keys()


def test_panels_are_told_apart_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    places = [
        (panel["gridPos"]["x"] + across, panel["gridPos"]["y"] + down)
        for panel in PANELS
        for across, down in itertools.product(range(panel["gridPos"]["w"]), range(panel["gridPos"]["h"]))
    ]
    assert len(set(places)) == len(places)
    assert {across for across, _ in places} == set(range(24))


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_panel_is_one_that_grafana_can_draw(panel: dict[str, Any]) -> None:
    assert panel["type"] in {"timeseries", "stat"}
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"] in {"none", "s", "percentunit"}
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)
    for each in (panel, *panel["targets"]):
        assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_variables_offer_a_prometheus_and_its_studies() -> None:
    source, study = BOARD["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", study["query"]["query"])
    assert asked is not None
    assert asked[2] in EXPORTED[asked[1]].tags
    assert set(re.findall(r"\$\{?(\w+)", dashboard_json())) == {"datasource", "study"}
