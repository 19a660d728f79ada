"""The students that come first in a search: which of the baselines it has, and that they wait in the storage."""

from collections import Counter
from collections.abc import Callable, Mapping

from optuna.trial import FixedTrial

from search_spaces.space import SearchSpace
from study.config import SearchConfig
from study.search.constraints import broken_by, parse_constraints
from study.search.shares import method_shares
from study.store import StudyStore
from trainables.config import StudentConfig
from trainables.records import ORIGIN_ATTRIBUTE, TrialState

Isolated = Callable[[StudentConfig], Mapping[str, float | None]]


def baselines(config: SearchConfig, space: SearchSpace, isolated: Isolated) -> list[Mapping[str, object]]:
    """The space's baselines that are not known to break a constraint, of each method no more than its share."""
    constraints = parse_constraints(config.constraints)
    left = Counter(method_shares(config, space))
    chosen = []
    for baseline in space.baselines():
        method = str(baseline.get("method"))
        student = space.suggest(FixedTrial(dict(baseline)))  # type: ignore[arg-type] # asked alike
        if (space.methods and left[method] <= 0) or broken_by(constraints, isolated(student)) is not None:
            continue
        left[method] -= 1
        chosen.append(baseline)
    return chosen[: config.num_trials]


def enqueue_baselines(store: StudyStore, space: SearchSpace, isolated: Isolated) -> None:
    """Let them wait in the storage, unless the search has begun; what a driver that died had begun is gone on with."""
    trials = store.trials()
    if any(trial.state is not TrialState.WAITING for trial in trials):
        return
    for baseline in baselines(store.config.search, space, isolated)[len(trials) :]:
        store.study.enqueue_trial(dict(baseline), user_attrs={ORIGIN_ATTRIBUTE: "baseline"})
