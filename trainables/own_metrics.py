"""Metrics that a study has beside the declared ones, as frozen data: what computes them, and what they declare."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field, model_validator

from trainables.config import NamedConfig
from trainables.metrics import Direction, Metric, Source, is_metric

_VALIDATION, _TEST = "validation_", "test_"
_ON_VALIDATION, _ON_TEST = " on validation", " on the test images"


class MetricConfig(NamedConfig):
    """What computes a metric of logits: a name from `trainables.logit_metrics.LOGIT_METRICS`, or one's own."""

    declared: Metric | None = Field(None, description="as trials report it; filled in when a study is created")

    @model_validator(mode="before")
    @classmethod
    def _name_alone_is_an_entry(cls, entry: object) -> object:
        return {"name": entry} if isinstance(entry, str) else entry


def declared(metrics: Iterable[MetricConfig]) -> tuple[Metric, ...]:
    """What is known of them; of one whose code has not been asked yet, nothing."""
    return tuple(each.declared for each in metrics if each.declared is not None)


def own_metrics(config: Mapping[str, Any]) -> tuple[Metric, ...]:
    """Those of a study's configuration, as JSON data: known without the code that computes them."""
    return declared(MetricConfig.model_validate(each) for each in config.get("metrics", ()))


def is_still_open(name: str, metrics: Sequence[MetricConfig]) -> bool:
    """Whether a metric whose code has not been asked yet may turn out to be called so in trials."""
    has_unasked = any(each.declared is None for each in metrics)
    return has_unasked and name.startswith(_VALIDATION) and not is_metric(name, declared(metrics))


def on_validation(name: str) -> str:
    """What trials call a metric of logits that is declared by this name."""
    return f"{_VALIDATION}{name}"


def metric_on_validation(name: str, label: str, unit: str, direction: Direction) -> Metric:
    """A metric of logits as trials report it, of the validation images."""
    return Metric(on_validation(name), f"{label}{_ON_VALIDATION}", unit, direction, Source.TRAINING)


def metric_on_test(metric: Metric) -> Metric:
    """One that trials report, of the test images instead, on which only retrainings are read."""
    label = metric.label.removesuffix(_ON_VALIDATION) + _ON_TEST
    return Metric(f"{_TEST}{declared_name(metric)}", label, metric.unit, metric.direction, metric.source)


def declared_name(metric: Metric) -> str:
    """By which one that trials report is declared, whichever images it is of."""
    return metric.name.removeprefix(_VALIDATION)
