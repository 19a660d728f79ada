"""Who goes on at a rung: against hand-computed hypervolumes, quotas counted by hand, and itself in another order."""

import random

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.search.candidates import Candidate
from study.search.pareto_halving import NUM_PEERS, ParetoHalving
from trainables.records import RungAction, RungDecision

GO_ON, PAUSE, STOP = RungAction.GO_ON, RungAction.PAUSE, RungAction.STOP

Point = tuple[float, ...]


def halving(*known: bool, keep_fraction: float = 1 / 3, least_gain: float = 1e-3, pauses: bool = True) -> ParetoHalving:
    """Of an accuracy that is to be learned and a cost that is known, unless told."""
    is_known = known or (False, True)
    return ParetoHalving(is_known, least_gain=least_gain, keep_fraction=keep_fraction, pauses=pauses)


def actions(judged: ParetoHalving, *shown: Point, epoch: float = 1.0) -> list[RungAction]:
    """Of trials 0, 1, ... that come to the rung one after the other."""
    return [judged.judge(number, epoch, values).action for number, values in enumerate(shown)]


def with_ends(ends: list[Point], *known: bool, least_gain: float = 1e-3, pauses: bool = True) -> ParetoHalving:
    """Trials 0, 1, ... that ended so; each had shown 0.2 less of what is unknown."""
    known = known or (False, True)
    judged = halving(*known, least_gain=least_gain, pauses=pauses)
    for number, end in enumerate(ends):
        judged.restore(number, showing(end, *known), decided(1.0))
        judged.ended(number, end)
    return judged


def showing(end: Point, *known: bool) -> Point:
    return tuple(
        value if is_known else value - 0.2 for value, is_known in zip(end, known or (False, True), strict=True)
    )


def decided(epoch: float, action: RungAction = PAUSE) -> RungDecision:
    return RungDecision(epoch=epoch, action=action, reason="", gain_fraction=0.0, num_judged=1, num_ended=0)


def test_every_objective_known_is_refused() -> None:
    with pytest.raises(ValueError, match="every objective is known before training"):
        halving(True, True)


def test_first_goes_on_and_then_a_third_of_those_that_came() -> None:
    """At one cost: with 1 to 5 trials 1 place is kept, with 6 two; only the best of them is above the others."""
    shown: list[Point] = [(0.5, -1.0), (0.4, -1.0), (0.6, -1.0), (0.3, -1.0), (0.55, -1.0), (0.2, -1.0)]
    assert actions(halving(), *shown) == [GO_ON, PAUSE, GO_ON, PAUSE, PAUSE, PAUSE]


def test_place_is_by_what_each_adds_to_the_others() -> None:
    """Of the front (0.9, -4), (0.7, -2), (0.5, -1), extents 0.4 and 3, reference (0.46, -4.3): the middle adds most."""
    judged = halving(keep_fraction=0.5)
    for number, shown in enumerate([(0.9, -4.0), (0.5, -1.0), (0.1, -1.0)]):
        judged.restore(number, shown, decided(1.0))
    decision = judged.judge(3, 1.0, (0.7, -2.0))
    total = 0.04 * 3.3 + 0.2 * 2.3 + 0.2 * 0.3
    assert decision.gain_fraction == pytest.approx(0.2 * 2.0 / total)
    assert decision.reason == "place 1 of 4, of which 2 go on: none can be projected yet"
    promotion = judged.promotion({0: 1.0, 1: 1.0, 2: 1.0})
    assert promotion is not None
    assert promotion[0] == 0
    assert promotion[1].gain_fraction == pytest.approx(0.2 * 0.3 / total)  # above 0.04 * 1 of trial 1


def test_among_equals_the_one_that_came_first_has_the_place() -> None:
    assert actions(halving(), *[(0.5, -1.0)] * 5) == [GO_ON, PAUSE, PAUSE, PAUSE, PAUSE]


def test_trial_that_does_not_go_on_is_stopped_where_pausing_is_off() -> None:
    assert actions(halving(pauses=False), (0.5, -1.0), (0.4, -1.0)) == [GO_ON, STOP]


