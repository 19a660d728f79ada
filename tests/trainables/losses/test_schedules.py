"""The weight of a method's own part over the training: up in the warm-up, down to nothing at the end of the decay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainables.losses.batches import batch, method, value_of
from trainables.losses import LOSSES
from trainables.losses.with_labels import TermWeight

WITHOUT_A_SCHEDULE = {
    "labels": "has no part but the labels",
    "label_smoothing": "has no part but the labels",
    "hint_first": "has two stages",
    "function_matching": "has no labels to be weighed against",
    "sum": "its weights are constants",
}

scheduled = pytest.mark.parametrize("name", sorted(LOSSES.keys() - WITHOUT_A_SCHEDULE.keys()))


def own_part(name: str, progress: float, **options: float) -> float:
    """What the method adds to its labels at a moment: the value less that of a method whose part has decayed."""
    given = batch(progress=progress)
    if name == "logit_mse":  # without labels by default, beside which a weight may not fall to nothing
        options["labels_weight"] = 1.0
    gone = method(name, 0, **options | {"warm_up": 0.0, "decay_until": 0.01})
    return value_of(method(name, 0, **options), given.step).item() - value_of(gone, given.step).item()


@scheduled
def test_warm_up_rises_evenly_to_the_whole_and_stays_there(name: str) -> None:
    whole = own_part(name, 0.5, warm_up=0.0, decay_until=0.0)
    assert whole > 0.0
    for progress, share in ((0.05, 0.125), (0.1, 0.25), (0.3, 0.75), (0.4, 1.0), (0.9, 1.0)):
        assert own_part(name, progress, warm_up=0.4, decay_until=0.0) == pytest.approx(share * whole, rel=1e-4)


@scheduled
def test_decay_falls_evenly_from_the_beginning_to_nothing(name: str) -> None:
    whole = own_part(name, 0.5, warm_up=0.0, decay_until=0.0)
    for progress, share in ((0.02, 0.96), (0.125, 0.75), (0.25, 0.5), (0.5, 0.0), (0.9, 0.0)):
        expected = pytest.approx(share * whole, rel=1e-4, abs=1e-6)
        assert own_part(name, progress, warm_up=0.0, decay_until=0.5) == expected


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1e4))
def test_weight_is_never_negative_nor_above_its_value(
    progress: float, warm_up: float, decay_until: float, value: float
) -> None:
    assert 0.0 <= TermWeight(value, warm_up, decay_until).at(progress) <= value


@pytest.mark.parametrize("name", sorted(WITHOUT_A_SCHEDULE))
def test_method_without_a_schedule_takes_no_option_of_one(name: str) -> None:
    with pytest.raises(ValueError, match=r"there is no option warm_up = 0\.5"):
        method(name, warm_up=0.5)


def test_published_schedules_are_the_defaults() -> None:
    """DKD warms up over 20 of 240 epochs; boundary samples fall from 2 to 0 by three quarters of the training."""
    for name, progress, share in (("dkd", 10 / 240, 0.5), ("dkd", 20 / 240, 1.0), ("boundary", 0.375, 0.5)):
        whole = own_part(name, progress, warm_up=0.0, decay_until=0.0)
        assert own_part(name, progress) == pytest.approx(share * whole, rel=1e-4)
    assert own_part("boundary", 0.75) == pytest.approx(0.0, abs=1e-6)
