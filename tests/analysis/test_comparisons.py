"""Corrections and resolutions, against published examples, brute force and each other."""

from itertools import combinations
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis.comparisons import Design, holm, p_text, power, resolvable_difference, seeds_needed
from analysis.resolution import resolution_words
from analysis.statistics import mean_interval

P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6)


def test_holm_gives_the_textbook_example() -> None:
    """The encyclopedias' example, by hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, and no less for the last."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


@given(P_VALUES)
def test_holm_is_the_closure_of_bonferroni(p_values: list[float]) -> None:
    """Marcus, Peritz & Gabriel 1976: rejected when each family that a hypothesis is in is, by Bonferroni."""
    places = range(len(p_values))
    for place, found in enumerate(holm(p_values)):
        families = [each for size in range(1, len(p_values) + 1) for each in combinations(places, size)]
        by_family = [len(each) * min(p_values[k] for k in each) for each in families if place in each]
        assert found == pytest.approx(min(1.0, max(by_family)))


@given(P_VALUES)
def test_holm_lies_between_raw_and_bonferroni_and_keeps_the_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    for found, raw in zip(corrected, p_values, strict=True):
        assert found is not None
        assert raw <= found <= min(1.0, len(p_values) * raw)
    ranked = [corrected[place] for place in np.argsort(p_values)]
    assert ranked == sorted(ranked, key=lambda each: each or 0.0)


def test_comparison_that_could_not_be_made_is_no_member_of_the_family() -> None:
    assert holm([None, 0.02, None, 0.03]) == (None, 0.04, None, 0.04)
    assert holm([None]) == (None,)
    assert holm([]) == ()


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="is not a p value"):
        holm([0.5, wrong])


def test_power_is_that_of_rs_manual() -> None:
    """The examples of R's power.t.test: n = 20, delta = 1, sd = 1 has 0.8689528; a power of 0.9 needs n = 22.02."""
    assert power(1.0, 1.0, 20, design=Design.UNPAIRED) == pytest.approx(0.8689528, abs=1e-7)
    assert seeds_needed(1.0, 1.0, design=Design.UNPAIRED, wanted_power=0.9) == 23


@pytest.mark.parametrize(("difference", "significance"), [(3.26404, 0.05), (4.62482, 0.025)])
def test_power_of_three_pairs_is_that_of_its_closed_form(difference: float, significance: float) -> None:
    """On 2 degrees half of chi-squared is exponential, so that the noncentral t integrates by completing the square.

    P(T > t) = Phi(m) - exp(-m^2 (1 - 1 / a) / 2) Phi(m / sqrt(a)) / sqrt(a), with a = 1 + 2 / t^2 and m the
    noncentrality; the central one has the points t = sqrt(2) (1 - s) / sqrt(s (2 - s)) at a two-sided level of s.
    """
    beyond = 2**0.5 * (1 - significance) / (significance * (2 - significance)) ** 0.5
    spread, shift = 1 + 2 / beyond**2, difference * 3**0.5
    cumulative = NormalDist().cdf
    lost = np.exp(-(shift**2) * (1 - 1 / spread) / 2) * cumulative(shift / spread**0.5) / spread**0.5
    expected = cumulative(shift) - lost
    assert expected == pytest.approx(0.8, abs=1e-5)
    assert power(difference, 1.0, 3, significance=significance) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("effect", "design", "expected"),
    [(0.2, "unpaired", 394), (0.5, "unpaired", 64), (0.8, "unpaired", 26), (0.5, "paired", 34)],
)
def test_seeds_needed_are_those_of_cohens_table(effect: float, design: str, expected: int) -> None:
    """Cohen 1988, table 2.4.1, and G*Power (Faul et al. 2007), which has 394 where Cohen's rounding has 393."""
    assert seeds_needed(effect, 1.0, design=Design(design)) == expected