def test_spared_trial_goes_on_and_says_so() -> None:
    judged = halving()
    judged.judge(0, 1.0, (0.5, -1.0))
    decision = judged.judge(1, 1.0, (0.4, -1.0), spared="a baseline, spared")
    assert decision.action is GO_ON
    assert decision.reason == "place 2 of 2, of which 1 go on: none can be projected yet; a baseline, spared"
    assert judged.judge(2, 1.0, (0.6, -1.0), spared="a baseline, spared").reason.endswith("projected yet")


def test_trial_that_passed_a_rung_passes_the_later_ones_while_nothing_can_be_projected() -> None:
    judged = halving()
    actions(judged, (0.5, -1.0), (0.6, -1.0))
    assert actions(judged, (0.9, -1.0), (0.1, -1.0), epoch=2.0) == [GO_ON, GO_ON]


def test_trial_that_comes_again_is_told_the_same_and_counts_once() -> None:
    judged = halving()
    first = judged.judge(0, 1.0, (0.5, -1.0))
    judged.judge(1, 1.0, (0.6, -1.0))
    assert judged.judge(0, 1.0, (0.5, -1.0)) == first
    judged.restore(0, (0.5, -1.0), first)
    assert judged.judge(2, 1.0, (0.4, -1.0)).num_judged == 3


def test_paused_trial_goes_on_once_enough_have_come_and_is_then_told_so() -> None:
    """Kept are 2 of 6: the second has waited since it was second of 2."""
    judged = halving()
    shown: list[Point] = [(0.6, -1.0), (0.5, -1.0), (0.4, -1.0), (0.3, -1.0), (0.2, -1.0)]
    paused = dict.fromkeys(range(1, 5), 1.0)
    assert actions(judged, *shown)[1:] == [PAUSE] * 4
    assert judged.promotion(paused) is None
    assert judged.judge(5, 1.0, (0.1, -1.0)).action is PAUSE
    promotion = judged.promotion(paused)
    assert promotion is not None
    number, decision = promotion
    assert (number, decision.promoted, decision.action, decision.num_judged) == (1, True, PAUSE, 6)
    assert decision.reason == "paused, then place 2 of 6, of which 2 go on: none can be projected yet"
    again = judged.judge(1, 1.0, shown[1])
    assert (again.action, again.promoted) == (GO_ON, True)
    del paused[1]
    assert judged.promotion(paused) is None


def test_latest_rung_is_promoted_first() -> None:
    judged = halving()
    judged.restore(0, (0.9, -1.0), decided(1.0))
    judged.restore(1, (0.1, -1.0), decided(2.0))
    order = []
    paused = {0: 1.0, 1: 2.0}
    while (promotion := judged.promotion(paused)) is not None:
        order.append(promotion[0])
        del paused[promotion[0]]
    assert order == [1, 0]


ENDS: list[Point] = [(0.9, -4.0), (0.5, -1.0), (0.7, -2.0)]  # hypervolume 0.652 above (0.46, -4.3)


@pytest.mark.parametrize("known", [(False, True), (False, False)], ids=["known cost", "nothing known"])
def test_gain_is_the_growth_of_the_hypervolume_where_the_line_is_perfect(known: tuple[bool, bool]) -> None:
    """Projected to (0.8, -3), it adds 0.1 by 1, from the accuracy of the one and the cost of the other beside it."""
    decision = with_ends(ENDS, *known).judge(3, 1.0, showing((0.8, -3.0), *known))
    assert decision.gain_fraction == pytest.approx(0.1 / 0.752, rel=2e-3)  # slope: a little below 1, as it began
    assert (decision.action, decision.num_judged, decision.num_ended) == (GO_ON, 4, 3)
    gain = f"{decision.gain_fraction:.2%}"
    assert decision.reason == f"expected to add {gain} to the hypervolume, at least 0.10% is asked"


def test_of_one_objective_the_gain_is_what_exceeds_the_best() -> None:
    """Projected to 1.0, of extent 0.5 in all: above the reference 0.95 there is nothing else."""
    judged = with_ends([(0.5,), (0.7,), (0.9,)], False)
    assert judged.judge(3, 1.0, (0.8,)).gain_fraction == pytest.approx(1.0)
    assert judged.judge(4, 1.0, (0.6,)).action is PAUSE


