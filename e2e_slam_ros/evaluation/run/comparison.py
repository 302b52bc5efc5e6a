"""Several runs of the same frames on one page, beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from e2e_slam_ros.evaluation.report import Report, link, side_by_side
from e2e_slam_ros.evaluation.run.charts import tracking_charts, trajectory_charts
from e2e_slam_ros.evaluation.run.pictures import map_pictures
from e2e_slam_ros.evaluation.run.summary import RunSummary
from e2e_slam_ros.evaluation.score_table import Column, ScoreRow, ScoreTable
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """One run of a comparison.

    Attributes:
        title: what it got to see.
        summary, cloud: its figures and its map.
        report: address of its own report, relative to the page.

    Example:
        >>> ComparedRun.__match_args__
        ('title', 'summary', 'cloud', 'report')
    """

    title: str
    summary: RunSummary
    cloud: SurfelCloud
    report: str


def comparison_html(runs: Sequence[ComparedRun], machine: str, command: str = "") -> str:
    """Return the page: figures, paths and maps of the runs, one column each."""
    lines = (machine, f"{datetime.now():%Y-%m-%d %H:%M}")
    page = Report(runs[0].summary.sequence, "runs compared", lines, command)
    page.section("Results", lambda: _results(runs).html())
    page.section("Map", lambda: _columns(runs, lambda run: map_pictures(run.summary, run.cloud)))
    page.section("Trajectory", lambda: _columns(runs, lambda run: trajectory_charts(run.summary)))
    tracked = [run for run in runs if run.summary.tracking is not None]
    if tracked:
        page.section(
            "Tracking", lambda: _columns(tracked, lambda run: tracking_charts(run.summary))
        )
    return page.html()


def _columns(runs: Sequence[ComparedRun], draw: Callable[[ComparedRun], str]) -> str:
    blocks = [
        f"<div><h3>{escape(run.title)} · {link(run.report, 'full report')}</h3>{draw(run)}</div>"
        for run in runs
    ]
    return side_by_side(*blocks)


def _results(runs: Sequence[ComparedRun]) -> ScoreTable:
    columns = tuple(Column(run.title, role="result") for run in runs)
    rows = [_figures(run.summary) for run in runs]
    return ScoreTable(
        columns, tuple(ScoreRow(label, tuple(row[label] for row in rows)) for label in rows[0])
    )


def _figures(summary: RunSummary) -> dict[str, str | None]:
    metrics, fit, depth = summary.trajectory_metrics, summary.map_fit, summary.depth
    found = not summary.poses_are_given and metrics is not None
    tracked = len(summary.trajectory.stamps_ns) / max(1, summary.frames)
    scored = depth is not None and not summary.truth_is_input
    return {
        "Poses from": summary.pose_source,
        "Depth from": summary.depth_source,
        "Frames": f"{summary.frames:,}",
        "Frames with a pose": f"{tracked:.0%}",
        "Trajectory ATE": f"{metrics.ate_rmse_m * 100:.1f} cm" if found and metrics else None,
        "ATE after alignment with scale": (
            f"{metrics.ate_sim3_rmse_m * 100:.1f} cm" if found and metrics else None
        ),
        "True metres per metre": f"{metrics.scale:.3f}" if found and metrics else None,
        "Depth abs_rel": f"{depth.abs_rel:.3f}" if scored and depth else None,
        "Measured points to map, median": None if fit is None else f"{fit.median_m * 100:.1f} cm",
        "Map F-score at 5 / 10 cm": (
            None
            if summary.map_quality is None
            else f"{summary.map_quality.f_score_5:.2f} / {summary.map_quality.f_score_10:.2f}"
        ),
        "Keyframes mapped": f"{summary.keyframes:,}",
        "Surfels": f"{summary.surfels:,}",
        "Wall time": f"{summary.wall_s:.0f} s",
    }
