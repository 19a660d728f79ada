"""Which temperature is best where: by its mean, and what the seeds cannot tell from it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.plots_temperatures import TEMPERATURE_QUESTION, temperature_by_place_figure
from analysis.report_capacity import capacity_tables, capacity_words
from analysis.results import StudyResults, read_study
from analysis.temperatures import temperatures
from tests.analysis.kinds_study import Kind, write_kinds
from tests.analysis.study_directory import MadeTrial

# Errors out of 10,000 by width and temperature. At width 1 the middle one is far ahead, at 8 none can be told apart.
ERRORS = {
    1: {1.0: (600, 601, 602), 4.0: (400, 402, 401), 16.0: (700, 702, 703)},
    8: {1.0: (210, 190, 205), 4.0: (205, 199, 195), 16.0: (200, 201, 202)},
}


def study(root: Path, errors: Mapping[int, Mapping[float, Sequence[int]]], *, labels: bool = True) -> StudyResults:
    def kind(width: int, counts: Sequence[int], method: str, temperature: float | None) -> Kind:
        made = MadeTrial(width=width, method=method, temperature=temperature)
        return Kind(made, [1.0 - count / 10_000 for count in counts])

    kinds = [kind(width, (900, 901, 905), "labels", None) for width in errors] if labels else []
    kinds += [
        kind(width, counts, "kd", temperature)
        for width, by_temperature in errors.items()
        for temperature, counts in by_temperature.items()
    ]
    return write_kinds(root, kinds, ("method", "width", "temperature"))


def test_best_is_the_one_with_the_highest_mean_at_each_place(tmp_path: Path) -> None:
    found = temperatures(study(tmp_path, ERRORS))
    assert [(each.line, each.parameter, each.x, each.best.temperature) for each in found] == [
        ("kd", "width", 1, 4.0),
        ("kd", "width", 8, 4.0),
    ]
    assert [level.temperature for level in found[0].levels] == [1.0, 4.0, 16.0]


def test_what_lies_within_noise_is_tested_against_the_best_by_pairs_and_corrected_for_all(tmp_path: Path) -> None:
    """Holm over four paired t tests by scipy, two at each width."""
    raw = {
        (width, temperature): float(stats.ttest_rel(counts, by_temperature[4.0]).pvalue)
        for width, by_temperature in ERRORS.items()
        for temperature, counts in by_temperature.items()
        if temperature != 4.0
    }
    least, expected = 0.0, {}
    for rank, (key, value) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        least = max(least, min(1.0, (4 - rank) * value))
        expected[key] = least
    found = temperatures(study(tmp_path, ERRORS))
    levels = {(each.x, level.temperature): level for each in found for level in each.levels}
    assert {key: levels[key].p_value for key in expected} == pytest.approx(expected)
    assert levels[1, 4.0].p_value is None
    assert {key for key, level in levels.items() if level.is_within_noise} == {(1, 4.0), (8, 1.0), (8, 4.0), (8, 16.0)}
    behind = levels[1, 16.0].behind
    assert behind is not None
    assert behind.mean == pytest.approx(np.mean(np.subtract(ERRORS[1][16.0], ERRORS[1][4.0])) / 10_000)


def test_one_seed_decides_nothing(tmp_path: Path) -> None:
    single = {width: {each: counts[:1] for each, counts in row.items()} for width, row in ERRORS.items()}
    assert all(
        level.is_within_noise for each in temperatures(study(tmp_path, single, labels=False)) for level in each.levels
    )


def test_temperatures_of_one_network_stand_in_one_column(tmp_path: Path) -> None:
    """Labels have no temperature, so that nothing stands along an axis."""
    found = temperatures(study(tmp_path, {1: ERRORS[1]}))
    assert [(each.x, each.best.temperature) for each in found] == [(None, 4.0)]
    assert "kd: temperature 4 is best" in " ".join(capacity_words(study(tmp_path / "again", {1: ERRORS[1]})))
    assert len(temperature_by_place_figure(found).data) == 3


def test_words_name_the_best_and_what_cannot_be_told_from_it(tmp_path: Path) -> None:
    results = study(tmp_path, ERRORS)
    text = " ".join(capacity_words(results))
    assert "kd, width 1: temperature 4 is best, 95.99 %" in text
    assert "worse: 1 (by 2.00 points, p" in text
    assert "kd, width 8: temperature 4 is best" in text
    assert "not told from it: 1 and 16." in text
    assert "corrected by Holm for 4 comparisons" in text
    table = capacity_tables(results)[-1]
    assert [row[:3] for row in table.rows[:2]] == [("kd", "1", "1"), ("kd", "1", "4")]


def test_figure_has_a_star_for_each_best_and_a_number_for_each_other(tmp_path: Path) -> None:
    drawn = temperature_by_place_figure(temperatures(study(tmp_path, ERRORS)))
    best, within, worse = drawn.data
    assert drawn.layout.title.text == TEMPERATURE_QUESTION
    assert (best.marker.symbol, list(best.text)) == ("star", ["", ""])
    assert len(within.x) == 2
    assert [text.strip() for text in worse.text] == ["-2.00", "-3.01"]
    assert list(drawn.layout.yaxis.ticktext) == ["1", "4", "16"]


def test_study_whose_kinds_have_no_temperature_shows_none(realistic_study: Path) -> None:
    assert temperatures(read_study(realistic_study)) == ()
    assert "No kinds" in temperature_by_place_figure(()).layout.annotations[0].text
