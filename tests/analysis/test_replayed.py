"""What the report says and shows of early stopping that was replayed where all ends are known."""

from pathlib import Path
from typing import Any

import pytest

from analysis.plots import report_figures
from analysis.plots_replayed import replayed_figure
from analysis.replayed import ReplayedSearch, ReplayedStopping, ReplayedStops
from analysis.report_stopping import stopping_words
from analysis.results import StudyResults, read_study
from tests.analysis.stopped_trials import A_SEARCH
from tests.analysis.study_directory import study_config, write_study
from trainables.study_paths import StudyPaths
from trainables.whole_files import write_record

SEARCH = {"num_trials": 6, "early_stopping": "pareto_halving"}


def searched(seed: int, *, lost: float = 0.0, epochs: float = 50.0, of_front: int = 1) -> ReplayedSearch:
    """10 students of 10 epochs: 3 stopped after 1 epoch, 2 after 2; of the latter some were of the front."""
    return ReplayedSearch(
        seed=seed, num_asked=10, num_front_found=3, epochs=epochs, full_epochs=100.0, lost_fraction=lost,
        stops=(
            ReplayedStops(epoch=1.0, num_stopped=3, num_of_front=0),
            ReplayedStops(epoch=2.0, num_stopped=2, num_of_front=of_front),
        ),
    )  # fmt: skip


def results_of(root: Path, *searches: ReplayedSearch, search: dict[str, Any] | None = None) -> StudyResults:
    """A study that was replayed; `search`: what was replayed, where that is not its own."""
    write_study(root, A_SEARCH, config=study_config() | {"search": SEARCH})
    replayed = ReplayedStopping(
        recording="grid",
        num_recorded=160,
        exact_fraction=0.9,
        num_workers=4,
        search=search or SEARCH,
        searches=searches,
    )
    write_record(StudyPaths(root).replayed_stopping, replayed)
    return read_study(root)


def test_words_tell_what_was_lost_with_its_interval_and_its_worst(tmp_path: Path) -> None:
    """Losses of 0, 1 and 2 %: mean 1 %, Student's interval 1 -+ 4.303 / sqrt(3), cut at 0."""
    searches = [searched(0), searched(1, lost=0.01, epochs=40.0, of_front=0), searched(2, lost=0.02, epochs=60.0)]
    text = stopping_words(results_of(tmp_path, *searches))[-1]
    assert text.startswith("Replayed 3 times over 160 students of grid that all ran to their ends (90 % of those asked")
    assert "this search left out 50 % of the epochs" in text
    assert "lost 1 % of the hypervolume (95 % interval 0 % to 3.48 %, at most 2 %)" in text
    assert "of the recorded front's students, asked for 11 times, 2 (18 %) were stopped." in text


def test_searches_that_went_alike_have_no_interval(tmp_path: Path) -> None:
    text = stopping_words(results_of(tmp_path, searched(0, lost=0.01), searched(1, lost=0.01)))[-1]
    assert "this search, each time alike, left out 50 % of the epochs and lost 1 % of the hypervolume; of" in text


def test_replay_of_another_search_says_so(tmp_path: Path) -> None:
    extended = results_of(tmp_path, searched(0), search=SEARCH | {"num_trials": 5})
    assert "It was replayed as another search than this study's is now" in stopping_words(extended)[-1]


def test_study_that_was_not_replayed_is_told_how_to(tmp_path: Path) -> None:
    results = read_study(write_study(tmp_path, A_SEARCH, config=study_config() | {"search": SEARCH}))
    assert stopping_words(results)[-1].endswith("would have lost there by its early stopping.")
    assert "replayed_stopping" not in {each.name for each in report_figures(results)}


def test_figure_holds_every_search_and_the_mean_stops_of_a_rung(tmp_path: Path) -> None:
    searches = [searched(0, of_front=2), searched(1, lost=0.03, epochs=20.0, of_front=1)]
    results = results_of(tmp_path, *searches)
    assert "replayed_stopping" in {each.name for each in report_figures(results)}
    assert results.replayed is not None
    drawn = {each.name: each for each in replayed_figure(results.replayed).data}
    single = drawn["one replayed search"]
    assert list(single.x) == pytest.approx([50.0, 80.0])
    assert list(single.y) == pytest.approx([0.0, 3.0])
    assert list(drawn["stopped, of the front"].x) == ["1", "2"]
    assert list(drawn["stopped, of the front"].y) == [0.0, 1.5]
    assert list(drawn["stopped, not of the front"].y) == [3.0, 0.5]