@pytest.mark.parametrize(("pauses", "action"), [(True, PAUSE), (False, STOP)])
def test_trial_whose_projected_end_is_dominated_at_its_own_cost_does_not_go_on(
    pauses: bool, action: RungAction
) -> None:
    decision = with_ends(ENDS, pauses=pauses).judge(3, 1.0, showing((0.65, -3.0)))
    assert decision.action is action
    assert decision.gain_fraction == pytest.approx(0.0, abs=1e-6)


def test_trial_that_adds_less_than_is_asked_does_not_go_on() -> None:
    assert with_ends(ENDS, least_gain=0.14).judge(3, 1.0, showing((0.8, -3.0))).action is PAUSE
    assert with_ends(ENDS, least_gain=0.13).judge(3, 1.0, showing((0.8, -3.0))).action is GO_ON


def test_cheap_trial_of_little_accuracy_goes_on_where_a_dear_one_does_not() -> None:
    judged = with_ends(ENDS)
    assert judged.judge(3, 1.0, showing((0.4, -0.5))).action is GO_ON
    assert judged.judge(4, 1.0, showing((0.4, -3.0))).action is PAUSE


def test_end_is_projected_from_trials_of_like_cost() -> None:
    """The dear ones gain 0.4 by their end, the cheap ones 0.1: a dear one that shows 0.1 more ends 0.1 higher."""
    judged = halving()
    for index in range(NUM_PEERS):
        for number, cost, shown, grown in (
            (2 * index, -1.0, 0.1 + 0.01 * index, 0.1),
            (2 * index + 1, -4.0, 0.2 + 0.01 * index, 0.4),
        ):
            judged.restore(number, (shown, cost), decided(1.0))
            judged.ended(number, (shown + grown, cost))
    best = 0.01 * (NUM_PEERS - 1)
    decision = judged.judge(99, 1.0, (0.3 + best, -4.0))
    extent = (0.7 + best) - (0.2 + best)  # of the front: the best cheap one at -1, and this one at -4
    gain = 0.1 * 0.3 / (0.1 * extent * 3.3 + extent * 0.3)
    assert decision.gain_fraction == pytest.approx(gain, rel=1e-2)


