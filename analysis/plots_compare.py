"""The front of any two or three metrics, of one study or several in one picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.pareto import candidates, front
from analysis.plots_front import FADED, Side, front_question, plane_side, step_line
from analysis.results import StudyResults, metric_of_studies, trials_table
from analysis.students import hover_text
from analysis.theme import INK, MUTED, SEQUENTIAL, figure, series_color, series_symbol
from trainables.metrics import Metric
from trainables.records import TrialRecord

# Characters.
_LINE, _BAR_LINE = 76, 16


@dataclass(frozen=True, slots=True)
class Comparison:
    """What to compare: the objectives of the front (x, y and perhaps a third), and what colours the markers.

    `color` is the name of a metric or of a parameter; None colours by study.
    """

    studies: Mapping[str, StudyResults]
    x: Metric
    y: Metric
    color: str | None
    is_three: bool

    def __post_init__(self) -> None:
        if self.x == self.y:
            raise ValueError(f'x and y are both "{self.x.name}": a front needs two metrics')
        if self.is_three and (self.color is None or self.color in {self.x.name, self.y.name}):
            raise ValueError("a third objective needs its metric as the colour, different from x and y")
        for name, results in self.studies.items():
            if not candidates(results.trials, self.objectives):
                names = ", ".join(each.name for each in self.objectives)
                raise ValueError(f"{name}: no trial that ran its full budget reports all of {names}")
        if self.color is not None and all(self.color_value(trial) is None for trial in self._all_trials()):
            allowed = sorted({name for trial in self._all_trials() for name in [*trial.metrics, *trial.parameters]})
            raise ValueError(
                f'no finished trial has a metric or parameter "{self.color}": there are {", ".join(allowed)}'
            )

    @property
    def objectives(self) -> tuple[Metric, ...]:
        """The metrics that the front is of; the third is the colour's."""
        if not self.is_three or self.color is None:
            return (self.x, self.y)
        return (self.x, self.y, metric_of_studies(self.color, self.studies.values()))

    def trials(self, study: str) -> tuple[TrialRecord, ...]:
        """The trials of a study that may stand on this front."""
        return candidates(self.studies[study].trials, self.objectives)

    def front(self, study: str) -> tuple[TrialRecord, ...]:
        """The front of one study."""
        return front(self.studies[study].trials, self.objectives)

    def color_value(self, trial: TrialRecord) -> bool | int | float | str | None:
        """What colours a trial: a metric before a parameter of the same name."""
        if self.color is None:
            return None
        value = trial.metrics.get(self.color)
        return trial.parameters.get(self.color) if value is None else value

    def _all_trials(self) -> list[TrialRecord]:
        return [trial for name in self.studies for trial in self.trials(name)]


def comparison_table(comparison: Comparison) -> pd.DataFrame:
    """The rows of `trials_table` that stand on the compared front of their study, with the study's name first."""
    parts = []
    for name, results in comparison.studies.items():
        numbers = [trial.number for trial in comparison.front(name)]
        rows = trials_table(results).set_index("number", drop=False).loc[numbers]
        rows.insert(0, "study", name)
        parts.append(rows.drop(columns="on_front"))
    return pd.concat(parts, ignore_index=True)


def comparison_figure(comparison: Comparison) -> go.Figure:
    """All finished students of all studies, each study's front in full and the rest faded.

    With two objectives a line joins each front. With three the picture is their projection on x and y, the third is the
    colour, and no line would be true.
    """
    x, y = comparison.x, comparison.y
    drawn = figure(_question(comparison))
    everyone = [trial for name in comparison.studies for trial in comparison.trials(name)]
    across, up = plane_side(x, everyone), plane_side(y, everyone)
    shades = _shades(comparison, everyone)
    for index, name in enumerate(comparison.studies):
        line_color = MUTED if comparison.color is not None else series_color(index)
        if not comparison.is_three:
            line = step_line(comparison.front(name), across, up, color=line_color, name=f"front of {name}")
            drawn.add_trace(line.update(showlegend=False))
        _add_study(drawn, comparison, name, sides=(across, up), shades=shades)
    for key, color in (shades or {}).items():
        drawn.add_trace(_legend_marker(f"{comparison.color} = {key}", color, "square"))
    if comparison.color is not None and shades is None:
        drawn.update_layout(coloraxis=_color_axis(comparison, everyone))
    drawn.update_xaxes(**across.scale.settings)
    drawn.update_yaxes(**up.scale.settings)
    return drawn


