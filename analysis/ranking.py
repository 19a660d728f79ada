"""Methods ranked: the best student of each, tuned as it was, over fresh seeds on the test images."""

from collections import Counter
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from analysis.comparisons import holm
from analysis.kinds import METHOD, best_of_kind, further_names, kind_names
from analysis.results import StudyResults
from analysis.statistics import Estimate, mean_interval
from analysis.stopping import asked_students, epochs_trained
from analysis.students import LABELS_METHOD, method, sizes
from analysis.verified import Verified, image_step
from trainables.records import TrialState

KD_METHOD = "kd"

Key = TypeVar("Key", str, tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Against:
    """A method less another one, seed by seed: the mean difference, and its p value corrected by Holm.

    The family of the correction is all comparisons with that other method which the ranking makes, over all networks.
    """

    gain: Estimate
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A method on one network: the verified best of its students; None where there is nothing to compare it with."""

    best: Verified
    accuracy: Estimate
    against_kd: Against | None
    against_labels: Against | None

    @property
    def method(self) -> str:
        """What taught it."""
        return self.best.method


def ranking(results: StudyResults) -> dict[str, tuple[Ranked, ...]]:
    """By network, from small to large, its methods, the best mean test accuracy first; empty before verification.

    It is of the best students by method and network. Where kinds were told apart by more, `capacity` has their curves.
    """
    by_network: dict[str, list[Verified]] = {}
    is_ranking = METHOD in kind_names(results) and not further_names(results)
    for best in best_of_kind(results) if is_ranking else ():
        if best.by_seed("accuracy"):
            by_network.setdefault(best.student.model.key, []).append(best)
    kd, labels = (_compared(by_network, reference) for reference in (KD_METHOD, LABELS_METHOD))
    position = sizes(results).position
    ranked = {key: [_ranked(each, kd, labels) for each in row] for key, row in by_network.items()}
    return {
        key: tuple(sorted(ranked[key], key=lambda each: (-each.accuracy.mean, each.method)))
        for key in sorted(ranked, key=position)
    }


def over_networks(results: StudyResults, reference: str) -> dict[str, Against]:
    """By method, its gain over the reference averaged over all networks, seed by seed; a Holm family of its own.

    A method is left out where some network lacks it or the reference, or the seeds differ.
    """
    gains: dict[str, list[dict[int, float]]] = {}
    ranked = ranking(results)
    steps = [image_step(each.best.runs) for row in ranked.values() for each in row]
    for row in ranked.values():
        by_method = {each.method: each.best.by_seed("accuracy") for each in row}
        for name, by_seed in by_method.items():
            if name != reference and reference in by_method:
                gains.setdefault(name, []).append(_differences(by_seed, by_method[reference]))
    whole = {name: each for name, each in gains.items() if len(each) == len(ranked)}
    estimates = {
        name: mean_interval(
            [float(np.mean([by_seed[seed] for by_seed in each])) for seed in seeds],
            least_deviation=max(steps) / len(each) ** 0.5,
        )
        for name, each in whole.items()
        if (seeds := sorted(set.intersection(*(set(by_seed) for by_seed in each))))
    }
    return _corrected(estimates)


def budgets(results: StudyResults) -> dict[str, tuple[int, float]]:
    """By method, how many students were trained to their end or stopped, and for how many epochs in all."""
    asked = [each for each in asked_students(results.trials) if each.state is not TrialState.FAILED]
    counts = Counter(map(method, asked))
    return {
        name: (number, sum(epochs_trained(each) for each in asked if method(each) == name))
        for name, number in counts.items()
    }


def _compared(by_network: dict[str, list[Verified]], reference: str) -> dict[tuple[str, ...], Against]:
    """By fingerprints of what is compared."""
    estimates: dict[tuple[str, ...], Estimate] = {}
    for row in by_network.values():
        other = next((each for each in row if each.method == reference), None)
        for each in row:
            if other is None or each is other:
                continue
            gains = _differences(each.by_seed("accuracy"), other.by_seed("accuracy"))
            if gains:
                step = image_step(each.runs)
                estimates[each.fingerprints] = mean_interval(list(gains.values()), least_deviation=step)
    return _corrected(estimates)


def _corrected(estimates: dict[Key, Estimate]) -> dict[Key, Against]:
    p_values = holm([each.p_value for each in estimates.values()])
    return {
        key: Against(estimate, p_value) for (key, estimate), p_value in zip(estimates.items(), p_values, strict=True)
    }


def _differences(first: dict[int, float], second: dict[int, float]) -> dict[int, float]:
    return {seed: first[seed] - second[seed] for seed in first if seed in second}


def _ranked(best: Verified, kd: dict[tuple[str, ...], Against], labels: dict[tuple[str, ...], Against]) -> Ranked:
    estimate = best.estimate()
    if estimate is None:
        raise ValueError(f"trial {best.trial.number}: every run failed")
    return Ranked(best, estimate, kd.get(best.fingerprints), labels.get(best.fingerprints))
