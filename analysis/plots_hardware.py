"""Pictures of the profiles: what an architecture costs at inference, and how much of the device its training uses."""

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.axes import log_axis
from analysis.results import StudyResults
from analysis.students import sizes
from analysis.theme import INK, figure, note_figure, ordered_color, template
from analysis.wording import significant
from trainables.measurements import ArchitectureProfile, LatencyMeasurement, ProfilesRecord, TrainingMeasurement

LATENCY_QUESTION = "How long does one forward pass take, by size of student and inference batch?"
UTILIZATION_QUESTION = "How much of the device does training use?"
_NO_PROFILES = "The architectures have not been measured yet."

Point = tuple[int, float]


def latency_figure(results: StudyResults) -> go.Figure:
    """Median latency of each architecture at each inference batch size, with a bar up to p99; the teacher as stars."""
    profiles = _profiles(results)
    if results.profiles is None or not profiles:
        return note_figure(LATENCY_QUESTION, _NO_PROFILES)
    drawn = figure(LATENCY_QUESTION)
    everyone = [*profiles, results.profiles.teacher]
    batch_sizes = sorted({each.batch_size for profile in everyone for each in profile.latencies})
    for index, batch_size in enumerate(batch_sizes):
        color = ordered_color(index)
        for profile_group, is_teacher in ((profiles, False), ([results.profiles.teacher], True)):
            measured = [
                (len(profiles) if is_teacher else position, latency)
                for position, profile in enumerate(profile_group)
                for latency in profile.latencies
                if latency.batch_size == batch_size
            ]
            drawn.add_trace(_latency_trace(measured, color, f"batch {batch_size}", is_teacher=is_teacher))
    named = sizes(results)
    labels = [named.labels[profile.model.key] for profile in profiles]
    drawn.update_xaxes(
        title_text=named.axis_title, tickvals=list(range(len(labels) + 1)), ticktext=[*labels, "teacher"],
        range=[-0.4, len(labels) + 0.4],
    )  # fmt: skip
    values = [
        each for profile in everyone for latency in profile.latencies for each in (latency.p50_ms, latency.p99_ms)
    ]
    drawn.update_yaxes(**log_axis("latency of one forward pass (ms, log scale)", values))
    return drawn


def _latency_trace(
    measured: Sequence[tuple[int, LatencyMeasurement]], color: str, name: str, *, is_teacher: bool
) -> go.Scatter:
    latencies = [latency for _, latency in measured]
    symbols = ["star" if is_teacher else "circle" if latency.is_stable else "circle-open" for latency in latencies]
    return go.Scatter(
        x=[position for position, _ in measured],
        y=[latency.p50_ms for latency in latencies],
        mode="lines+markers",
        line={"color": color, "width": 2},
        marker={"color": color, "symbol": symbols, "size": 13 if is_teacher else 9},
        error_y={
            "type": "data", "symmetric": False, "thickness": 1.2, "width": 4, "color": color,
            "array": [max(0.0, latency.p99_ms - latency.p50_ms) for latency in latencies],
            "arrayminus": [0.0 for _ in latencies],
        },
        hovertext=[_latency_text(latency) for latency in latencies],
        hoverinfo="text",
        name=name,
        legendgroup=name,
        showlegend=not is_teacher,
    )  # fmt: skip


def _latency_text(latency: LatencyMeasurement) -> str:
    return (
        f"<b>batch {latency.batch_size}</b>, {latency.num_runs} runs{'' if latency.is_stable else ', unstable'}<br>"
        f"p50 {significant(latency.p50_ms)} ms "
        f"(95 %: {significant(latency.p50_low_ms)} to {significant(latency.p50_high_ms)})<br>"
        f"p90 {significant(latency.p90_ms)} ms, p99 {significant(latency.p99_ms)} ms<br>"
        f"{significant(latency.batch_size / latency.p50_ms * 1000)} images/s"
    )


def utilization_figure(results: StudyResults) -> go.Figure:
    """Model FLOPs utilisation and, beside it, GPU utilisation (of the CPU where there is no GPU), by training batch."""
    profiles = _profiles(results)
    trainings = [training for profile in profiles for training in profile.trainings]
    if not trainings:
        return note_figure(UTILIZATION_QUESTION, _NO_PROFILES)
    has_gpu = any(training.gpu_utilization_fraction is not None for training in trainings)
    panels: tuple[tuple[str, Callable[[TrainingMeasurement], float | None]], ...] = (
        ("work done (MFU)", lambda training: training.mfu_fraction),
        ("GPU busy", lambda training: training.gpu_utilization_fraction)
        if has_gpu
        else ("CPU busy", lambda training: training.cpu_utilization_fraction),
    )
    drawn = make_subplots(
        rows=1, cols=2, horizontal_spacing=0.12, subplot_titles=[panel_title for panel_title, _ in panels]
    )
    drawn.update_layout(template=template(), title_text=UTILIZATION_QUESTION, legend={"y": 1.1}, margin={"t": 120})
    named = sizes(results)
    for column, (_, read) in enumerate(panels, start=1):
        for index, batch_size in enumerate(sorted({training.batch_size for training in trainings})):
            points = _training_points(profiles, batch_size, read)
            drawn.add_trace(_training_trace(points, index, batch_size, is_first=column == 1), row=1, col=column)
        drawn.update_yaxes(
            title_text="share of the device (%)" if column == 1 else None, tickformat=".0%", rangemode="tozero",
            range=[0.0, 1.05] if column == 2 else None, row=1, col=column,
        )  # fmt: skip
        if all(read(training) is None for training in trainings):
            drawn.add_annotation(
                text="unknown on this device", x=0.5, y=0.5, showarrow=False, row=1, col=column,
                xref="x domain", yref="y domain", font={"color": INK},
            )  # fmt: skip
    labels = [named.labels[profile.model.key] for profile in profiles]
    drawn.update_xaxes(title_text=named.axis_title, tickvals=list(range(len(labels))), ticktext=labels)
    return drawn


def _training_points(
    profiles: Sequence[ArchitectureProfile], batch_size: int, read: Callable[[TrainingMeasurement], float | None]
) -> list[tuple[int, float, TrainingMeasurement]]:
    return [
        (position, value, training)
        for position, profile in enumerate(profiles)
        for training in profile.trainings
        if training.batch_size == batch_size and (value := read(training)) is not None
    ]


def _training_trace(
    points: Sequence[tuple[int, float, TrainingMeasurement]], index: int, batch_size: int, *, is_first: bool
) -> go.Scatter:
    return go.Scatter(
        x=[position for position, _, _ in points],
        y=[value for _, value, _ in points],
        mode="lines+markers",
        line={"color": ordered_color(index), "width": 2},
        marker={"size": 9, "symbol": ["circle" if training.is_stable else "circle-open" for _, _, training in points]},
        hovertext=[
            f"<b>training batch {batch_size}</b>: {100 * value:.1f} %<br>{significant(training.images_per_s)} images/s"
            for _, value, training in points
        ],
        hoverinfo="text",
        name=f"training batch {batch_size}",
        legendgroup=str(batch_size),
        showlegend=is_first,
    )


def _profiles(results: StudyResults) -> list[ArchitectureProfile]:
    """The students' profiles from small to large."""
    stored: ProfilesRecord | None = results.profiles
    return [] if stored is None else [stored.students[key] for key in sizes(results).labels if key in stored.students]
