"""Numbers and lists as a reader sees them: units beside values, percent for fractions, counts that agree in number."""

from collections.abc import Sequence
from datetime import UTC, datetime

from analysis.statistics import Estimate
from trainables.metrics import Metric, latency_batch_size

_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"))


def value_text(metric: Metric, value: float | None) -> str:
    """`value` with its unit, to as many digits as mean something; "unknown" for None."""
    if value is None:
        return "unknown"
    if metric.unit == "fraction":
        return f"{100 * value:.2f} %"
    if metric.unit == "":
        return f"{value:,.0f}" if value == round(value) else significant(value)
    for scale, prefix in _LARGE:
        if abs(value) >= scale:
            return f"{value / scale:.3g} {prefix}{metric.unit}"
    return f"{significant(value)} {metric.unit}"


def significant(value: float) -> str:
    """Three significant digits, in plain notation between 0.0001 and 1,000,000."""
    if value == 0.0 or 1e-4 <= abs(value) < 1e3:
        return f"{value:.3g}"
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.2e}"


def parameter_text(value: object) -> str:
    """A trial's parameter: numbers to three digits, the rest as it is."""
    return significant(value) if isinstance(value, float) else str(value)


def points(difference_fraction: float) -> str:
    """A difference of two accuracies in percentage points, with its sign."""
    return f"{100 * difference_fraction:+.2f} points"


def estimate_text(estimate: Estimate | None) -> str:
    """A mean accuracy with its interval: "98.61 % (98.40 to 98.82)"."""
    if estimate is None:
        return "unknown"
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.mean:.2f} % (one seed)"
    return f"{100 * estimate.mean:.2f} % ({100 * max(estimate.low, 0.0):.2f} to {100 * min(estimate.high, 1.0):.2f})"


def gain_text(gain: Estimate) -> str:
    """A difference with its interval: "+0.21 points (95 % interval +0.05 to +0.37)"."""
    if gain.low is None or gain.high is None:
        return f"{points(gain.mean)} (one seed)"
    return f"{points(gain.mean)} (95 % interval {100 * gain.low:+.2f} to {100 * gain.high:+.2f})"


def times(theirs: float, its: float, less: str, more: str) -> str:
    """How much less something is than `theirs` (both > 0): "2.45 times fewer", "1.2 times more", or "no fewer"."""
    ratio = theirs / its
    if significant(ratio) == "1":
        return f"no {less}"
    return f"{significant(ratio)} times {less}" if ratio > 1.0 else f"{significant(1.0 / ratio)} times {more}"


def times_cost(metric: Metric, theirs: float, its: float) -> str:
    """How much less of a cost something is than `theirs` (both > 0): "1.41 times faster", "3 times less energy"."""
    if latency_batch_size(metric.name) is not None:
        return times(theirs, its, "faster", "slower")
    less = "fewer" if metric.unit == "" else "less"
    return times(theirs, its, f"{less} {metric.label}", f"more {metric.label}")


def moment_text(moment: datetime) -> str:
    """A moment to the minute, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def count(number: int, singular: str, plural: str | None = None) -> str:
    """The number with its noun: "1 trial", "3 trials"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def listed(items: Sequence[str]) -> str:
    """Items as a sentence lists them: "a", "a and b", "a, b and c"."""
    return " and ".join(items) if len(items) < 3 else f"{', '.join(items[:-1])} and {items[-1]}"


def size_text(num_bytes: float) -> str:
    """Bytes as a person says them: "47 KiB", "512 MiB", "4.0 GiB"."""
    if num_bytes < 2**20:
        return f"{num_bytes / 2**10:,.0f} KiB"
    return f"{num_bytes / 2**20:,.0f} MiB" if num_bytes < 2**30 else f"{num_bytes / 2**30:,.1f} GiB"


def duration(seconds: float) -> str:
    """Seconds as a person says them: "42 s", "7 min", "2 h 05 min"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
