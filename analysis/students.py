"""What the students of a study are called in tables and figures: their method, their size, one line about each."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.results import StudyResults
from analysis.wording import parameter_text, value_text
from trainables.config import ModelConfig
from trainables.metrics import Metric
from trainables.records import TrialRecord

LABELS_METHOD = "labels"
UNKNOWN_METHOD = "unknown"
WITHOUT_TEACHER = frozenset({LABELS_METHOD, "label_smoothing", "teacher_free_kd"})  # the controls


@dataclass(frozen=True, slots=True)
class Sizes:
    """The architectures of a study from small to large, by `ModelConfig.key`, and what to call them."""

    axis_title: str
    noun: str
    labels: dict[str, str]

    def name(self, key: str) -> str:
        """An architecture in a sentence: "width 8", or its key."""
        return f"{self.noun} {self.labels[key]}".strip()

    def position(self, key: str) -> int:
        """Its place from small to large, from 0."""
        return list(self.labels).index(key)


def method(trial: TrialRecord) -> str:
    """The name of what taught the student; "unknown" for a trial that has not been configured yet."""
    return UNKNOWN_METHOD if trial.student is None else trial.student.loss.name


def methods(trials: Sequence[TrialRecord]) -> list[str]:
    """The methods among `trials`: labels-only first, then by name."""
    return sorted({method(trial) for trial in trials}, key=lambda name: (name != LABELS_METHOD, name))


def method_title(name: str) -> str:
    """A method as a legend shows it: "labels only", or "kd (distilled)"."""
    if name == LABELS_METHOD:
        return "labels only"
    if name in WITHOUT_TEACHER:
        return f"{name} (no teacher)"
    return name if name == UNKNOWN_METHOD else f"{name} (distilled)"


def model_key(trial: TrialRecord) -> str | None:
    """Key of the student's architecture; None for a trial that has not been configured yet."""
    return None if trial.student is None else trial.student.model.key


def loss_option(trial: TrialRecord, name: str) -> float | None:
    """A number among the options of the trial's method, such as its temperature; None where it has none."""
    value = None if trial.student is None else trial.student.loss.options.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def sizes(results: StudyResults) -> Sizes:
    """All architectures that were profiled or tried.

    They are called by their option `width`, or `width_multiplier`, where each has its own, else by their keys; ordered
    by width, or else by their number of parameters.
    """
    models: dict[str, ModelConfig] = {}
    num_parameters: dict[str, float] = {}
    for key, profile in ({} if results.profiles is None else results.profiles.students).items():
        models[key] = profile.model
        num_parameters[key] = float(profile.num_parameters)
    for trial in results.trials:
        if trial.student is not None:
            key = trial.student.model.key
            models.setdefault(key, trial.student.model)
            num_parameters.setdefault(key, trial.metrics.get("num_parameters") or float("inf"))
    widths = {key: _width(model) for key, model in models.items()}
    known = [width for width in widths.values() if width is not None]
    if models and len(set(known)) == len(models):
        labels = {key: f"{width:g}" for key, width in widths.items() if width is not None}
        return Sizes("student width", "width", dict(sorted(labels.items(), key=lambda item: float(item[1]))))
    ordered = sorted(models, key=lambda key: (num_parameters[key], key))
    return Sizes("student architecture", "", {key: key for key in ordered})


def title(trial: TrialRecord, named: Sizes) -> str:
    """The student in a few words: "trial 12 (width 8, kd)"."""
    key = model_key(trial)
    about = [named.name(key)] if key is not None else []
    taught = method_title(method(trial)) if method(trial) == LABELS_METHOD else method(trial)
    return f"trial {trial.number} ({', '.join([*about, taught])})"


def hover_text(trial: TrialRecord, metrics: Sequence[Metric]) -> str:
    """What a figure says about a trial under the pointer: number, state, method, metrics, parameters; lines by <br>."""
    lines = [f"<b>trial {trial.number}</b>, {method_title(method(trial))}, {trial.state.value}"]
    lines += [f"{each.label}: {value_text(each, trial.metrics.get(each.name))}" for each in metrics]
    lines += [f"{name} = {parameter_text(value)}" for name, value in trial.parameters.items()]
    return "<br>".join(lines)


def _width(model: ModelConfig) -> float | None:
    value = model.options.get("width", model.options.get("width_multiplier"))
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