def test_seeds_of_the_usual_spread_resolve_what_is_told_of_them() -> None:
    """A deviation of 0.2 points: "9 seeds an arm resolve 0.3, 19 resolve 0.2" is unpaired, at a power of 85 %."""
    assert [power(each, 0.2, n, design=Design.UNPAIRED) for each, n in ((0.3, 9), (0.2, 19))] == pytest.approx(
        [0.85, 0.85], abs=0.003
    )
    assert [seeds_needed(each, 0.2, design=Design.UNPAIRED) for each in (0.3, 0.2)] == [9, 17]
    assert [seeds_needed(each, 0.2 * 2**0.5) for each in (0.3, 0.2)] == [10, 18]


def test_true_difference_is_found_as_often_as_its_power_says() -> None:
    """4,000 samples of 5 around the smallest resolvable difference: found in 80 %, within 4 binomial deviations."""
    difference = resolvable_difference(5, 1.0) or 0.0
    samples = np.random.default_rng(2).normal(difference, 1.0, size=(4_000, 5)).tolist()
    found = [(estimate.low or 0.0) > 0.0 for estimate in map(mean_interval, samples)]
    assert np.mean(found) == pytest.approx(0.8, abs=4 * (0.8 * 0.2 / 4_000) ** 0.5)


@given(st.integers(2, 40), st.floats(1e-4, 10.0), st.sampled_from(Design), st.sampled_from([0.05, 0.01, 0.005]))
def test_resolvable_difference_has_the_power_it_is_named_for(
    num_seeds: int, deviation: float, design: Design, significance: float
) -> None:
    difference = resolvable_difference(num_seeds, deviation, design=design, significance=significance)
    assert difference is not None
    assert power(difference, deviation, num_seeds, design=design, significance=significance) == pytest.approx(0.8)
    assert power(-difference, deviation, num_seeds, design=design, significance=significance) == pytest.approx(0.8)


@given(st.floats(0.1, 20.0), st.sampled_from(Design), st.sampled_from([0.05, 0.001]), st.sampled_from([0.5, 0.8, 0.99]))
def test_seeds_needed_are_the_fewest(effect: float, design: Design, significance: float, wanted: float) -> None:
    found = seeds_needed(effect, 1.0, design=design, significance=significance, wanted_power=wanted)
    assert power(effect, 1.0, found, design=design, significance=significance) >= wanted
    assume(found > 2)
    assert power(effect, 1.0, found - 1, design=design, significance=significance) < wanted


def test_what_does_not_spread_is_resolved_at_once_and_one_seed_resolves_nothing() -> None:
    assert resolvable_difference(3, 0.0) == 0.0
    assert seeds_needed(0.1, 0.0) == 2
    assert power(0.1, 0.0, 2) == 1.0
    assert resolvable_difference(1, 0.2) is None


def test_difference_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="a difference of 0 is resolved by no number of seeds"):
        seeds_needed(0.0, 0.2)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0496, "p 0.0496"), (0.0004, "p below 0.001"), (1.0, "p 1"), (None, "p unknown")]
)
def test_p_values_read_so_that_a_twentieth_is_told_from_just_below(value: float | None, text: str) -> None:
    assert p_text(value) == text


def test_words_say_what_the_seeds_resolve_and_how_many_would_find_a_tenth_of_a_point() -> None:
    """Power of the paired t test from scipy's noncentral t: the number of seeds is the first that has 80 %."""
    gains = [mean_interval([0.001, 0.003, 0.002]), mean_interval([0.0, 0.001, 0.002])]  # both deviate by 0.001
    (text,) = resolution_words(gains, "both")
    needed = next(
        number
        for number in range(2, 100)
        if stats.nct.sf(stats.t.ppf(0.975, number - 1), number - 1, number**0.5) >= 0.8
    )
    assert f"To find 0.1 points by itself takes {needed} seeds." in text
    assert "corrected by Holm for both;" in text
    assert resolution_words([], "nothing") == []
    assert resolution_words([mean_interval([0.1])], "one")[0].startswith("One seed tells nothing")
