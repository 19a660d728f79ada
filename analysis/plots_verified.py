"""Pictures of the verification: the front on the test images, and what the teacher gave over fresh seeds."""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.axes import Scale, metric_scale
from analysis.pareto import cost_metric
from analysis.plots_front import Side, plane_side
from analysis.results import StudyResults
from analysis.statistics import Estimate
from analysis.students import method_title, methods, sizes
from analysis.theme import FAINT, INK, MUTED, figure, method_colors, method_symbols, note_figure, template
from analysis.verified import (
    TEST_ACCURACY,
    Verified,
    VerifiedPair,
    distinct_pairs,
    nondominated_probabilities,
    overall_gain,
    teacher_on_test,
    verified_pairs,
)
from analysis.wording import estimate_text, gain_text, value_text
from trainables.verified import Role

VERIFIED_QUESTION = "Do the students hold on test images that no decision saw?"
GAIN_QUESTION = "What did the teacher give, over fresh seeds?"
_NOTHING = "No student has been verified yet: the test images have not been read."
_DODGE_FRACTION = 0.012  # of the axis, so that the two sides of a pair, equally fast, can both be seen
_SIZE_DODGE = 0.12


def verified_figure(results: StudyResults) -> go.Figure:
    """Test accuracy by cost: each verified student beside its partner, means over fresh seeds with their intervals."""
    pairs = verified_pairs(results)
    sides = [side for pair in pairs for side in (pair.student, pair.partner) if side and side.estimate()]
    if not sides:
        return note_figure(VERIFIED_QUESTION, _NOTHING)
    drawn = figure(VERIFIED_QUESTION)
    teacher, cost = teacher_on_test(results), cost_metric(results.objectives)
    across = plane_side(cost, [side.trial for side in sides], results.teacher_metrics.get(cost.name))
    scale = _accuracy_scale(sides, None if teacher is None else teacher.accuracy)
    _add_search_values(drawn, [pair.student for pair in pairs], across, scale)
    ahead = nondominated_probabilities(results)
    for name in methods([side.trial for side in sides] + list(results.trials)):
        for role in (Role.PARTNER, Role.STUDENT):
            chosen = [side for side in sides if side.method == name and side.role is role]
            if chosen:
                drawn.add_trace(_side_trace(results, chosen, across, scale, ahead))
    if teacher is not None:
        drawn.add_hline(y=scale.place(teacher.accuracy), line={"color": INK, "width": 1, "dash": "dot"}, opacity=0.6)
        place = across.scale.place(results.teacher_metrics.get(cost.name))
        drawn.add_trace(
            go.Scatter(
                x=[place], y=[scale.place(teacher.accuracy)], mode="markers", name="teacher",
                hovertext=[f"<b>teacher</b><br>{value_text(TEST_ACCURACY, teacher.accuracy)} on test"],
                hoverinfo="text",
                marker={"color": INK, "symbol": "star", "size": 16},
            )
        )  # fmt: skip
    drawn.update_xaxes(**across.scale.settings)
    drawn.update_yaxes(**scale.settings)
    return drawn


def gain_figure(results: StudyResults) -> go.Figure:
    """Left: test accuracy by size, labels beside teacher. Right: the paired difference of each pair, and of all."""
    pairs = [pair for pair in distinct_pairs(verified_pairs(results)) if pair.gain is not None]
    if not pairs:
        return note_figure(GAIN_QUESTION, _NOTHING)
    drawn = make_subplots(
        rows=1, cols=2, horizontal_spacing=0.2, subplot_titles=["test accuracy", "distilled less labels only, paired"]
    )
    drawn.update_layout(template=template(), title_text=GAIN_QUESTION, legend={"y": 1.12}, margin={"t": 130, "r": 40})
    _add_sizes(drawn, results, pairs)
    _add_gains(drawn, results, pairs)
    return drawn


def _accuracy_scale(sides: Sequence[Verified], teacher: float | None) -> Scale:
    values = [each for side in sides for each in _interval(side.estimate(), side)]
    return metric_scale(
        TEST_ACCURACY, [*values, *(side.trial.metrics["validation_accuracy"] for side in sides), teacher]
    )


