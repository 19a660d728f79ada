"""The benchmarks' table: what reaches its target, and what the table looks like."""

import pytest

from tests.benchmarks.scoreboard import Scoreboard


@pytest.mark.parametrize(("ratio", "is_reached"), [(9.99, False), (10.0, True), (float("nan"), False)])
def test_ratio_is_reached_from_its_target_on(ratio: float, is_reached: bool) -> None:
    board = Scoreboard()
    row = board.ratio_at_least("images", ours="9/s", peer="1/s", ratio=ratio, minimum=10.0)
    assert row.is_reached is is_reached
    assert board.rows == [row]


@pytest.mark.parametrize(("ratio", "is_reached"), [(1.3, True), (1.31, False), (float("nan"), False)])
def test_ratio_is_reached_up_to_its_target(ratio: float, is_reached: bool) -> None:
    row = Scoreboard().ratio_at_most("step", ours="13 ms", peer="10 ms", ratio=ratio, maximum=1.3)
    assert row.is_reached is is_reached
    assert row.target == "at most 1.3x"


@pytest.mark.parametrize(("value", "is_reached"), [(0.3, True), (0.31, False)])
def test_value_is_reached_up_to_its_limit(value: float, is_reached: bool) -> None:
    row = Scoreboard().at_most("start", value=value, limit=0.3, unit="s")
    assert row.is_reached is is_reached


def test_table_is_markdown_with_aligned_columns() -> None:
    board = Scoreboard("on a machine")
    board.ratio_at_least("speed", ours="12/s", peer="3/s", ratio=4.0, minimum=3.5)
    board.shown("other", peer="3/s")
    assert board.markdown().splitlines() == [
        "| what  | ours | peer | ratio | target        | reached? |",
        "|-------|------|------|-------|---------------|----------|",
        "| speed | 12/s | 3/s  | 4x    | at least 3.5x | yes      |",
        "| other |      | 3/s  |       |               |          |",
        "",
        "on a machine",
    ]
