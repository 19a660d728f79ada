"""Writes a study's report: one HTML file, front, trials and verified runs as CSV, the figures as PNG."""

import logging
from datetime import UTC, datetime
from pathlib import Path

from analysis.images import write_images
from analysis.plots import ReportFigure, report_figures
from analysis.report_capacity import capacity_tables, capacity_words
from analysis.report_measured import measured
from analysis.report_own_metrics import own_metrics_table, own_metrics_words
from analysis.report_page import bullets, code, figure_html, page, paragraphs, table_html
from analysis.report_ranking import ranking_tables, ranking_words
from analysis.report_stopping import rung_table
from analysis.report_tables import (
    Table,
    front_table,
    level_table,
    measured_table,
    pair_table,
    size_table,
    state_table,
    versions_table,
)
from analysis.report_taking_away import loading_code, taking_away
from analysis.report_transfer import transfer_figures, transfer_table, transfer_words
from analysis.report_verified import verified_table, verified_words
from analysis.report_words import asked, found
from analysis.results import StudyResults, read_study, trials_table
from analysis.verified import runs_table
from analysis.wording import moment_text
from trainables.study_paths import StudyPaths
from trainables.whole_files import replacing, write_text

_logger = logging.getLogger(__name__)


def write_report(study_dir: Path, *, images: bool = True) -> Path:
    """Write `report.html`, `front.csv`, `trials.csv`, `verified.csv` and, with a browser, `figures/*.png` into it.

    A study that still runs gets a report of what there is. Without a browser the pictures are left out, and a warning
    is logged that says why.

    Args:
        study_dir: the study's directory.
        images: whether to draw the PNG files, which takes a few seconds more.

    Returns:
        Path of the report.

    Raises:
        ValueError: the directory holds no study, or a part of it cannot be read.
    """
    paths = StudyPaths(study_dir)
    results = read_study(study_dir)
    figures = report_figures(results)
    _write_tables(results, paths)
    write_text(paths.report_html, report_html(results, figures, datetime.now(UTC)))
    if images:
        drawn = {each.name: each.figure for each in (*figures, *transfer_figures(results))}
        problem = write_images(drawn, paths.figures)
        if problem is not None:
            _logger.warning("%s: not all pictures were written: %s", paths.figures, problem)
    return paths.report_html


def report_html(results: StudyResults, figures: tuple[ReportFigure, ...], written_at: datetime) -> str:
    """The report as one page that needs no network."""
    drawn = "".join(figure_html(each) for each in figures)
    record = results.record
    pairs = pair_table(results)
    pairs_and_sizes = [*([pairs] if pairs.rows else []), size_table(results)]
    judged = rung_table(results)
    found_tables = _tables_html(level_table(results), *pairs_and_sizes, *([judged] if judged.rows else []))
    measured_tables = _tables_html(measured_table(results), state_table(results))
    return page(
        title=f"Distillation study {record.name}",
        subtitle=f"Created {moment_text(record.created_at)}, reported {moment_text(written_at)}",
        sections=(
            ("asked", "What was asked", paragraphs(asked(results))),
            ("verified", "What holds on the test images", _verified_html(results)),
            *_ranking_section(results),
            *_curves_section(results),
            ("found", "What the search found", bullets(found(results)) + found_tables),
            ("transfer", "What was transferred", _transfer_html(results)),
            ("figures", "Figures", drawn),
            ("front-table", "The front", table_html(front_table(results)) + _FILES),
            ("take", "Taking a student away", paragraphs(taking_away(results)) + code(loading_code(results))),
            (
                "measured",
                "How it was measured",
                paragraphs([*measured(results), *own_metrics_words(results)]) + measured_tables,
            ),
            ("versions", "With what", table_html(versions_table(results)) + paragraphs(_fingerprint(results))),
        ),
    )


def _verified_html(results: StudyResults) -> str:
    verified = verified_table(results)
    if not verified.rows:
        return bullets(verified_words(results))
    own = own_metrics_table(results)
    return bullets(verified_words(results)) + _tables_html(verified, *([own] if own.rows else [])) + _RUNS


def _ranking_section(results: StudyResults) -> list[tuple[str, str, str]]:
    """Of a study that verified the best student of each method."""
    words = ranking_words(results)
    if not words:
        return []
    return [("methods", "Which method is best", bullets(words) + _tables_html(*ranking_tables(results)))]


def _curves_section(results: StudyResults) -> list[tuple[str, str, str]]:
    """Of a study that verified the best student of each kind along a parameter."""
    words = capacity_words(results)
    return (
        [("curves", "What the curves say", bullets(words) + _tables_html(*capacity_tables(results)))] if words else []
    )


def _transfer_html(results: StudyResults) -> str:
    words = bullets(transfer_words(results))
    if results.transfer is None:
        return words
    drawn = "".join(figure_html(each) for each in transfer_figures(results))
    return words + drawn + table_html(transfer_table(results)) + _TRANSFER


def _tables_html(*tables: Table) -> str:
    return "".join(table_html(table) for table in tables)


_FILES = (
    '<p>As files beside this page: <a href="front.csv">front.csv</a> and, with every trial, '
    '<a href="trials.csv">trials.csv</a>.</p>'
)


_TRANSFER = (
    '<p>Every student and seed, one row each, by class too: <a href="transfer.csv">transfer.csv</a>; with the layers: '
    '<a href="transfer.json">transfer.json</a>.</p>'
)


_RUNS = '<p>Every run, one row each: <a href="verified.csv">verified.csv</a>.</p>'


def _fingerprint(results: StudyResults) -> list[str]:
    return [f"Fingerprint of the study's inputs: {results.record.fingerprint}."]


def _write_tables(results: StudyResults, paths: StudyPaths) -> None:
    table = trials_table(results)
    order = {trial.number: place for place, trial in enumerate(results.front)}
    front = table[table["on_front"].astype(bool)].sort_values("number", key=lambda numbers: numbers.map(order))
    files = {paths.trials_csv: table, paths.front_csv: front}
    if results.verification is not None:
        files[paths.verified_csv] = runs_table(results)
    for path, rows in files.items():
        with replacing(path) as temporary:
            rows.to_csv(temporary, index=False)