def test_end_is_projected_from_trials_of_like_parameters() -> None:
    """Of two batch sizes the one that learns late ends as high: one of its trials that shows little goes on."""
    sizes = {number: 64 if number % 2 else 256 for number in range(14)}
    drawn_from = {"batch_size": optuna.distributions.CategoricalDistribution([64, 256])}
    told = {}
    for named in (True, False):
        judged = ParetoHalving(
            (False, True),
            least_gain=1e-3,
            keep_fraction=1 / 3,
            pauses=True,
            point_of=(lambda number: Candidate({"batch_size": sizes[number]}, drawn_from)) if named else None,
        )
        for number in range(12):
            end = 0.9 + 0.01 * (number // 2)
            shown = end - (0.1 if sizes[number] == 64 else 0.2)
            judged.restore(number, (shown, -1.0), decided(1.0))
            judged.ended(number, (end, -1.0))
        told[named] = [judged.judge(number, 1.0, (shown, -1.0)).action for number, shown in ((12, 0.77), (13, 0.82))]
    assert told[True] == [GO_ON, PAUSE]  # to end at 0.97, and at 0.92, where 0.95 is the best
    assert told[False] != told[True]


def test_what_is_projected_does_not_hang_on_which_rung_was_asked_about_first() -> None:
    """At the second rung all have a temperature, at the first not: its column is what it is with those."""
    distributions = {
        "method": optuna.distributions.CategoricalDistribution(["labels", "kd"]),
        "temperature": optuna.distributions.FloatDistribution(1.0, 16.0),
    }

    def point(number: int) -> Candidate:
        names = ["method"] if number < 4 else ["method", "temperature"]
        values = {"method": "labels" if number < 4 else "kd", "temperature": 1.0 + (7 * number) % 15}
        return Candidate({name: values[name] for name in names}, {name: distributions[name] for name in names})

    gains = []
    for asks_first in (True, False):
        judged = ParetoHalving((False, True), least_gain=1e-3, keep_fraction=1 / 3, pauses=True, point_of=point)
        for number in range(12):
            end = 0.9 + 0.01 * ((7 * number) % 15) / 15
            for epoch, behind in ((1.0, 0.3), (2.0, 0.1))[: 1 if number < 4 else 2]:
                judged.restore(number, (0.8 - behind + 0.02 * (number % 3), -1.0), decided(epoch))
            if number != 3:
                judged.ended(number, (end, -1.0))
        if asks_first:
            judged.promotion({3: 1.0})
        gains.append(judged.judge(12, 2.0, (0.72, -0.9)).gain_fraction)
    assert gains[0] == gains[1] > 0.0


def test_trial_that_is_uncertain_goes_on_where_a_sure_one_would_not() -> None:
    """The same mean end, dominated; the ends about the line leave it a chance."""
    judged = halving()
    for number, (shown, end) in enumerate([(0.3, 0.45), (0.4, 0.75), (0.5, 0.6), (0.6, 0.95)]):
        judged.restore(number, (shown, -1.0), decided(1.0))
        judged.ended(number, (end, -1.0))
    assert judged.judge(4, 1.0, (0.55, -1.0)).action is GO_ON
    sure = with_ends([(0.45, -1.0), (0.75, -1.0), (0.6, -1.0), (0.95, -1.0)])
    assert sure.judge(4, 1.0, (0.65, -1.0)).action is PAUSE


POINTS = st.tuples(st.integers(0, 5).map(lambda each: each / 8), st.sampled_from([-1.0, -2.0, -4.0]))
PAST = st.lists(st.tuples(POINTS, st.one_of(st.none(), st.integers(0, 3))), min_size=1, max_size=20)


@given(past=PAST, stream=st.randoms(use_true_random=False), candidate=POINTS)
def test_rebuilt_in_any_order_it_decides_the_next_trial_alike(
    past: list[tuple[Point, int | None]], stream: random.Random, candidate: Point
) -> None:
    """Costs and values repeat, so that nothing but the order could tell trials apart."""
    decisions = []
    order = list(enumerate(past))
    for _ in range(2):
        judged = halving()
        for number, (shown, grown) in order:
            judged.restore(number, shown, decided(1.0))
            if grown is not None:
                judged.ended(number, (shown[0] + grown / 8, shown[1]))
        paused = {number: 1.0 for number, (_, grown) in order if grown is None}
        decisions.append((judged.judge(99, 1.0, candidate), judged.promotion(paused)))
        stream.shuffle(order)
    assert decisions[0] == decisions[1]


@given(past=st.lists(POINTS, min_size=3, max_size=8), noise=st.integers(0, 3), cost=st.sampled_from([-1.0, -2.0, -4.0]))
def test_better_value_at_the_rung_never_turns_going_on_into_a_pause(past: list[Point], noise: int, cost: float) -> None:
    """All else equal, once ends are projected; ends lie off the line by up to 0.06."""
    went_on = []
    for shown in np.linspace(-0.2, 1.2, 8):
        judged = halving()
        for number, (seen, paid) in enumerate(past):
            judged.restore(number, (seen, paid), decided(1.0))
            judged.ended(number, (0.3 + 0.7 * seen + 0.02 * noise * (-1) ** number, paid))
        went_on.append(judged.judge(99, 1.0, (float(shown), cost)).action is GO_ON)
    assert went_on == sorted(went_on)


def test_two_that_make_up_the_front_add_the_same_and_the_first_has_the_place() -> None:
    """Over a margin of a tenth each adds 1 by 0.1, whatever the numbers: rounding must not choose."""
    for step in range(1, 30):
        judged = halving()
        judged.restore(0, (0.3, -1.0), decided(1.0))
        assert judged.judge(1, 1.0, (0.3 + 0.017 * step, -2.7)).action is PAUSE
