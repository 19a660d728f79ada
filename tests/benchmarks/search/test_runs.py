"""What was run is kept and found again; what depends on something else is not."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks.search.contestants import TOP, source_digest
from tests.benchmarks.search.runs import RunCache, RunKey, RunRecord

KEY = RunKey("nb201", "bench 1", "ours", "a1", 3)
RECORD = RunRecord(KEY, [[0.5, 2.0], [0.6, 3.0]], 1.5, 2.5)


def test_search_is_found_again_by_another_process(tmp_path: Path) -> None:
    RunCache(tmp_path / "runs").add(RECORD)
    assert RunCache(tmp_path / "runs").find(KEY, num_evaluations=2) == RECORD


@pytest.mark.parametrize(
    "change", [{"version": "a2"}, {"seed": 4}, {"table_version": "bench 2"}, {"protocol": 0}, {"contestant": "peer"}]
)
def test_search_of_something_else_is_not_found(tmp_path: Path, change: dict[str, object]) -> None:
    RunCache(tmp_path / "runs").add(RECORD)
    assert RunCache(tmp_path / "runs").find(replace(KEY, **change), num_evaluations=2) is None  # type: ignore[arg-type]


def test_shorter_search_does_not_stand_for_a_longer_one(tmp_path: Path) -> None:
    cache = RunCache(tmp_path / "runs")
    cache.add(RECORD)
    assert cache.find(KEY, num_evaluations=3) is None


def test_line_torn_by_a_kill_loses_that_search_alone(tmp_path: Path) -> None:
    cache = RunCache(tmp_path / "runs")
    cache.add(RECORD)
    with (tmp_path / "runs").open("a", encoding="utf-8") as file:
        file.write('{"key": {"table": "nb2')
    other = replace(RECORD, key=replace(KEY, seed=4))
    RunCache(tmp_path / "runs").add(other)
    found = RunCache(tmp_path / "runs")
    assert [found.find(replace(KEY, seed=seed), num_evaluations=2) for seed in (3, 4)] == [RECORD, other]


def test_latest_searches_are_those_of_the_version_run_last(tmp_path: Path) -> None:
    cache = RunCache(tmp_path / "runs")
    records = [replace(RECORD, key=replace(KEY, version=version, seed=seed)) for version in "xy" for seed in range(2)]
    for each in records:
        cache.add(each)
    assert cache.latest("nb201", "bench 1", "ours", num_evaluations=2) == records[2:]
    assert cache.latest("nb201", "bench 1", "nobody", num_evaluations=2) == []


def write(top: Path, name: str, text: str) -> None:
    (top / name).parent.mkdir(exist_ok=True)
    (top / name).write_text(text, encoding="utf-8")


def test_digest_follows_what_is_imported_and_not_comments(tmp_path: Path) -> None:
    write(tmp_path, "study/a.py", "from study.b import x\nimport numpy\n")
    write(tmp_path, "study/b.py", "x = 1\n")
    write(tmp_path, "study/c.py", "x = 1\n")
    before = source_digest("study.a", tmp_path)
    write(tmp_path, "study/c.py", "x = 2\n")
    write(tmp_path, "study/b.py", "x = 1  # one\n")
    assert source_digest("study.a", tmp_path) == before
    write(tmp_path, "study/b.py", "x = 2\n")
    assert source_digest("study.a", tmp_path) != before


def test_digest_of_a_module_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"study\.search\.nowhere"):
        source_digest("study.search.nowhere", TOP)
