"""What a study is asked to do: frozen, checked when read, TOML in, JSON out; and the fingerprints of its stages."""

import copy
import hashlib
import itertools
import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from study.recipes import recipe_names
from study.search.constraints import parse_constraints
from trainables.config import AssistantConfig, DatasetConfig, Frozen, NamedConfig, TeacherConfig
from trainables.hardware.settings import ProfileSettings
from trainables.later_fields import without_later_fields
from trainables.metrics import Source, latency_batch_size, metric
from trainables.study_paths import MAX_ASSISTANTS


class HalvingConfig(Frozen):
    """When Pareto halving judges a trial, and how many of those it has judged go on."""

    rungs: tuple[Annotated[float, Field(gt=0.0)], ...] | None = Field(
        None, description="epochs after which trials are judged, ascending; None: `first_rung`, doubled again and again"
    )
    first_rung: float = Field(1.0, ge=0.01, description="where rungs are not given; a fraction is one of an epoch")
    least_gain: float = Field(
        5e-4, ge=0.0, lt=1.0, description="share of the hypervolume that a trial must be expected to add to go on"
    )
    keep_fraction: float = Field(
        1 / 3, gt=0.0, lt=1.0, description="of the trials at a rung, those that go on before any has come to its end"
    )
    pauses: bool = Field(
        default=True, description="a trial that does not go on may later, when more have come; false: it is stopped"
    )
    spares_baselines: bool = Field(default=False, description="baselines are judged and go on whatever comes of it")

    @field_validator("rungs")
    @classmethod
    def _rungs_ascend(cls, rungs: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if rungs is not None and any(later <= earlier for earlier, later in itertools.pairwise(rungs)):
            raise ValueError(f"{list(rungs)}: each must be later than the one before")
        return rungs

    def epochs_of_rungs(self, num_epochs: int) -> tuple[float, ...]:
        """After how many epochs a trial of `num_epochs` is judged; its end is no rung."""
        doubled = (self.first_rung * 2**index for index in itertools.count())
        rungs = itertools.takewhile(lambda each: each < num_epochs, doubled if self.rungs is None else self.rungs)
        return tuple(map(float, rungs))


class SearchConfig(Frozen):
    """How many students, and who proposes them."""

    num_trials: int = Field(24, ge=1)
    sampler: str = Field(
        "known_cost", description='a name from `study.search.samplers.SAMPLERS`, or "package.module:object"'
    )
    num_startup_trials: int = Field(10, ge=0, description="of a sampler with a model: trials before it models anything")
    early_stopping: Literal["none", "pareto_halving"] = "none"
    halving: HalvingConfig = HalvingConfig()
    constraints: dict[str, str] = Field(
        {}, description='metric name -> bound, such as "<= 2.0", that students must keep'
    )
    trials_per_method: dict[str, Annotated[int, Field(ge=0)]] | None = Field(
        None, description="for each method of the space, num_trials in all; None: every method gets the same number"
    )
    balanced: tuple[str, ...] = Field(
        (), description='parameters, such as "width", at each of whose values a method has equally many of its trials'
    )

    @field_validator("constraints")
    @classmethod
    def _bounds_can_be_read(cls, constraints: dict[str, str]) -> dict[str, str]:
        parse_constraints(constraints)
        return constraints


class ResourcesConfig(Frozen):
    """What one trial gets, and how many run at once."""

    cpus_per_trial: Annotated[int, Field(ge=1)] = 1
    gpus_per_trial: float = Field(0.25, ge=0.0, le=1.0, description="where the cluster has a GPU; 0 for CPUs only")
    max_concurrent_trials: int | None = Field(None, ge=1, description="None: as many as the cluster holds")
    max_failures: int = Field(5, ge=0, description="restarts of a trial whose process or node died")
    dashboard: bool = Field(True, description="start Ray's dashboard with a local cluster")
    object_store_mib: int = Field(512, ge=80, description="of a local cluster")


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

    @field_validator("objectives")
    @classmethod
    def _objectives_may_steer(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError(f"{list(names)} names a metric twice: each objective may stand once")
        for name in names:
            if metric(name).source is Source.SHARED:
                raise ValueError(
                    f'"{name}" is sampled while other trials run beside it: it is shown, never an objective'
                )
        return names

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
        is_known = [metric(name).source is Source.ISOLATED for name in self.objectives]
        if self.search.early_stopping != "none" and all(is_known):
            raise ValueError(
                f'search.early_stopping = "{self.search.early_stopping}" judges by what training shows, and the '
                f'objectives are known before it ({", ".join(self.objectives)}): allowed is "none"'
            )
        return self

    @property
    def students_teacher(self) -> TeacherConfig:
        """What teaches the students: the last assistant, where there is one."""
        return self.assistants[-1].as_teacher(self.teacher.outputs) if self.assistants else self.teacher

    def fingerprint(self, stage: Literal["teach", "profile", "study"]) -> str:
        """Hash of what changes a stage's result: data, networks, seeds and versions; not counts or resources."""
        versions = library_versions()  # Ray's and Optuna's change no number of a trial
        inputs: dict[str, Any] = {name: versions[name] for name in ("kd-study", "torch", "numpy")}
        asked = without_later_fields(self.model_dump(mode="json"))
        del asked["teacher"]["outputs"]  # how students are told its outputs, which are the same
        fields = {
            "teach": ("dataset", "teacher", "assistants"),
            "profile": ("teacher", "space", "profile"),
            "study": ("seed", "objectives", "dataset", "teacher", "assistants", "space"),
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
