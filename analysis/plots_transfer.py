"""Pictures of what was transferred, by size: agreement beside a control, divergence, calibration, boundaries."""

from collections.abc import Sequence
from math import ceil

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.axes import Scale, log_axis, metric_scale
from analysis.results import StudyResults
from analysis.students import LABELS_METHOD, method_title, sizes
from analysis.theme import INK, method_colors, method_symbols, template
from analysis.transfer_findings import MEASURES, Configuration, configurations, wilson_interval
from analysis.transfer_records import Share, TransferRecord
from trainables.metrics import METRICS

AGREEMENT_QUESTION = "Do students say what the teacher says, and more so than networks that never met it?"
BY_SIZE_QUESTION = "How near do students come to the teacher, by size, and how well do they know their errors?"

_DODGE = 0.16
_LEGEND_COLUMNS, _LEGEND_ROW_PIXELS, _AXIS_PIXELS = 3, 22, 60
_AS_IT_IS = Scale({})
# Titles that fit side by side on a telephone.
_BY_SIZE = {
    "kl_t1_nats": "KL at T 1 (nats)",
    "ece": "calibration error",
    "boundary_distance": "boundary: distance",
    "boundary_cosine": "boundary: cosine",
}


def agreement_figure(results: StudyResults, record: TransferRecord) -> go.Figure:
    """Agreement by size, on all images and on the teacher's mistakes: means over seeds with Wilson's intervals."""
    num_mistakes = record.teacher.num_mistakes
    titles = [f"all {record.num_images:,} images", f"the teacher's {num_mistakes:,} mistakes"]
    drawn = make_subplots(rows=1, cols=2, horizontal_spacing=0.12, subplot_titles=titles)
    drawn.update_layout(template=template(), title_text=AGREEMENT_QUESTION, margin={"t": 90, "r": 24})
    _add_legend_room(drawn, record, inner=330)
    ends = [end for student in record.students for end in wilson_interval(student.agreement) or ()]
    scale = metric_scale(METRICS["validation_agreement"], ends)
    _add_by_size(drawn, results, record, "agreement", row=1, column=1, scale=scale)
    _add_by_size(drawn, results, record, "agreement_on_mistakes", row=1, column=2)
    drawn.update_yaxes(**scale.settings, row=1, col=1)
    shown = "%, log scale of the rest" if scale.is_error else "%"
    drawn.update_yaxes(title_text=f"both say the same ({shown})", row=1, col=1)
    drawn.update_yaxes(tickformat=".0%", range=[-0.03, 1.03], row=1, col=2)
    return drawn


def by_size_figure(results: StudyResults, record: TransferRecord) -> go.Figure:
    """Divergence, calibration error, distance and direction to the boundary, by size and method."""
    drawn = make_subplots(
        rows=2, cols=2, horizontal_spacing=0.12, vertical_spacing=0.17, subplot_titles=list(_BY_SIZE.values())
    )
    drawn.update_layout(template=template(), title_text=BY_SIZE_QUESTION, margin={"t": 90, "r": 24})
    _add_legend_room(drawn, record, inner=570)
    theirs = {"ece": record.teacher.ece, "boundary_distance": record.teacher.boundary.mean_distance}
    for place, name in enumerate(_BY_SIZE):
        row, column = place // 2 + 1, place % 2 + 1
        _add_by_size(drawn, results, record, name, row=row, column=column)
        teacher = theirs.get(name)
        if teacher is not None:
            drawn.add_hline(
                y=teacher, line={"color": INK, "width": 1, "dash": "dot"}, opacity=0.6, row=row, col=column,
                annotation_text="teacher", annotation_position="top left", annotation_font={"size": 11, "color": INK},
            )  # fmt: skip
    values = [value for student in record.students if (value := student.kl_t1_nats) > 0.0]
    if values:
        drawn.update_yaxes(**log_axis("", values), row=1, col=1)
    drawn.update_yaxes(tickformat=".1%", rangemode="tozero", row=1, col=2)
    drawn.update_yaxes(rangemode="tozero", row=2)
    return drawn


