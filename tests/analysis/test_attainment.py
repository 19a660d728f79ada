"""What runs attain, against counting by hand; permutation tests against going through all ways to share out."""

from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.attainment import (
    AttainmentComparison,
    Runs,
    attainment_surfaces,
    attainment_test,
    attainment_words,
    hypervolume_table,
    mean_difference_test,
)
from analysis.results import StudyResults, read_study
from tests.analysis.study_directory import MadeTrial, study_config, write_study
from trainables.metrics import Direction, metric

Array = NDArray[np.float64]

LATENCY, ACCURACY, SIZE = (metric(name) for name in ("latency_p50_ms_batch1", "validation_accuracy", "num_parameters"))
PLANE = (LATENCY, ACCURACY)

# Whole steps, so that coordinates of different fronts meet.
POINT = st.tuples(st.integers(1, 6), st.integers(1, 6)).map(lambda pair: (pair[0] / 10, pair[1] / 10))
FRONT = st.lists(POINT, min_size=1, max_size=4).map(lambda points: np.array(points, dtype=np.float64))
FRONTS = st.lists(FRONT, min_size=1, max_size=5)
GRID = [(x / 10, y / 10) for x in range(8) for y in range(8)]


def stream() -> np.random.Generator:
    return np.random.default_rng(0)


def is_attained(place: tuple[float, float], front: Array) -> bool:
    """Some student is at most as slow and at least as accurate."""
    return any(latency <= place[0] and accuracy >= place[1] for latency, accuracy in front)


def share(place: tuple[float, float], fronts: list[Array]) -> float:
    return sum(is_attained(place, each) for each in fronts) / len(fronts)


def test_surfaces_of_two_crossing_fronts_are_their_union_and_their_intersection() -> None:
    """Fast and poor, slow and good, against one in between; of two runs the median is attained by one."""
    first = np.array([[0.1, 0.90], [0.4, 0.99]])
    second = np.array([[0.2, 0.95]])
    found = attainment_surfaces([first, second], PLANE)
    assert found.best_NM.tolist() == [[0.1, 0.90], [0.2, 0.95], [0.4, 0.99]]
    assert found.median_NM.tolist() == found.best_NM.tolist()
    assert found.worst_NM.tolist() == [[0.2, 0.90], [0.4, 0.95]]


@given(FRONTS)
def test_surfaces_are_what_one_half_and_all_of_the_fronts_attain(fronts: list[Array]) -> None:
    found = attainment_surfaces(fronts, PLANE)
    for place in GRID:
        number = sum(is_attained(place, each) for each in fronts)
        assert is_attained(place, found.best_NM) is (number >= 1)
        assert is_attained(place, found.median_NM) is (2 * number >= len(fronts))
        assert is_attained(place, found.worst_NM) is (number == len(fronts))


@given(FRONTS)
def test_surfaces_are_nested_and_keep_their_own_directions(fronts: list[Array]) -> None:
    found = attainment_surfaces(fronts, PLANE)
    assert all(is_attained(tuple(each), found.median_NM) for each in found.worst_NM)
    assert all(is_attained(tuple(each), found.best_NM) for each in found.median_NM)
    for surface in (found.best_NM, found.median_NM, found.worst_NM):
        assert (np.diff(surface[:, 0]) > 0).all()
        assert (np.diff(surface[:, 1]) > 0).all()


def test_one_run_is_its_own_best_and_worst() -> None:
    front = np.array([[0.1, 0.9], [0.3, 0.95]])
    found = attainment_surfaces([front], PLANE)
    assert found.best_NM.tolist() == found.median_NM.tolist() == found.worst_NM.tolist() == front.tolist()


