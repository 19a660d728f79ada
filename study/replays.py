"""`kd-study replay`: what another sampler or stopper would have made of students that are trained already."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import torch
from rich.table import Table

import search_spaces
from analysis.curves import RecordedCurves, RecordedTrial, read_curves, write_curves
from study.config import StudyConfig, overridden, parse_config
from study.search.recorded import RecordedAnswers
from study.search.replay import Replay, values_at
from study.search.replay_summary import RecordedFront, ReplaySummary, summarise
from study.store import read_study_record


@dataclass(frozen=True, slots=True)
class Replayed:
    """Searches over one recording, by name, each with as many seeds; and how they were answered."""

    title: str
    searches: Mapping[str, Sequence[ReplaySummary]]
    exact_fraction: float


def replay(path: Path, overrides: Sequence[str], *, num_workers: int, num_seeds: int, save: Path | None) -> Replayed:
    """Replay the search of a study as it was configured, and as it is with the overrides.

    Args:
        path: a study's directory, or recorded curves.
        overrides: `path.to.field=value`, as of `kd-study run --set`.
        num_workers: trials at once.
        num_seeds: searches of each kind, with the study's seed and those after it.
        save: where to write the recorded curves too; None: nowhere.

    Raises:
        ValueError: there is nothing to replay, or an override is wrong.
    """
    quietly()
    curves, evidence = read_curves(path), _evidence(path)
    if save is not None:
        write_curves(curves, save)
    recorded = _config(curves, ())
    configs = {f"as recorded: {_named(recorded)}": recorded}
    if overrides:
        changed = _config(curves, overrides)
        configs[f"as set: {_named(changed)}"] = changed
    searches: dict[str, list[ReplaySummary]] = {}
    num_asked, num_exact = 0, 0
    for name, config in configs.items():
        searches[name] = []
        for seed in range(num_seeds):
            told = evidence if config.space == recorded.space else ()
            summary, answers = replay_once(
                curves, config, seed=config.seed + seed, num_workers=num_workers, evidence=told
            )
            searches[name].append(summary)
            num_asked, num_exact = num_asked + answers.num_asked, num_exact + answers.num_exact
    exact = num_exact / num_asked if num_asked else 1.0
    left_out = f" ({curves.num_left_out} more have no known end)" if curves.num_left_out else ""
    return Replayed(f"{len(curves.trials)} recorded students of {curves.name}{left_out}", searches, exact)


def quietly() -> None:
    """One thread, so that what is asked does not hang on how many there are; and no word from Optuna on each trial."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def replay_once(
    curves: RecordedCurves,
    config: StudyConfig,
    *,
    seed: int,
    num_workers: int,
    evidence: Sequence[RecordedTrial] = (),
) -> tuple[ReplaySummary, RecordedAnswers]:
    """One search over the recording, with a seed of its own."""
    objectives = config.objective_metrics
    answers = RecordedAnswers(curves, objectives)
    space = search_spaces.build(config.space)
    seeded = config.model_copy(update={"seed": seed})
    trials = Replay(seeded, space, answers.answer, answers.isolated, num_workers=num_workers, evidence=evidence).run()
    ends = [values_at({**each.epochs[-1], **each.isolated}, objectives) for each in answers.trials]
    return summarise(trials, objectives, RecordedFront.of(np.array(ends))), answers


def replayed_view(replayed: Replayed) -> Table:
    """Searches as columns, means over their seeds."""
    num_seeds = len(next(iter(replayed.searches.values())))
    table = Table(
        title=f"{replayed.title}, mean of {num_seeds} searches",
        caption="hypervolume: share of the recorded front's, each objective on that front's own range, up to 1.1; "
        f"{replayed.exact_fraction:.0%} of the students asked for were recorded, the most similar answers for others",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("")
    for name in replayed.searches:
        table.add_column(name, justify="right")
    for measure, (of, shown) in _MEASURES.items():
        means = [float(np.mean([of(each) for each in summaries])) for summaries in replayed.searches.values()]
        table.add_row(measure, *(format(mean, shown) for mean in means))
    return table


_MEASURES: dict[str, tuple[Callable[[ReplaySummary], float], str]] = {
    "students asked": (lambda each: each.num_asked, ".1f"),
    "trained to their end": (lambda each: each.num_complete, ".1f"),
    "epochs trained": (lambda each: each.epochs, ",.0f"),
    "seconds, by the recorded speed": (lambda each: each.seconds, ",.0f"),
    "hypervolume": (lambda each: each.hypervolume, ".4f"),
    "lost by stopping": (lambda each: each.lost_fraction, ".2%"),
    "students of the recorded front, found": (lambda each: each.num_front_found, ".1f"),
    "students of the recorded front, stopped": (lambda each: each.num_front_stopped, ".1f"),
}


def _evidence(path: Path) -> tuple[RecordedTrial, ...]:
    """What the recorded study's own sampler was told beforehand, which a study's directory holds."""
    if not path.is_dir():
        return ()
    paths, record = read_study_record(path)
    return () if record.evidence is None else read_curves(paths.evidence).trials


def _config(curves: RecordedCurves, overrides: Sequence[str]) -> StudyConfig:
    return parse_config(overridden(curves.config, overrides), curves.name)


def _named(config: StudyConfig) -> str:
    search = config.search
    stopping = "" if search.early_stopping == "none" else f", {search.early_stopping}"
    return f"{search.sampler}{stopping}"
