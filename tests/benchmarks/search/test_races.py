"""Our sampler against its peers on public tables: every seed in turn, what was run before is not run again."""

import pytest

from tests.benchmarks.scoreboard import Scoreboard
from tests.benchmarks.search.comparisons import COMPARISONS, compare, rows, text, workers_row
from tests.benchmarks.search.runs import RunCache

pytestmark = [pytest.mark.benchmark, pytest.mark.race]


@pytest.mark.parametrize(
    "name", ["known latency", "known parameter count", "nothing known, cells", "nothing known, MLP"]
)
def test_ours_reaches_what_it_must(name: str, scoreboard: Scoreboard, capsys: pytest.CaptureFixture[str]) -> None:
    """Ahead: mean difference above 0 and Wilcoxon's signed-rank test over the seeds, one-sided, p < .01.

    Not behind: the mean difference is not below 0, or the same test that it is behind has p >= .05.
    """
    scores = compare(COMPARISONS[name], RunCache())
    with capsys.disabled():
        print(f"\n{text(name, scores)}")  # noqa: T201
    found = rows(name, scores)
    scoreboard.rows.extend(found)
    assert [row for row in found if row.is_reached is False] == []


def test_eight_workers_come_as_far_as_one(scoreboard: Scoreboard) -> None:
    """Virtual workers whose trials take random times: with 8, each is asked while 7 others run."""
    row = workers_row(compare(COMPARISONS["eight workers"], RunCache()))
    scoreboard.rows.append(row)
    assert row.is_reached, row
