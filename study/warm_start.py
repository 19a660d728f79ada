"""`--warm-start`: what another study's students may tell this one's sampler, and why the others may not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from analysis.curves import RecordedCurves, RecordedTrial, read_curves
from search_spaces.space import SearchSpace
from study.config import HOW_OUTPUTS_ARE_TOLD, StudyConfig, library_versions, parse_config
from study.search.evidence import differences, point_of
from study.search.samplers import SAMPLERS, TAKE_EVIDENCE
from trainables.metrics import Source

MAX_REASONS = 3


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Another study's curves, the students that fit among them, and for each reason how many do not.

    `versions` are of the libraries, where that study was made with others: "torch 2.13.0, here 2.14.1".
    """

    source: Path
    curves: RecordedCurves
    left_out: Mapping[str, int]
    versions: str | None

    @property
    def text(self) -> str:
        """One line for who launches the study."""
        told = f"{len(self.curves.trials)} students of study {self.curves.name} ({self.source}) are evidence"
        left_out = f"; left out: {_reasons(self.left_out)}" if self.left_out else ""
        versions = f"; made with {self.versions}" if self.versions else ""
        return told + left_out + versions


def warm_start(source: Path, config: StudyConfig, space: SearchSpace) -> WarmStart:
    """Read the students that are evidence for a study: of the same images and teacher, and of its own space.

    Students that were not trained to their end are left out: the study will judge its own by what those have shown.

    Args:
        source: a study's directory, or recorded curves.
        config: of the study that is to be told.
        space: of that study.

    Raises:
        ValueError: the sampler takes no evidence, `source` cannot be read, its dataset or teacher is another, or
            none of its students fits: in space, training or objectives.
    """
    if config.search.sampler in SAMPLERS and config.search.sampler not in TAKE_EVIDENCE:
        raise ValueError(
            f'search.sampler = "{config.search.sampler}" takes no evidence: allowed with --warm-start are '
            f'{", ".join(TAKE_EVIDENCE)}, and one\'s own ("package.module:object")'
        )
    try:
        curves = read_curves(source)
    except ValueError as error:
        raise ValueError(f"--warm-start: {error}") from error
    _check_same_task(source, parse_config(curves.config, str(source)), config)
    fitting, left_out = _fitting(curves, config, space)
    if not fitting:
        raise ValueError(f"--warm-start {source}: none of its {len(curves.trials)} students fits: {_reasons(left_out)}")
    if curves.num_left_out:
        left_out["not trained to their end"] = curves.num_left_out
    return WarmStart(
        source,
        curves.model_copy(update={"trials": tuple(fitting)}),
        dict(left_out),
        _other_versions(curves.versions),
    )


def _check_same_task(source: Path, theirs: StudyConfig, ours: StudyConfig) -> None:
    """See that accuracies mean the same in both.

    Raises:
        ValueError: the message names the fields that differ.
    """
    for what in ("dataset", "teacher", "assistants"):
        there, here = ({what: _told(each)[what]} for each in (theirs, ours))
        differing = differences(there, here)
        if differing:
            raise ValueError(f"--warm-start {source}: its {what} is another: {'; '.join(differing)}")
    there, here = (_own_objectives(each, ours.objectives) for each in (theirs, ours))
    for name in there.keys() & here.keys():
        differing = differences(there[name], here[name], name)
        if differing:
            raise ValueError(f"--warm-start {source}: its metric {name} is another: {'; '.join(differing)}")


def _own_objectives(config: StudyConfig, objectives: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of the objectives those that are a study's own metrics, each with what computes it, as JSON data."""
    known = {each.declared.name: each.model_dump(mode="json") for each in config.metrics if each.declared is not None}
    return {name: known[name] for name in objectives if name in known}


def _told(config: StudyConfig) -> dict[str, Any]:
    """As JSON data; whether the teacher's outputs are looked up or computed makes no other teacher."""
    told = config.model_dump(mode="json")
    for name in HOW_OUTPUTS_ARE_TOLD:
        del told["teacher"][name]
    return told


def _fitting(
    curves: RecordedCurves, config: StudyConfig, space: SearchSpace
) -> tuple[list[RecordedTrial], Counter[str]]:
    """The trials that fit, and the reasons why others do not."""
    learned = [each.name for each in config.objective_metrics if each.source is not Source.ISOLATED]
    fitting, left_out = list[RecordedTrial](), Counter[str]()
    for trial in curves.trials:
        unknown = [name for name in learned if trial.epochs[-1].get(name) is None]
        try:
            point_of(trial, space)
        except ValidationError as error:  # of a configuration that the space builds
            left_out[f"no student of the space ({error.errors()[0]['msg']})"] += 1
        except ValueError as error:
            left_out[str(error)] += 1
        else:
            if unknown:
                left_out[f"{unknown[0]} is unknown"] += 1
            else:
                fitting.append(trial)
    return fitting, left_out


def _reasons(left_out: Mapping[str, int]) -> str:
    common = Counter(left_out).most_common()
    told = [f"{number} ({reason})" for reason, number in common[:MAX_REASONS]]
    rest = sum(number for _, number in common[MAX_REASONS:])
    return ", ".join([*told, *([f"{rest} for other reasons"] if rest else [])])


def _other_versions(versions: Mapping[str, str]) -> str | None:
    ours = library_versions()
    others = [
        f"{name} {version}, here {ours[name]}"
        for name, version in versions.items()
        if ours.get(name, version) != version
    ]
    return "; ".join(others) or None