def _interval(estimate: Estimate | None, side: Verified) -> tuple[float, ...]:
    """Mean and ends of the interval, the upper one short of 1 by half a test image."""
    if estimate is None:
        return ()
    if estimate.low is None or estimate.high is None:
        return (estimate.mean,)
    num_images = next(run.on_test.num_images for run in side.runs if run.on_test is not None)
    return estimate.mean, max(0.0, estimate.low), min(estimate.high, 1.0 - 0.5 / num_images)


def _bars(sides: Sequence[Verified], scale: Scale, color: str) -> dict[str, object]:
    """Arms to the ends of the intervals, in the axis' own numbers, which run the other way on a scale of errors."""
    above, below = [], []
    for side in sides:
        mean, *ends = _interval(side.estimate(), side)
        low, high = ends or (mean, mean)
        up, down = high - mean, mean - low
        above.append(down if scale.is_error else up)
        below.append(up if scale.is_error else down)
    return {
        "type": "data", "symmetric": False, "thickness": 1.5, "width": 5, "color": color,
        "array": above, "arrayminus": below,
    }  # fmt: skip


def _side_trace(
    results: StudyResults,
    sides: Sequence[Verified],
    across: Side,
    scale: Scale,
    ahead: dict[tuple[int, Role], float],
) -> go.Scatter:
    name, role = sides[0].method, sides[0].role
    all_methods = methods(results.trials)
    color, symbol = method_colors(all_methods)[name], method_symbols(all_methods)[name]
    is_student, labels = role is Role.STUDENT, sizes(results).labels
    costs = across.places([side.trial for side in sides])
    return go.Scatter(
        x=[cost if is_student or cost is None else _beside(cost, across) for cost in costs],
        y=scale.places([side.estimate().mean for side in sides]),  # type: ignore[union-attr] # chosen to have one
        mode="markers+text" if is_student else "markers",
        text=[labels.get(side.student.model.key, "") for side in sides] if is_student else None,
        textposition="top left",
        textfont={"color": INK, "size": 12},
        marker={
            "color": color if is_student else "white",
            "symbol": symbol,
            "size": 11,
            "line": {"color": "white" if is_student else color, "width": 1 if is_student else 2},
        },
        error_y=_bars(sides, scale, color),
        hovertext=[_hover(side, ahead) for side in sides],
        hoverinfo="text",
        name=f"{method_title(name)}, {'on the front' if is_student else 'partner'}",
    )


def _beside(cost: float, across: Side) -> float:
    """A little to the right."""
    ends = across.scale.settings.get("range")
    if across.scale.settings.get("type") == "log" and isinstance(ends, list):
        return float(cost * 10 ** (_DODGE_FRACTION * (ends[1] - ends[0])))
    return float(cost * (1.0 + _DODGE_FRACTION))


def _add_search_values(drawn: go.Figure, students: Sequence[Verified], across: Side, scale: Scale) -> None:
    """What the search saw, by which the students were chosen."""
    drawn.add_trace(
        go.Scatter(
            x=across.places([side.trial for side in students]),
            y=scale.places([side.trial.metrics["validation_accuracy"] for side in students]),
            mode="markers",
            marker={"symbol": "line-ew", "size": 16, "line": {"color": MUTED, "width": 2}},
            hovertext=[
                f"<b>trial {side.trial.number}</b> in the search<br>"
                f"{value_text(TEST_ACCURACY, side.trial.metrics['validation_accuracy'])} on validation"
                for side in students
            ],
            hoverinfo="text",
            name="validation accuracy in the search",
        )
    )


def _hover(side: Verified, ahead: dict[tuple[int, Role], float]) -> str:
    lines = [f"<b>trial {side.trial.number}</b>, {side.role}, {method_title(side.method)}"]
    lines.append(f"{estimate_text(side.estimate())} on test")
    lines += [f"seed {seed}: {value_text(TEST_ACCURACY, value)}" for seed, value in side.by_seed("accuracy").items()]
    likely = ahead.get((side.trial.number, side.role))
    return "<br>".join(lines if likely is None else [*lines, f"beaten by none with probability {likely:.2f}"])


