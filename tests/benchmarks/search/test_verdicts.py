"""Who is ahead: against p values known in closed form."""

import numpy as np
import pytest

from tests.benchmarks.search.race import Scores
from tests.benchmarks.search.verdicts import markdown, of_pairs, plus_minus, verdict


def scores(last: list[float], seeds: tuple[int, ...] | None = None) -> Scores:
    return Scores(seeds or tuple(range(len(last))), np.array([[0.0, each] for each in last]), 1.0)


def test_ahead_with_every_seed_has_the_smallest_p_there_is() -> None:
    """Wilcoxon's signed-rank statistic is at its extreme for one of 2^n sign patterns."""
    found = of_pairs([(0.9 + 0.001 * place, 0.8) for place in range(20)])
    assert found.p_ahead == pytest.approx(2.0**-20)
    assert found.p_behind == pytest.approx(1.0)
    assert found.is_ahead
    assert found.is_not_behind


def test_few_seeds_cannot_show_who_is_ahead() -> None:
    found = of_pairs([(0.9, 0.5), (0.91, 0.5), (0.92, 0.5)])
    assert found.p_ahead == pytest.approx(2.0**-3)
    assert not found.is_ahead


def test_behind_with_every_seed_is_behind() -> None:
    found = of_pairs([(0.8, 0.9 + 0.001 * place) for place in range(20)])
    assert found.p_behind == pytest.approx(2.0**-20)
    assert not found.is_not_behind


def test_equal_contestants_are_neither_ahead_nor_behind() -> None:
    found = of_pairs([(0.9, 0.9)] * 20)
    assert (found.p_ahead, found.p_behind, found.is_ahead, found.is_not_behind) == (1.0, 1.0, False, True)


def test_seeds_are_paired_by_their_number_not_by_their_place() -> None:
    found = verdict(scores([0.5, 0.7], (0, 2)), scores([0.1, 0.2, 0.3], (0, 1, 2)), num_evaluations=2)
    assert found.difference.num_values == 2
    assert found.difference.mean == pytest.approx(0.4)


def test_contestants_without_a_common_seed_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="no seed in common"):
        verdict(scores([0.5], (0,)), scores([0.5], (1,)), num_evaluations=2)


def test_table_shows_each_contestant_and_leaves_out_who_has_not_run() -> None:
    empty = Scores((), np.empty((0, 2)), float("nan"))
    lines = markdown("ours", {"ours": scores([0.5, 0.7]), "peer": scores([0.4, 0.6]), "none": empty}, [2]).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| ours | 0.600 ± ")
    assert "| +0.100 (0.250) | 2 |" in lines[3]


def test_half_interval_of_two_values_is_students() -> None:
    """t(1) at 97.5 % is 12.706; the standard error of 0 and 1 is one half."""
    assert plus_minus(of_pairs([(1.0, 0.0), (0.0, 0.0)]).difference) == "0.500 ± 6.353"
