"""Metrics of logits that a study may have beside the declared ones: one file and one line here each, or one's own."""

import inspect

import torch

from trainables.config import NamedConfig
from trainables.logit_metrics.logit_metric import LogitMetric
from trainables.metrics import METRICS
from trainables.randomness import generator
from trainables.registry import construct, resolve

LOGIT_METRICS = {
    "calibration_error": "trainables.logit_metrics.calibration_error:calibration_error",
}

_IMAGES_OF_A_CLASS, _LEAST_IMAGES = 3, 60
_TAKEN = frozenset({"nll_nats"})  # test_nll_nats is a column of verified.csv


def build(config: NamedConfig) -> LogitMetric:
    """Build the metric that `config` names, its options checked.

    Raises:
        ValueError: no such metric, an option that it does not take or a value that is not allowed, it is not declared
            as it must be, or its name is taken; the message names it.
    """
    _check_options(config)
    try:
        built = construct("metric", LOGIT_METRICS, config)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f'metric "{config.name}" raised {type(error).__name__} when it was built: {error}') from error
    if not isinstance(built, LogitMetric):
        raise ValueError(f'metric "{config.name}" built a {type(built).__name__}: it must build a LogitMetric')
    if built.metric.name in METRICS or built.name in _TAKEN:
        raise ValueError(f'metric "{config.name}": its name "{built.name}" is taken by another metric')
    return built


def try_out(config: NamedConfig, num_classes: int) -> None:
    """See, before anything is launched, that a metric can be computed, twice to the same number, of random logits.

    Raises:
        ValueError: what `build` raises, or the metric could not be computed, changes what it is given, or is no
            function of it; the message names it.
    """
    built = build(config)
    num_images = max(_LEAST_IMAGES, _IMAGES_OF_A_CLASS * num_classes)
    given = (
        torch.randn(num_images, num_classes, generator=generator(0, "metric_student")),
        torch.arange(num_images) % num_classes,
        torch.randn(num_images, num_classes, generator=generator(0, "metric_teacher")),
    )
    before = [each.clone() for each in given]
    values = [built.value(*given) for _ in range(2)]
    if not all(torch.equal(each, kept) for each, kept in zip(given, before, strict=True)):
        raise ValueError(f'metric "{built.name}" changes the logits or labels that it is given: it must leave them')
    if values[0] != values[1]:
        raise ValueError(
            f'metric "{built.name}" is {values[0]:g} and then {values[1]:g} for the same logits: it must be a function '
            "of them"
        )


def _check_options(config: NamedConfig) -> None:
    """See that the options are all that it asks for: a function of logits itself is a likely mistake."""
    builder = resolve("metric", LOGIT_METRICS, config.name)
    if not callable(builder):
        return
    variable = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    asked = [each for each in inspect.signature(builder).parameters.values() if each.kind not in variable]
    missing = [each.name for each in asked if each.default is each.empty and each.name not in config.options]
    if missing:
        raise ValueError(
            f'metric "{config.name}" takes {", ".join(missing)}, and its options are {sorted(config.options)}: it must '
            "be a function of its options alone, and return a LogitMetric"
        )