@pytest.mark.parametrize("num_fronts", [9, 18, 23, 60])
def test_levels_of_many_runs_are_told_apart(num_fronts: int) -> None:
    """Each run a little worse than the one before; shares such as 7 / 9 come as percentages, which are not exact."""
    fronts = [np.array([[0.1 + k, 0.9]]) for k in range(num_fronts)]
    found = attainment_surfaces(fronts, PLANE)
    assert found.median_NM.tolist() == [[0.1 + (num_fronts + 1) // 2 - 1, 0.9]]
    assert found.worst_NM.tolist() == [[0.1 + num_fronts - 1, 0.9]]


def test_interval_of_shares_stays_within_them() -> None:
    """1 and 0.96 by Student's t reach from 0.726 to 1.234."""
    fronts = (np.array([[0.0, 1.0]]), np.array([[0.04, 1.0]]))
    worst = np.array([[10 / 11, 0.0], [0.0, 1.0]])  # 10 % beyond it is the reference, at 1 and -0.1
    compared = AttainmentComparison(Runs("a", fronts, (worst,)), Runs("b", fronts, (worst,)), PLANE)
    assert hypervolume_table(compared)["95 % interval"].tolist() == ["0.726 to 1.000"] * 2


def test_third_objective_counts() -> None:
    """As fast and as accurate, but larger: both attain only what the larger does."""
    small, large = np.array([[0.1, 0.9, 10.0]]), np.array([[0.1, 0.9, 20.0]])
    assert attainment_surfaces([small, large], (*PLANE, SIZE)).worst_NM.tolist() == large.tolist()


@pytest.mark.parametrize(
    ("fronts", "metrics", "message"),
    [
        ([], PLANE, "there are no fronts"),
        ([np.empty((0, 2))], PLANE, "a front has no points: leave out runs"),
        ([np.array([[0.1]])], (LATENCY,), "of two or three metrics, not of 1"),
    ],
)
def test_fronts_without_a_surface_are_refused(fronts: list[Array], metrics: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attainment_surfaces(fronts, metrics)  # type: ignore[arg-type]


@given(st.lists(FRONT, min_size=2, max_size=4), st.lists(FRONT, min_size=2, max_size=3))
def test_attainment_test_is_that_of_all_ways_to_share_out(one: list[Array], other: list[Array]) -> None:
    """The largest difference over a grid that holds every coordinate, for each way to choose the first side."""
    fronts, num_one = [*one, *other], len(one)

    def largest(chosen: tuple[int, ...]) -> float:
        sides = [fronts[k] for k in chosen], [fronts[k] for k in range(len(fronts)) if k not in chosen]
        return max(abs(share(place, sides[0]) - share(place, sides[1])) for place in GRID)

    observed = largest(tuple(range(num_one)))
    ways = [largest(chosen) for chosen in combinations(range(len(fronts)), num_one)]
    found = attainment_test(one, other, PLANE, stream=stream())
    assert found is not None
    assert found.statistic == pytest.approx(observed)
    assert found.p_value == pytest.approx(np.mean([each >= observed - 1e-9 for each in ways]))
    assert (found.num_permutations, found.is_exact) == (len(ways), True)


@given(st.lists(st.integers(0, 9), min_size=2, max_size=5), st.lists(st.integers(0, 9), min_size=2, max_size=4))
def test_mean_difference_test_is_that_of_all_ways_to_share_out(one: list[int], other: list[int]) -> None:
    values = np.array([*one, *other], dtype=np.float64)

    def size(chosen: tuple[int, ...]) -> float:
        is_one = np.isin(np.arange(len(values)), chosen)
        return float(abs(values[is_one].mean() - values[~is_one].mean()))

    observed = size(tuple(range(len(one))))
    expected = np.mean([size(each) >= observed - 1e-9 for each in combinations(range(len(values)), len(one))])
    found = mean_difference_test(list(map(float, one)), list(map(float, other)), stream=stream())
    assert found is not None
    assert found.p_value == pytest.approx(expected)


@pytest.mark.parametrize(("num_one", "num_other", "least"), [(3, 3, 0.1), (4, 3, 1 / 35), (5, 5, 2 / 252)])
def test_sides_that_do_not_even_overlap_reach_the_least_p_value(num_one: int, num_other: int, least: float) -> None:
    low = [float(each) for each in range(num_one)]
    found = mean_difference_test(low, [100.0 + each for each in range(num_other)], stream=stream())
    assert found is not None
    assert found.p_value == found.smallest_p_value == pytest.approx(least)


def test_fronts_in_which_all_of_one_side_beat_all_of_the_other_reach_it_too() -> None:
    better = [np.array([[0.1, accuracy]]) for accuracy in (0.97, 0.98, 0.99)]
    worse = [np.array([[0.1, accuracy]]) for accuracy in (0.91, 0.92, 0.93)]
    found = attainment_test(better, worse, PLANE, stream=stream())
    assert found is not None
    assert found.statistic == 1.0
    assert found.p_value == found.smallest_p_value == pytest.approx(0.1)


def test_many_runs_are_shared_out_at_random_and_agree_with_the_exact_answer() -> None:
    """10 ones against 10 zeros: 2 of the 184,756 ways differ as much, so that of 99,999 random ones about one does."""
    found = mean_difference_test([1.0] * 10, [0.0] * 10, stream=stream())
    assert found is not None
    assert not found.is_exact
    assert found.num_permutations == 99_999 < comb(20, 10)
    assert found.smallest_p_value == pytest.approx(1e-5)
    assert found.p_value <= 1e-5 * (1 + 6)


def test_random_ways_are_those_of_the_stream() -> None:
    values = np.random.default_rng(3).normal(size=24).tolist()
    first, again = (mean_difference_test(values[:12], values[12:], stream=stream()) for _ in range(2))
    assert first == again


def test_equal_searches_are_found_different_no_more_often_than_the_level_says() -> None:
    """600 pairs of searches of one kind, 4 v 4, level 0.1: both tests at most as often, within 4 deviations."""
    random = np.random.default_rng(5)
    below = np.zeros(2)
    for _ in range(600):
        fronts = [np.sort(random.uniform(0.1, 0.9, (3, 2)), axis=0) for _ in range(8)]
        tests = (
            attainment_test(fronts[:4], fronts[4:], PLANE, stream=random),
            mean_difference_test([f[0, 0] for f in fronts[:4]], [f[0, 0] for f in fronts[4:]], stream=random),
        )
        below += [each is not None and each.p_value <= 0.1 for each in tests]
    assert (below / 600 <= 0.1 + 4 * (0.1 * 0.9 / 600) ** 0.5).all()
    assert below[1] / 600 == pytest.approx(6 / 70, abs=4 * (0.1 * 0.9 / 600) ** 0.5)  # 3 of 35 pairs of ways


@pytest.mark.parametrize(("num_one", "num_other"), [(1, 5), (5, 1), (0, 2)])
def test_single_run_on_a_side_is_no_test(num_one: int, num_other: int) -> None:
    assert mean_difference_test([1.0] * num_one, [0.0] * num_other, stream=stream()) is None


@given(FRONTS, st.floats(0.1, 10.0))
def test_surfaces_do_not_depend_on_units(fronts: list[Array], scale: float) -> None:
    assume(scale != 1.0)
    there = attainment_surfaces([each * [scale, 1.0] for each in fronts], PLANE).median_NM
    assert there == pytest.approx(attainment_surfaces(fronts, PLANE).median_NM * [scale, 1.0])


def study(root: Path, *trials: MadeTrial, seed: int | None, name: str = "demo") -> StudyResults:
    config = study_config(name) | ({} if seed is None else {"seed": seed})
    return read_study(write_study(root / f"{name}-{seed}-{len(trials)}", trials, name=name, config=config))


def comparison(root: Path) -> AttainmentComparison:
    """One student a study: faster and more accurate with the teacher; slow and poor ones set the reference."""
    slow = MadeTrial(width=8, latency_ms=1.0, accuracy=0.90)
    taught = [study(root, slow, MadeTrial(latency_ms=0.1, accuracy=0.98), seed=k, name="kd") for k in range(2)]
    alone = [study(root, slow, MadeTrial(latency_ms=0.1, accuracy=0.94), seed=k, name="labels") for k in range(2)]
    return AttainmentComparison(Runs.of("kd", taught, PLANE), Runs.of("labels", alone, PLANE), PLANE)


def test_hypervolumes_of_both_sides_are_shares_of_one_box(tmp_path: Path) -> None:
    """Reference 1.09 ms and 0.892: the box is 0.99 x 0.088, of which labels' student takes 0.99 x 0.048."""
    compared = comparison(tmp_path)
    assert compared.reference.tolist() == pytest.approx([1.09, 0.892])
    assert compared.hypervolumes(compared.one) == pytest.approx([1.0, 1.0])
    assert compared.hypervolumes(compared.other) == pytest.approx([0.048 / 0.088] * 2)


def test_words_say_how_little_few_studies_can_show(tmp_path: Path) -> None:
    compared = comparison(tmp_path)
    assert hypervolume_table(compared)["search"].tolist() == ["kd", "labels"]
    text = " ".join(attainment_words(compared, stream=stream()))
    assert "from p50 latency at batch 1 1.09 ms and validation accuracy 89.20 % to the best" in text
    assert "kd less labels: +0.455, p 0.333" in text
    assert "differ by up to 100 percentage points, p 0.333" in text
    assert "over all 6 ways to share out the fronts: with so many studies p cannot be below 0.33" in text


def test_one_study_a_side_is_shown_without_a_test(tmp_path: Path) -> None:
    one, other = (
        Runs.of(name, [study(tmp_path, MadeTrial(accuracy=reached), seed=0, name=name)], PLANE)
        for name, reached in (("kd", 0.98), ("labels", 0.97))
    )
    compared = AttainmentComparison(one, other, PLANE)
    assert "whether the searches differ cannot be tested" in attainment_words(compared, stream=stream())[-1]
    assert hypervolume_table(compared)["95 % interval"].tolist() == ["unknown"] * 2


def test_one_seed_twice_is_no_repetition(tmp_path: Path) -> None:
    twice = [study(tmp_path, *[MadeTrial()] * num_trials, seed=4) for num_trials in (1, 2)]
    with pytest.raises(ValueError, match="kd: several studies have seed 4: give one study of each seed"):
        Runs.of("kd", twice, PLANE)


def test_study_without_a_finished_student_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"demo: no trial that ran its full budget reports latency_p50_ms_batch1 and"):
        Runs.of("kd", [study(tmp_path, MadeTrial(state="running"), seed=1)], PLANE)


def test_directions_of_the_plane_are_as_these_tests_take_them() -> None:
    assert (LATENCY.direction, ACCURACY.direction) == (Direction.MINIMIZE, Direction.MAXIMIZE)
