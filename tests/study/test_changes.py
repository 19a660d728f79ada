"""What the proposer hands on to whoever shows a search, instead of all trials at each event."""

from pathlib import Path

from tests.study.test_proposer import FACTS, cnn_space, metrics, proposer
from trainables.records import TrialRecord


def test_changes_handed_on_are_all_that_there_are_each_once(tmp_path: Path) -> None:
    """Whoever puts them together has the trials as they stand, after each step of a study and in a second launch."""
    for num_proposals in (2, 3):
        seen: dict[int, TrialRecord] = {}
        with proposer(tmp_path, cnn_space()) as each:
            for _ in range(num_proposals):
                proposal = each.going_on() or each.next()
                assert proposal is not None
                latest = proposal.number
                each.started(latest, 0)
                each.record_epoch(latest, metrics(latest))
                changed = each.changed()
                assert len({record.number for record in changed}) == len(changed)
                seen |= {record.number: record for record in changed}
                assert list(seen.values()) == list(each.records())
            assert each.changed() == []
            each.complete(latest, metrics(latest), FACTS)
            assert [record.number for record in each.changed()] == [latest]
