"""A node killed in the middle of a search: its students go on on another one, and the search ends by itself."""

from collections import Counter
from pathlib import Path

from tests.benchmarks.node_loss import NUM_AT_ONCE, search_that_loses_a_node
from trainables.records import TrialState

NUM_TRIALS, NUM_EPOCHS = 6, 3


def test_search_that_loses_a_node_loses_no_student_and_trains_none_twice(tmp_path: Path) -> None:
    """It is killed when the first students are finished, and the next ones have begun."""
    num_before = NUM_AT_ONCE * (NUM_EPOCHS + 1)
    loss = search_that_loses_a_node(
        tmp_path / "study", num_trials=NUM_TRIALS, num_epochs=NUM_EPOCHS, num_steps_before=num_before
    )
    assert [trial.state for trial in loss.trials.values()] == [TrialState.COMPLETE] * NUM_TRIALS
    assert {len(trial.epochs) for trial in loss.trials.values()} == {NUM_EPOCHS}
    num_steps = Counter(step.trial for step in loss.steps)
    undisturbed = loss.trials.keys() - loss.moved
    assert 1 <= len(loss.moved) <= NUM_AT_ONCE
    assert {number: num_steps[number] for number in undisturbed} == dict.fromkeys(undisturbed, NUM_EPOCHS)
    assert all(num_steps[number] <= NUM_EPOCHS + 1 for number in loss.moved)  # no more than the epoch that was cut off
