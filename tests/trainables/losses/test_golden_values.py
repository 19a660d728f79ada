"""Every method against its paper's equation in float64 NumPy, at several moments of the training."""

import pytest

from tests.trainables.losses.batches import batch, method, value_of
from tests.trainables.losses.golden import GOLDEN, Given
from trainables.losses import LOSSES

DRAWS_SEED = 5


def test_every_method_of_the_registry_has_a_golden_value() -> None:
    missing = LOSSES.keys() - GOLDEN.keys()
    assert not missing, f"write the equation of {sorted(missing)} in golden.py: a new line needs its golden value"
    assert not GOLDEN.keys() - LOSSES.keys()


@pytest.mark.parametrize("progress", [0.0, 0.05, 0.49, 0.6, 0.9])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_value_is_that_of_the_papers_equation(name: str, progress: float) -> None:
    loss, given = method(name), batch(16, seed=3).at(progress)
    expected = GOLDEN[name](Given.of(given, loss, DRAWS_SEED))
    assert value_of(loss, given.step, seed=DRAWS_SEED).item() == pytest.approx(expected, rel=2e-5)
