"""The students that come first in a search: which of the baselines it has, and that they wait in the storage."""

from collections import Counter
from collections.abc import Mapping

from search_spaces.space import SearchSpace, student_of
from study.config import StudyConfig
from study.search.constraints import IsolatedMetrics, broken_by
from study.search.shares import method_shares
from study.store import StudyStore
from trainables.records import ORIGIN_ATTRIBUTE, TrialState


def baselines(config: StudyConfig, space: SearchSpace, isolated: IsolatedMetrics) -> list[Mapping[str, object]]:
    """The space's baselines that are not known to break a constraint, of each method no more than its share."""
    left = Counter(method_shares(config.search, space))
    chosen = []
    for baseline in space.baselines():
        method = str(baseline.get("method"))
        if (space.methods and left[method] <= 0) or _is_known_to_break(baseline, config, space, isolated):
            continue
        left[method] -= 1
        chosen.append(baseline)
    return chosen[: config.search.num_trials]


def _is_known_to_break(
    baseline: Mapping[str, object], config: StudyConfig, space: SearchSpace, isolated: IsolatedMetrics
) -> bool:
    try:
        student = student_of(space, baseline)
    except ValueError:  # it leaves a parameter to the sampler: nothing is known of it yet
        return False
    return broken_by(config.constraints, isolated(student)) is not None


def enqueue_baselines(store: StudyStore, space: SearchSpace, isolated: IsolatedMetrics) -> None:
    """Let them wait in the storage, unless the search has begun; what a driver that died had begun is gone on with."""
    if any(trial.state is not TrialState.WAITING for trial in store.trials()):
        return
    waiting = [trial.system_attrs.get("fixed_params") for trial in store.study.get_trials(deepcopy=False)]
    for baseline in baselines(store.config, space, isolated):
        if dict(baseline) not in waiting:
            store.study.enqueue_trial(dict(baseline), user_attrs={ORIGIN_ATTRIBUTE: "baseline"})
