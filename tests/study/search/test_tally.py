"""What is carried from trial to trial against a look through all of them."""

from collections import Counter
from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from study.search.tally import Tally

TOLD = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(["kd", "labels"]), st.sampled_from([1, 2]), st.booleans()),
    max_size=40,
)


@given(TOLD)
def test_tally_is_that_of_all_trials_counted_at_once(told: list[tuple[int, str, int, bool]]) -> None:
    """Trials come in any order, and may be found in vain, or not, after they were asked; what they are stays."""
    tally = Tally(["width"])
    trials: dict[int, tuple[str, int, bool]] = {}
    for number, method, width, counts in told:
        method, width, _ = trials.get(number, (method, width, counts))  # noqa: PLW2901 - what they are stays
        trials[number] = method, width, counts
        tally.keep(number, {"method": method, "width": width, "alpha": 0.5}, counts=counts)
    for found, wanted in ((tally.counted, True), (tally.in_vain, False)):
        assert +Counter(found) == Counter((each[0], each[1]) for each in trials.values() if each[2] is wanted)
    latest = [trials[number] for number in sorted(trials, reverse=True)]
    assert tally.num_last_in_vain == len(list(takewhile(lambda each: not each[2], latest)))


def test_space_without_methods_is_tallied_by_its_values_alone() -> None:
    tally = Tally(["width"])
    tally.keep(0, {"width": 4}, counts=True)
    assert tally.counted == {("None", 4): 1}
