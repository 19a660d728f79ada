"""The report's figures, in their order: each asks a question and says how to read its answer."""

from dataclasses import dataclass

import plotly.graph_objects as go

from analysis.capacity import curves, omitted_curves
from analysis.plots_capacity import ON_OMITTED_QUESTION, curves_figure
from analysis.plots_front import front_figure
from analysis.plots_hardware import latency_figure, utilization_figure
from analysis.plots_ranking import ranking_figure
from analysis.plots_replayed import replayed_figure
from analysis.plots_search import hypervolume_figure, learning_figure, timeline_figure
from analysis.plots_stopping import stopping_figure
from analysis.plots_students import size_figure, temperature_figure
from analysis.plots_temperatures import temperature_by_place_figure
from analysis.plots_verified import gain_figure, verified_figure
from analysis.ranking import ranking
from analysis.results import StudyResults
from analysis.stopping import rungs
from analysis.temperatures import temperatures
from analysis.theme import with_room_for_its_legend
from analysis.verified import teacher_on_test


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """A figure of the report; its layout's title is the question it answers."""

    name: str
    how_to_read: str
    figure: go.Figure

    @property
    def question(self) -> str:
        """What the figure asks."""
        return str(self.figure.layout.title.text)


def report_figures(results: StudyResults) -> tuple[ReportFigure, ...]:
    """All figures; one that has nothing to show yet says so in its place. Early stopping has one where it judged."""
    stopping = [ReportFigure("stopping", _STOPPING, stopping_figure(results))] if rungs(results.trials) else []
    replayed = (
        []
        if results.replayed is None
        else [ReportFigure("replayed_stopping", _REPLAYED, replayed_figure(results.replayed))]
    )
    ranked = [ReportFigure("methods", _RANKING, ranking_figure(results))] if ranking(results) else []
    figures = (
        ReportFigure("front", _FRONT, front_figure(results)),
        ReportFigure("verified", _VERIFIED, verified_figure(results)),
        ReportFigure("verified_gain", _GAIN, gain_figure(results)),
        *ranked,
        *_curve_figures(results),
        ReportFigure("labels_against_teacher", _SIZE, size_figure(results)),
        ReportFigure("temperature_and_alpha", _TEMPERATURE, temperature_figure(results)),
        ReportFigure("latency", _LATENCY, latency_figure(results)),
        ReportFigure("utilization", _UTILIZATION, utilization_figure(results)),
        ReportFigure("hypervolume", _HYPERVOLUME, hypervolume_figure(results)),
        *stopping,
        *replayed,
        ReportFigure("learning_curves", _LEARNING, learning_figure(results)),
        ReportFigure("timeline", _TIMELINE, timeline_figure(results)),
    )
    for each in figures:
        with_room_for_its_legend(each.figure)
    return figures


def _curve_figures(results: StudyResults) -> list[ReportFigure]:
    """Of a study that verified the best student of each kind along a parameter."""
    found, on_omitted, levels = curves(results), omitted_curves(results), temperatures(results)
    teacher = teacher_on_test(results)
    drawn = []
    if found is not None:
        figure = curves_figure(found, teacher=None if teacher is None else teacher.accuracy)
        drawn.append(ReportFigure("curves", _CURVES, figure))
    if on_omitted is not None and on_omitted.values:
        figure = curves_figure(on_omitted, asked=ON_OMITTED_QUESTION)
        drawn.append(ReportFigure("curves_on_omitted", _CURVES, figure))
    if levels:
        drawn.append(ReportFigure("temperature_by_place", _TEMPERATURES, temperature_by_place_figure(levels)))
    return drawn