def _add_legend_room(drawn: go.Figure, record: TransferRecord, *, inner: int) -> None:
    """The legend stands below the axes, which stay `inner` pixels high however many methods it names."""
    num_rows = ceil(len(taught_methods(configurations(record))) / _LEGEND_COLUMNS)
    below = _AXIS_PIXELS + _LEGEND_ROW_PIXELS * num_rows
    drawn.update_layout(
        height=drawn.layout.margin.t + inner + below,
        margin={"b": below},
        legend={"y": -_AXIS_PIXELS / inner, "yanchor": "top"},
    )


def _add_by_size(
    drawn: go.Figure,
    results: StudyResults,
    record: TransferRecord,
    name: str,
    *,
    row: int,
    column: int,
    scale: Scale = _AS_IT_IS,
) -> None:
    """Markers of one measure: a place for each size, beside each other by method; single seeds small and faint."""
    named, found = sizes(results), configurations(record)
    keys = sorted({each.model_key for each in found}, key=named.position)
    names = taught_methods(found)
    colors, symbols = method_colors(names), method_symbols(names)
    for index, method_name in enumerate(names):
        chosen = [each for each in found if each.method == method_name and each.mean(name) is not None]
        offset = _DODGE * (index - (len(names) - 1) / 2) * min(1.0, 4 / len(names))
        places = [keys.index(each.model_key) + offset for each in chosen]
        seeds = [(x, MEASURES[name].of(run)) for x, each in zip(places, chosen, strict=True) for run in each.runs]
        shown = {"legendgroup": method_name, "hoverinfo": "text", "mode": "markers"}
        drawn.add_trace(
            go.Scatter(
                x=[x for x, _ in seeds], y=scale.places([y for _, y in seeds]), **shown | {"hoverinfo": "y"},
                showlegend=False, marker={"color": colors[method_name], "size": 6, "opacity": 0.35},
            ), row=row, col=column,
        )  # fmt: skip
        drawn.add_trace(
            go.Scatter(
                x=places, y=scale.places([each.mean(name) for each in chosen]), **shown, name=method_title(method_name),
                showlegend=row == column == 1,
                marker={"color": colors[method_name], "symbol": symbols[method_name], "size": 10},
                error_y=_bars(chosen, name, colors[method_name], scale),
                hovertext=[_hover(each, name, named.name(each.model_key)) for each in chosen],
            ), row=row, col=column,
        )  # fmt: skip
    labels = [named.labels.get(key, key) for key in keys]
    drawn.update_xaxes(
        title_text=named.axis_title, tickvals=list(range(len(keys))), ticktext=labels, showgrid=False,
        range=[-0.5, len(keys) - 0.5], row=row, col=column,
    )  # fmt: skip


def _bars(chosen: Sequence[Configuration], name: str, color: str, scale: Scale) -> dict[str, object] | None:
    """Wilson's interval of a share of images; other measures show their seeds alone."""
    if name not in {"agreement", "agreement_on_mistakes"}:
        return None
    above, below = [], []
    for each in chosen:
        mean, interval = each.mean(name), wilson_interval(_share(each, name))
        low, high = interval if interval is not None and mean is not None else (0.0, 0.0)
        up, down = max(0.0, high - (mean or 0.0)), max(0.0, (mean or 0.0) - low)
        above.append(down if scale.is_error else up)
        below.append(up if scale.is_error else down)
    return {
        "type": "data", "symmetric": False, "thickness": 1.5, "width": 4, "color": color,
        "array": above, "arrayminus": below,
    }  # fmt: skip


def _share(each: Configuration, name: str) -> Share:
    return each.share(of_controls=False, on_mistakes=name == "agreement_on_mistakes")


def _hover(each: Configuration, name: str, network: str) -> str:
    lines = [f"<b>{network}, {method_title(each.method)}</b> (trial {each.trial})", MEASURES[name].label]
    if name in {"agreement", "agreement_on_mistakes"}:
        share = _share(each, name)
        lines.append(f"{share.num:,} of {share.total:,} images")
    else:
        lines.append(f"{each.mean(name):.3g} {MEASURES[name].unit}")
    return "<br>".join(lines)


def taught_methods(found: Sequence[Configuration]) -> list[str]:
    """The methods among the configurations: labels-only first, then by name."""
    return sorted({each.method for each in found}, key=lambda name: (name != LABELS_METHOD, name))
