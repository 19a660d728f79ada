"""Axes that name their units, and where values stand on them: costs and errors by logarithm, fractions in percent."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from trainables.metrics import Direction, Metric

# From this ratio of the largest to the smallest value on, a log scale tells more than a linear one.
_LOG_RATIO = 2.0
_ERROR_RATIO = 4.0
_ACCURACIES = ("validation_accuracy", "validation_agreement", "test_accuracy")


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis of one metric. With `is_error` it is logarithmic in 1 - value, and read from the top."""

    settings: dict[str, object]
    is_error: bool = False

    def place(self, value: float | None) -> float | None:
        """Where `value` stands, in the axis' own numbers."""
        return 1.0 - value if self.is_error and value is not None else value

    def places(self, values: Sequence[float | None]) -> list[float | None]:
        """Where each of `values` stands."""
        return [self.place(value) for value in values]


def metric_scale(metric: Metric, values: Sequence[float | None]) -> Scale:
    """The axis for `values` of `metric`.

    Near 100 % the errors tell two accuracies apart: 99.0 and 99.5 % differ by a factor of two, as 90 and 95 %
    do. So accuracies whose errors differ much are drawn by their errors on a log scale, and labelled as accuracies.
    """
    known = [value for value in values if value is not None]
    if (
        metric.name in _ACCURACIES
        and known
        and max(known) < 1.0
        and 1.0 - min(known) > _ERROR_RATIO * (1.0 - max(known))
    ):
        return Scale(_error_axis(f"{metric.label} (%, log scale of error)", [1.0 - value for value in known]), True)
    if metric.unit == "fraction":
        digits = 1 if known and max(known) - min(known) < 0.1 else 0
        return Scale({"title_text": f"{metric.label} (%)", "tickformat": f".{digits}%"})
    if metric.direction is Direction.MINIMIZE and known and min(known) > 0.0 and max(known) >= _LOG_RATIO * min(known):
        units = f"{metric.unit}, log scale" if metric.unit else "log scale"
        return Scale(log_axis(f"{metric.label} ({units})", known))
    return Scale({"title_text": metric.axis_title})


def log_axis(title: str, values: Sequence[float]) -> dict[str, object]:
    """Settings of a logarithmic axis over `values` (> 0), with round ticks written out."""
    low, high = _log_range(values)
    ticks = _ticks(low, high)
    return {
        "title_text": title, "type": "log", "range": [low, high],
        "tickvals": ticks, "ticktext": [f"{tick:,.10g}" for tick in ticks],
    }  # fmt: skip


def _error_axis(title: str, errors: Sequence[float]) -> dict[str, object]:
    low, high = _log_range(errors)
    ticks = _ticks(low, high)
    return {
        "title_text": title, "type": "log", "range": [high, low],
        "tickvals": ticks, "ticktext": [f"{100 * (1 - tick):.6g} %" for tick in ticks],
    }  # fmt: skip


def _log_range(values: Sequence[float]) -> tuple[float, float]:
    low, high = log10(min(values)), log10(max(values))
    margin = 0.08 * (high - low) if high > low else 0.3
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    steps = (1, 2, 3, 5, 7) if high - low <= 1.5 else (1, 2, 5) if high - low <= 3.5 else (1,)
    ticks = [step * 10.0**decade for decade in range(floor(low), ceil(high)) for step in steps]
    return [tick for tick in ticks if low <= log10(tick) <= high]