_FRONT = (
    "Each marker is a student that was trained in full; the line joins those that no other student beats in both "
    "directions, with their size beside them, and the beaten ones are faded. Vertical bars are one standard error "
    "of an accuracy, horizontal bars the 95 % interval of a median latency (often narrower than the marker), "
    "moved out each way by the relative interquartile range of its runs where the measurement did not settle. The "
    "dotted line is the teacher's level."
)
_VERIFIED = (
    "Filled markers are students of the front, open ones their partners, which differ in method alone and stand a "
    "little to the right; both were trained again with fresh seeds. Bars are 95 % intervals of the mean over those "
    "seeds. The dash is what the search saw of the student on validation images, by which it was chosen. The dotted "
    "line is the teacher's level."
)
_GAIN = (
    "Left: means over fresh seeds with their 95 % intervals. Right: a row for each pair; dots are single seeds, and "
    "where the interval of the mean holds 0 the seeds do not tell whether the teacher helped."
)
_RANKING = (
    "A row is a method, tuned with the same budget as every other: how much the best of its students is above or below "
    "the best of kd, over fresh seeds on test images. Bars are 95 % intervals of the mean, each by itself; the colour "
    "is of the p value that is corrected for all comparisons shown. Grey dots are single seeds."
)
_CURVES = (
    "Above, means over fresh seeds on test images with their 95 % intervals, each by itself; faint dots are single "
    "seeds. Below, what a line is ahead of the one that it is compared with, seed by seed: a filled marker where the "
    "p value that is corrected for all comparisons shown is below 0.05, an open one where the seeds do not decide it."
)
_TEMPERATURES = (
    "A column is one place along the axis: the star is its best temperature, and the number below another one is by "
    "how many points it is behind (the darker, the nearer). A dark ring stands where the seeds cannot tell it from the "
    "best: a region of rings, not the star alone, is the answer."
)
_SIZE = (
    "Faint markers are all students trained in full, lines join the best of each method. Look at one size at a "
    "time: where the bars (one standard error) of two methods overlap, the difference may be chance. The method "
    "with more students had more tries at its best, and another training seed would move every marker."
)
_TEMPERATURE = (
    "Each circle is a distilled student, larger for a larger network. Blue is better and orange worse than the "
    "best labels-only student of the same size; a region of one colour, rather than a single circle, is worth "
    "following up."
)
_LATENCY = (
    "Lines are medians, the bars reach up to the 99th percentile, open markers did not settle. Where a line is "
    "flat, a smaller network no longer saves time: the cost is in the calls, not in the arithmetic."
)
_UTILIZATION = (
    "Left: arithmetic done, as a share of what the device reached in a large matrix product. Right: the share of time "
    "in which it was busy at all (of the CPU where there is no GPU). Busy with little work done means that the network "
    "is too small for the device or the batch; several trials then fit on it at once."
)
_HYPERVOLUME = (
    "The share of the space between a reference point (named under How it was measured) and the best value of each "
    "objective that the front has claimed. A long flat end says that more trials of the same kind are unlikely to "
    "help. Pauses between launches are cut out."
)
_STOPPING = (
    "Above, each row is a student, grouped by size, the longest trained first: its bar is what it was trained for, "
    "grey what was left out. A cross is where it was stopped, a ring where it was paused and later went on, a star a "
    "student of the front. Below, the same epochs added up between one rung and the next: early stopping pays where "
    "grey is large, and what it spent on students that it stopped later is in their colour."
)
_REPLAYED = (
    "The same search over students that were all trained to their ends, so that what it stopped is known. Left, each "
    "circle is one such search: right is cheap, low is safe; the cross is their mean with its 95 % intervals. Right, "
    "how many students were stopped after how many epochs; in vermilion those that would have come to stand on the "
    "front of all recorded students: where others lie close by, little is lost with them."
)
_LEARNING = (
    "One line for each student. Dotted lines end in a cross where the student was stopped or failed, or is now, "
    "perhaps paused. A line that still rises at its end asks for more epochs."
)
_TIMELINE = (
    "One row for each trial that could run at once; numbers are trials. Filled bars ran their full budget, "
    "hatched ones were stopped or failed; a trial that was paused and went on has several. Gaps within a row are time "
    "that no trial used; a dashed line is a pause between launches."
)
