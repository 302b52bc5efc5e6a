"""The report of the pair and online protocols as a table: Markdown and on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from e2e_slam_ros.evaluation.adaptation.report import AdaptationReport, Row
from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics
from e2e_slam_ros.evaluation.run.tables import UNKNOWN

_COLUMNS = ("abs_rel", "sq_rel", "RMSE", "log", "δ<1.25", "δ<1.25²", "δ<1.25³")


def markdown(report: AdaptationReport) -> str:
    """Return the table and its notes as Markdown."""
    lines = [
        f"### {report.title()}",
        "",
        "| | " + " | ".join(_COLUMNS) + " |",
        "|---|" + "---:|" * len(_COLUMNS),
        *("| " + " | ".join([_label(r), *_cells(r.metrics, ".4f")]) + " |" for r in report.rows()),
        "",
        *(f"* {note}" for note in report.notes()),
    ]
    return "\n".join(lines) + "\n"


def print_report(report: AdaptationReport, console: Console) -> None:
    """Print the table and its notes."""
    table = Table(title=escape(report.title()), title_justify="left", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in report.rows():
        style = "bold" if row.name == "after" and not row.part else None
        label = f"  {row.part}" if row.part else row.name
        table.add_row(escape(label), *_cells(row.metrics, ".3f"), style=style)
    console.print(table)
    console.print()
    for note in report.notes():
        console.print(note, style="dim", markup=False, highlight=False, soft_wrap=True)


def _label(row: Row) -> str:
    return f"{row.name}, {row.part}" if row.part else row.name


def _cells(metrics: DepthMetrics | None, spec: str) -> list[str]:
    if metrics is None:
        return [UNKNOWN] * len(_COLUMNS)
    m = metrics
    values = (m.abs_rel, m.sq_rel, m.rmse, m.rmse_log, m.delta_1, m.delta_2, m.delta_3)
    return [format(value, spec) for value in values]