def _question(comparison: Comparison) -> str:
    if not comparison.is_three:
        return front_question(comparison.x, comparison.y)
    x, y, third = comparison.objectives
    return "<br>".join(wrap(f"Which students trade {y.label}, {x.label} and {third.label} best?", _LINE))


def _shades(comparison: Comparison, trials: Sequence[TrialRecord]) -> dict[str, str] | None:
    """A colour for each value where the values are words; None where they are numbers, or there is no colour."""
    values = {comparison.color_value(trial) for trial in trials}
    words = sorted({str(value) for value in values if isinstance(value, str | bool)})
    return {word: series_color(index) for index, word in enumerate(words)} if words else None


def _add_study(
    drawn: go.Figure, comparison: Comparison, name: str, *, sides: tuple[Side, Side], shades: Mapping[str, str] | None
) -> None:
    index = list(comparison.studies).index(name)
    (x, y), symbol = sides, series_symbol(index)
    on_front = {trial.number for trial in comparison.front(name)}
    for is_front in (False, True):
        chosen = [trial for trial in comparison.trials(name) if (trial.number in on_front) is is_front]
        drawn.add_trace(
            go.Scatter(
                x=x.places(chosen),
                y=y.places(chosen),
                mode="markers",
                marker=_marker(comparison, chosen, index, shades) | {"symbol": symbol, "size": 11 if is_front else 9},
                opacity=1.0 if is_front else FADED,
                hovertext=[f"{name}<br>{hover_text(trial, comparison.objectives)}" for trial in chosen],
                hoverinfo="text",
                showlegend=False,
                legendgroup=name,
            )
        )
    color = INK if comparison.color is not None else series_color(index)
    drawn.add_trace(_legend_marker(name, color, symbol).update(legendgroup=name))


def _marker(
    comparison: Comparison, trials: Sequence[TrialRecord], index: int, shades: Mapping[str, str] | None
) -> dict[str, object]:
    edge = {"color": "white", "width": 1}
    if comparison.color is None:
        return {"color": series_color(index), "line": edge}
    values = [comparison.color_value(trial) for trial in trials]
    if shades is not None:
        return {"color": [MUTED if value is None else shades.get(str(value), MUTED) for value in values], "line": edge}
    numbers = np.array([np.nan if value is None else float(value) for value in values])
    return {"color": numbers, "coloraxis": "coloraxis", "line": edge}


def _color_axis(comparison: Comparison, trials: Sequence[TrialRecord]) -> dict[str, object]:
    name = comparison.color or ""
    numbers = [float(value) for trial in trials if isinstance(value := comparison.color_value(trial), int | float)]
    is_metric = any(trial.metrics.get(name) is not None for trial in trials)
    title, tickformat = name, ""
    if is_metric:
        described = metric_of_studies(name, comparison.studies.values())
        title, tickformat = described.axis_title, ".3~s"
        if described.unit == "fraction":
            title, tickformat = f"{described.label} (%)", ".1%"
    bar = {
        "title": {"text": "<br>".join(wrap(title, _BAR_LINE)), "side": "top"},
        "tickformat": tickformat,
        "thickness": 14,
    }
    spread = {"cmin": float(np.min(numbers)), "cmax": float(np.max(numbers))} if len(set(numbers)) > 1 else {}
    return {"colorscale": SEQUENTIAL, "colorbar": bar, **spread}


def _legend_marker(name: str, color: str, symbol: str) -> go.Scatter:
    return go.Scatter(
        x=[None], y=[None], mode="markers", name=name, marker={"color": color, "symbol": symbol, "size": 11}
    )
