"""What a study's early stopping would lose: its search over students recorded elsewhere, kept for its report."""

from collections import Counter
from pathlib import Path

from analysis.curves import read_curves
from analysis.replayed import ReplayedSearch, ReplayedStopping, ReplayedStops
from analysis.report import write_report
from study.config import parse_config
from study.replays import Replayed, quietly, replay_once
from study.search.replay_summary import ReplaySummary
from study.store import read_study_record
from trainables.whole_files import write_record


def replay_into(recording: Path, study_dir: Path, *, num_workers: int, num_seeds: int) -> Replayed:
    """Replay a study's search over recorded students, keep what its early stopping lost there, and renew its report.

    The sampler, the early stopping, the number of trials and the objectives are the study's; students, space and
    training are the recording's.

    Args:
        recording: another study's directory, or recorded curves.
        study_dir: the study whose search is replayed; `replayed_stopping.json` and the report are written there.
        num_workers: trials at once.
        num_seeds: searches, with the study's seed and those after it.

    Raises:
        ValueError: the study stops nothing early, or an objective of it was not recorded.
    """
    quietly()
    curves = read_curves(recording)
    paths, record = read_study_record(study_dir)
    own = parse_config(record.config, record.name)
    if own.search.early_stopping == "none":
        raise ValueError(
            f'{study_dir}: search.early_stopping is "none": no student is stopped, so that nothing can be lost by it'
        )
    config = parse_config(
        {**curves.config, "search": record.config["search"], "objectives": record.config["objectives"]}, curves.name
    )
    summaries, num_asked, num_exact = [], 0, 0
    for seed in range(own.seed, own.seed + num_seeds):
        summary, answers = replay_once(curves, config, seed=seed, num_workers=num_workers)
        summaries.append(summary)
        num_asked, num_exact = num_asked + answers.num_asked, num_exact + answers.num_exact
    replayed = ReplayedStopping(
        recording=curves.name,
        num_recorded=len(curves.trials),
        exact_fraction=num_exact / num_asked,
        num_workers=num_workers,
        search=record.config["search"],
        searches=tuple(_kept(own.seed + at, each) for at, each in enumerate(summaries)),
    )
    write_record(paths.replayed_stopping, replayed)
    write_report(study_dir)
    title = f"The search of {record.name} over {len(curves.trials)} recorded students of {curves.name}"
    return Replayed(title, {f"{own.search.sampler}, {own.search.early_stopping}": summaries}, replayed.exact_fraction)


def _kept(seed: int, summary: ReplaySummary) -> ReplayedSearch:
    stopped = Counter(each.epoch for each in summary.stops)
    of_front = Counter(each.epoch for each in summary.stops if each.is_of_front)
    return ReplayedSearch(
        seed=seed,
        num_asked=summary.num_asked,
        num_front_found=summary.num_front_found,
        epochs=summary.epochs,
        full_epochs=summary.full_epochs,
        lost_fraction=summary.lost_fraction,
        stops=tuple(
            ReplayedStops(epoch=epoch, num_stopped=stopped[epoch], num_of_front=of_front[epoch])
            for epoch in sorted(stopped)
        ),
    )
