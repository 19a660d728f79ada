"""What a study is asked to do: frozen, checked when read, TOML in, JSON out; and the fingerprints of its stages."""

import copy
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails

from study.recipes import recipe_names
from study.resources import ResourcesConfig
from study.search.constraints import Constraint, parse_constraints
from study.search.settings import SearchConfig
from study.watch.settings import LogsConfig
from trainables.config import DatasetConfig, Frozen, NamedConfig
from trainables.hardware.settings import ProfileSettings
from trainables.later_fields import without_later_fields
from trainables.metrics import Metric, Source, latency_batch_size, metric
from trainables.own_metrics import MetricConfig, declared, is_still_open
from trainables.study_paths import MAX_ASSISTANTS
from trainables.teacher_config import AssistantConfig, TeacherConfig

# Fields of a teacher that change nothing of what its students learn: its outputs are the same.
HOW_OUTPUTS_ARE_TOLD = ("outputs", "max_stored_mib")


class VerifyConfig(Frozen):
    """How students of the front are trained again and read on the test images, which nothing else reads."""

    max_students: int = Field(4, ge=0, description="of the front, spread along it; 0: none")
    seeds: int = Field(3, ge=1, description="fresh training seeds for each student and its partner")
    best_of: tuple[str, ...] = Field(
        (), description='parameters: also the most accurate student for each of their values, as in ["method", "width"]'
    )

    @field_validator("best_of")
    @classmethod
    def _names_are_a_set(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError(f"{list(names)} names a parameter twice: each may stand once")
        return names


class StudyConfig(Frozen):
    """A whole study."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")
    seed: int = Field(0, ge=0, lt=2**32, description="of the search, and the training seed that all its trials share")
    metrics: tuple[MetricConfig, ...] = Field(
        (), description='of logits, beside the declared ones: a built-in name, or "package.module:object"'
    )
    objectives: tuple[str, ...] = Field(("validation_accuracy", "latency_p50_ms_batch1"), min_length=1)
    storage: str | None = Field(None, description="an Optuna storage URL; None: a journal file in the study directory")
    dataset: DatasetConfig = DatasetConfig()
    teacher: TeacherConfig
    assistants: tuple[AssistantConfig, ...] = Field(
        (), max_length=MAX_ASSISTANTS, description="each taught by the one before it; the last one teaches the students"
    )
    space: NamedConfig
    search: SearchConfig = SearchConfig()
    resources: ResourcesConfig = ResourcesConfig()
    profile: ProfileSettings = ProfileSettings()
    verify: VerifyConfig = VerifyConfig()
    logs: LogsConfig = LogsConfig()

    @field_validator("metrics")
    @classmethod
    def _metrics_are_a_set(cls, metrics: tuple[MetricConfig, ...]) -> tuple[MetricConfig, ...]:
        for names in ([each.key for each in metrics], [each.name for each in declared(metrics)]):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ValueError(f"{twice[0]} stands twice: each metric may stand once")
        return metrics

    @field_validator("objectives")
    @classmethod
    def _objectives_may_steer(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError(f"{list(names)} names a metric twice: each objective may stand once")
        if "metrics" not in info.data:  # they are refused themselves
            return names
        metrics: tuple[MetricConfig, ...] = info.data["metrics"]
        for name in names:
            if not is_still_open(name, metrics) and metric(name, declared(metrics)).source is Source.SHARED:
                raise ValueError(
                    f'"{name}" is sampled while other trials run beside it: it is shown, never an objective'
                )
        return names

    @field_validator("search")
    @classmethod
    def _constraints_are_on_metrics(cls, search: SearchConfig, info: ValidationInfo) -> SearchConfig:
        if "metrics" not in info.data:
            return search
        metrics: tuple[MetricConfig, ...] = info.data["metrics"]
        closed = {name: text for name, text in search.constraints.items() if not is_still_open(name, metrics)}
        parse_constraints(closed, declared(metrics))
        return search

    @model_validator(mode="after")
    def _latencies_are_measured(self) -> Self:
        measured = self.profile.inference_batch_sizes
        wanted = [
            *(("objective", name) for name in self.objectives),
            *(("constraint", n) for n in self.search.constraints),
        ]
        for what, name in wanted:
            batch_size = latency_batch_size(name)
            if batch_size is not None and batch_size not in measured:
                raise ValueError(
                    f'{what} "{name}" is not measured: profile.inference_batch_sizes = {list(measured)} '
                    f"must hold {batch_size}"
                )
        return self

    @model_validator(mode="after")
    def _early_stopping_has_something_to_judge_by(self) -> Self:
        is_known = [
            not is_still_open(name, self.metrics) and metric(name, self.own_metrics).source is Source.ISOLATED
            for name in self.objectives
        ]
        if self.search.early_stopping != "none" and all(is_known):
            raise ValueError(
                f'search.early_stopping = "{self.search.early_stopping}" judges by what training shows, and the '
                f'objectives are known before it ({", ".join(self.objectives)}): allowed is "none"'
            )
        return self

    @property
    def own_metrics(self) -> tuple[Metric, ...]:
        """What the study's own metrics declare; nothing of those whose code has not been asked (`ask_metrics`)."""
        return declared(self.metrics)

    @property
    def objective_metrics(self) -> tuple[Metric, ...]:
        """The objectives as metrics, the study's own among them."""
        return tuple(metric(name, self.own_metrics) for name in self.objectives)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The bounds that students must keep."""
        return parse_constraints(self.search.constraints, self.own_metrics)

    @property
    def students_teacher(self) -> TeacherConfig:
        """What teaches the students: the last assistant, where there is one."""
        return self.assistants[-1].as_teacher(self.teacher.outputs) if self.assistants else self.teacher

    def fingerprint(self, stage: Literal["teach", "profile", "study"]) -> str:
        """Hash of what changes a stage's result: data, networks, seeds and versions; not counts or resources."""
        versions = library_versions()  # Ray's and Optuna's change no number of a trial
        inputs: dict[str, Any] = {name: versions[name] for name in ("kd-study", "torch", "numpy")}
        asked = without_later_fields(self.model_dump(mode="json"))
        for name in HOW_OUTPUTS_ARE_TOLD:
            del asked["teacher"][name]
        fields = {
            "teach": ("dataset", "teacher", "assistants"),
            "profile": ("teacher", "space", "profile"),
            "study": ("seed", "metrics", "objectives", "dataset", "teacher", "assistants", "space"),
        }
        inputs |= {field: asked[field] for field in fields[stage] if field in asked}
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def library_versions() -> dict[str, str]:
    """Versions of what a number may depend on."""
    return {name: metadata.version(name) for name in ("kd-study", "torch", "ray", "optuna", "numpy")}


def preset_names() -> list[str]:
    """Names of the presets that ship with the project."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in resources.files("study").joinpath("presets").iterdir()
        if entry.name.endswith(".toml")
    )


def read_config(preset_or_path: str, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read a preset by name, or a TOML file by path, with `path.to.field=value` overrides on top.

    Raises:
        ValueError: one line that names the field, the value given and what is allowed.
    """
    text, source = _read_text(preset_or_path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source}: not valid TOML: {error}") from error
    return parse_config(overridden(data, overrides), source)


def overridden(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Plain data with `path.to.field=value` set in a copy of it.

    Raises:
        ValueError: an override is not of that form, or names a field below a value.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(data))
    for override in overrides:
        _apply_override(changed, override)
    return changed


def parse_config(data: Mapping[str, Any], source: str) -> StudyConfig:
    """Check plain data and build the configuration.

    Raises:
        ValueError: one line, naming `source` and each field that is wrong.
    """
    try:
        return StudyConfig.model_validate(data)
    except ValidationError as error:
        raise ValueError(f"{source}: " + "; ".join(_explain(detail, data) for detail in error.errors())) from error


def _read_text(preset_or_path: str) -> tuple[str, str]:
    if preset_or_path.endswith(".toml"):
        path = Path(preset_or_path)
        try:
            return path.read_text(encoding="utf-8"), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: cannot be read: {error}") from error
    if preset_or_path in recipe_names():
        raise ValueError(f'"{preset_or_path}" is no study but a publication: kd-study reproduce {preset_or_path}')
    if preset_or_path not in preset_names():
        allowed = ", ".join(preset_names())
        raise ValueError(f'unknown preset "{preset_or_path}": allowed are {allowed}, or the path of a .toml file')
    text = resources.files("study").joinpath("presets", f"{preset_or_path}.toml").read_text(encoding="utf-8")
    return text, f'preset "{preset_or_path}"'


def _apply_override(data: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path.strip():
        raise ValueError(f'--set "{override}": must read path.to.field=value, for example search.num_trials=12')
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *parents, last = path.strip().split(".")
    for parent in parents:
        if data.get(parent) is None:
            data[parent] = {}
        data = data[parent]
        if not isinstance(data, dict):
            raise ValueError(f'--set "{override}": "{parent}" is a value, not a table')
    data[last] = value


def _explain(detail: ErrorDetails, data: Mapping[str, Any]) -> str:
    path = [str(part) for part in detail["loc"]]
    field = ".".join(path) or "configuration"
    if detail["type"] == "extra_forbidden":
        return f"{field}: there is no such field; allowed are {', '.join(_fields_at(path[:-1]))}"
    if detail["type"] == "missing":
        return f"{field}: is required"
    message = detail["msg"].removeprefix("Value error, ")
    given = "" if detail["input"] is data or isinstance(detail["input"], dict) else f" = {detail['input']!r}"
    return f"{field}{given}: {message[0].lower() + message[1:]}"


def _fields_at(path: Sequence[str]) -> list[str]:
    """The fields of the table at `path`."""
    model: type[BaseModel] = StudyConfig
    for part in path:
        if part.isdigit():  # a place in the list whose entries `model` is
            continue
        annotation = model.model_fields[part].annotation
        if get_origin(annotation) in {tuple, UnionType}:  # of models, or of one and None
            annotation = get_args(annotation)[0]
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