def _add_sizes(drawn: go.Figure, results: StudyResults, pairs: Sequence[VerifiedPair]) -> None:
    named, all_methods = sizes(results), methods(results.trials)
    sides = [side for pair in pairs for side in (pair.labels, pair.distilled) if side]
    scale = _accuracy_scale(sides, None)
    shown = list(dict.fromkeys(sorted((side.student.model.key for side in sides), key=named.position)))
    names = list(dict.fromkeys(sorted((side.method for side in sides), key=all_methods.index)))
    for index, name in enumerate(names):
        chosen = [side for side in sides if side.method == name]
        color, symbol = method_colors(all_methods)[name], method_symbols(all_methods)[name]
        offset = _SIZE_DODGE * (2 * index - (len(names) - 1))
        drawn.add_trace(
            go.Scatter(
                x=[shown.index(side.student.model.key) + offset for side in chosen],
                y=scale.places([side.estimate().mean for side in chosen]),  # type: ignore[union-attr] # pairs have one
                mode="markers",
                marker={"color": color, "symbol": symbol, "size": 11, "line": {"color": "white", "width": 1}},
                error_y=_bars(chosen, scale, color),
                hovertext=[_hover(side, {}) for side in chosen],
                hoverinfo="text",
                name=method_title(name),
            ),
            row=1,
            col=1,
        )
    labels = [named.labels[key] for key in shown]
    drawn.update_xaxes(
        title_text=named.axis_title, tickvals=list(range(len(shown))), ticktext=labels, showgrid=False,
        range=[-0.5, len(shown) - 0.5], row=1, col=1,
    )  # fmt: skip
    drawn.update_yaxes(**scale.settings, row=1, col=1)


def _add_gains(drawn: go.Figure, results: StudyResults, pairs: Sequence[VerifiedPair]) -> None:
    """A row a pair, in points: its mean with its interval, its seeds as faint dots; the mean of all pairs below."""
    named, overall = sizes(results), overall_gain(pairs)
    rows = [
        (f"{named.name(pair.student.student.model.key)} (trial {pair.student.trial.number})", pair.gain, pair.gains)
        for pair in pairs
    ]
    if overall is not None and len(pairs) > 1:
        rows.append(("all pairs", overall, {}))
    seeds = [(label, value) for label, _, gains in rows for value in gains.values()]
    drawn.add_trace(
        go.Scatter(
            x=[100 * value for _, value in seeds], y=[label for label, _ in seeds], mode="markers", hoverinfo="x",
            marker={"color": FAINT, "size": 7}, name="one seed",
        ),
        row=1, col=2,
    )  # fmt: skip
    known = [(label, gain) for label, gain, _ in rows if gain is not None]
    arms = [100 * (gain.high - gain.mean) if gain.high is not None else 0.0 for _, gain in known]
    drawn.add_trace(
        go.Scatter(
            x=[100 * gain.mean for _, gain in known], y=[label for label, _ in known], mode="markers",
            marker={"color": INK, "size": 10, "symbol": "diamond"},
            error_x={"type": "data", "array": arms, "thickness": 1.5, "width": 5, "color": INK},
            hovertext=[f"<b>{label}</b><br>{gain_text(gain)}" for label, gain in known], hoverinfo="text",
            name="mean and 95 % interval",
        ),
        row=1, col=2,
    )  # fmt: skip
    drawn.add_vline(x=0, line={"color": MUTED, "width": 1, "dash": "dash"}, row=1, col=2)
    drawn.update_xaxes(title_text="gain in test accuracy (points)", row=1, col=2)
    drawn.update_yaxes(
        title_text="student", categoryorder="array",
        categoryarray=[label for label, _, _ in rows], autorange="reversed", showgrid=False,
        row=1, col=2,
    )  # fmt: skip
