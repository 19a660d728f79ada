"""What a study's own metrics declare, asked of the code that computes them, once it can be imported."""

from study.config import StudyConfig, parse_config
from trainables import logit_metrics
from trainables.metrics import Metric
from trainables.own_metrics import MetricConfig


def ask_metrics(config: StudyConfig) -> StudyConfig:
    """The study with what each of its own metrics declares, and checked again: now all its objectives are known.

    Raises:
        ValueError: a metric cannot be built, it declares something else than it did when the study began, two declare
            one name, or an objective or a constraint is on a metric that there is not.
    """
    if not config.metrics:
        return config
    asked = [_asked(place, each) for place, each in enumerate(config.metrics)]
    data = config.model_dump(mode="json") | {"metrics": [each.model_dump(mode="json") for each in asked]}
    return parse_config(data, f'study "{config.name}"')


def _asked(place: int, config: MetricConfig) -> MetricConfig:
    try:
        declared = logit_metrics.build(config).metric
    except ValueError as error:
        raise ValueError(f"metrics.{place}: {error}") from error
    if config.declared is not None and config.declared != declared:
        raise ValueError(
            f'metrics.{place}: metric "{config.name}" declares {_words(declared)}, and declared '
            f"{_words(config.declared)} when the study began: bring it back as it was, or begin another study"
        )
    return config.model_copy(update={"declared": declared})


def _words(metric: Metric) -> str:
    return f'{metric.name} ("{metric.label}", unit "{metric.unit}", {metric.direction})'
