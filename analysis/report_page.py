"""The report as one HTML page: its style, its skeleton, and how text, tables and figures become parts of it."""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
import plotly.io
from plotly.offline import get_plotlyjs

from analysis.plots import ReportFigure
from analysis.report_tables import Table

_STYLE = """
:root { --ink: #1f2933; --muted: #5f6b76; --line: #dde3e8; --accent: #0072b2; --paper: #ffffff; --back: #f5f7f9; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--back); color: var(--ink); line-height: 1.55;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 0 16px 64px; }
header { padding: 40px 0 8px; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; margin: 48px 0 12px; }
h3 { font-size: 1.08rem; margin: 0 0 4px; }
p { margin: 0 0 12px; max-width: 75ch; }
.muted, figcaption, .caption { color: var(--muted); }
.summary { background: var(--paper); border: 1px solid var(--line); border-left: 4px solid var(--accent);
  border-radius: 6px; padding: 16px 20px 16px 36px; margin: 16px 0; }
.summary li { margin: 6px 0; max-width: 75ch; }
figure, .table { background: var(--paper); border: 1px solid var(--line); border-radius: 6px; margin: 16px 0; }
figure { padding: 16px 16px 12px; }
figure .plot { margin: 0 -8px; }
figcaption { font-size: .93rem; max-width: 85ch; }
.scroll { overflow-x: auto; }
.scroll:focus-visible, a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; font-variant-numeric: tabular-nums; }
.caption { margin: 0; padding: 12px 12px 6px; font-size: .93rem; }
th, td { padding: 7px 12px; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
td, tbody th { white-space: nowrap; }
td.long { white-space: normal; min-width: 16em; overflow-wrap: anywhere; }
thead th { font-weight: 600; border-top: 0; border-bottom: 2px solid var(--line); }
tbody th { font-weight: 600; }
pre { background: var(--paper); border: 1px solid var(--line); border-radius: 6px; padding: 12px 16px; overflow-x: auto;
  font-size: .88rem; line-height: 1.5; }
a { color: var(--accent); }
nav { display: flex; flex-wrap: wrap; gap: 2px 16px; }
@media (max-width: 600px), (hover: none) { .modebar-container { display: none; } }
@media (max-width: 600px) { header { padding-top: 24px; } h1 { font-size: 1.5rem; } h2 { margin-top: 36px; }
  figure { padding: 12px 8px 10px; } th, td { padding: 6px 10px; } }
@media print { body { background: #fff; } figure, .table { break-inside: avoid; } nav { display: none; } }
"""
_LONG_CELL = 40
_PLOT_CONFIG = {
    "responsive": True,
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}


def page(*, title: str, subtitle: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """The whole page.

    Args:
        title: plain text of the heading and the browser's tab.
        subtitle: plain text under it.
        sections: anchor, heading (plain text) and content (HTML) of each.
    """
    links = "".join(f'<a href="#{escape(anchor)}">{escape(heading)}</a>' for anchor, heading, _ in sections)
    body = "".join(
        f'<section id="{escape(anchor)}" aria-labelledby="{escape(anchor)}-heading">'
        f'<h2 id="{escape(anchor)}-heading">{escape(heading)}</h2>{content}</section>\n'
        for anchor, heading, content in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n"
        f"<script>{get_plotlyjs()}</script>\n</head>\n<body>\n<main>\n"
        f'<header><h1>{escape(title)}</h1><p class="muted">{escape(subtitle)}</p><nav>{links}</nav></header>\n'
        f"{body}</main>\n</body>\n</html>\n"
    )


def paragraphs(sentences: Sequence[str]) -> str:
    """Plain text as paragraphs."""
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def code(text: str) -> str:
    """Lines of a program, to be copied; empty text is left out."""
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>' if text else ""


def bullets(sentences: Sequence[str]) -> str:
    """Plain text as a highlighted list."""
    return '<ul class="summary">' + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def table_html(table: Table) -> str:
    """A table that scrolls sideways by itself where the screen is narrow, or a note that it is empty."""
    if not table.rows:
        return f'<p class="muted">{escape(table.caption)}: nothing yet.</p>'
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = "".join(f"<tr>{_row_html(row)}</tr>" for row in table.rows)
    return (
        f'<div class="table"><p class="caption">{escape(table.caption)}</p>'
        f'<div class="scroll" role="region" aria-label="{escape(table.caption)}" tabindex="0">'
        f'<table aria-label="{escape(table.caption)}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div></div>"
    )


def _row_html(row: Sequence[str]) -> str:
    cells = [f'<td class="long">{escape(c)}</td>' if len(c) > _LONG_CELL else f"<td>{escape(c)}</td>" for c in row[1:]]
    return f'<th scope="row">{escape(row[0])}</th>' + "".join(cells)


def figure_html(report_figure: ReportFigure) -> str:
    """A figure under its question as a heading, which wraps where a title in the picture would not.

    Dragging scrolls the page, as a finger expects; the buttons over the figure zoom.
    """
    drawn = go.Figure(report_figure.figure)
    drawn.update_layout(title_text=None, dragmode=False, margin={"t": max(16, (drawn.layout.margin.t or 100) - 40)})
    plot = plotly.io.to_html(
        drawn, full_html=False, include_plotlyjs=False, config=_PLOT_CONFIG, div_id=f"figure-{report_figure.name}"
    )
    return (
        f'<figure id="{escape(report_figure.name)}"><h3>{escape(report_figure.question)}</h3>'
        f'<div class="plot" role="img" aria-label="{escape(report_figure.question)}">{plot}</div>'
        f"<figcaption>{escape(report_figure.how_to_read)}</figcaption></figure>\n"
    )
