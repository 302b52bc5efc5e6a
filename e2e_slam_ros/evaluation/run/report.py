"""The report of a run."""

from __future__ import annotations

from datetime import datetime

from e2e_slam_ros.config import Config, parameters
from e2e_slam_ros.evaluation.report import (
    Report,
    bullets,
    details,
    empty,
    hint,
    preformatted,
    side_by_side,
)
from e2e_slam_ros.evaluation.run.charts import (
    keyframe_charts,
    refinement_chart,
    stage_chart,
    tracking_charts,
    trajectory_charts,
)
from e2e_slam_ros.evaluation.run.map_view import map_view
from e2e_slam_ros.evaluation.run.pictures import keyframe_pictures, map_pictures
from e2e_slam_ros.evaluation.run.summary import RunSummary
from e2e_slam_ros.evaluation.run.tables import refinement_table, run_table, stage_table
from e2e_slam_ros.evaluation.score_table import counted, number
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

# Size of the whole page; the interactive map takes what the other parts leave.
_MOST_CHARACTERS = 4_900_000


def report_html(
    summary: RunSummary, cloud: SurfelCloud, config: Config, machine: str, command: str = ""
) -> str:
    """Return the page, finished now. A section that cannot be drawn says why in its place.

    ``command`` is the line that started the run.
    """
    map_hash = (summary.map_hash or "none")[:16]
    lines = (machine, f"{datetime.now():%Y-%m-%d %H:%M} · map {map_hash}")
    page = Report(summary.sequence, "mapping run", lines, command)
    if summary.warnings:
        page.section("Warning", lambda: bullets(list(summary.warnings)), warn=True)
    page.cards(_cards(summary))
    warn = bool(summary.dropped or summary.problems or summary.is_empty)
    page.section("Problems and drops", lambda: _problems(summary), warn=warn)
    page.section("Results", lambda: run_table(summary).html())
    page.section("Trajectory", lambda: trajectory_charts(summary))
    if summary.tracking is not None:
        page.section("Tracking", lambda: tracking_charts(summary))
    page.section("Map", lambda: map_pictures(summary, cloud))
    page.section("Keyframes", lambda: keyframe_pictures(summary, cloud, config.depth.max_m))
    page.section("Stage times", lambda: _stage_times(summary))
    page.section("Over the run", lambda: keyframe_charts(summary))
    if summary.refinement is not None:
        page.section("Refinement", lambda: _refinement(summary))
    page.section("Parameters", lambda: _parameters(config))
    room = _MOST_CHARACTERS - page.size()
    page.section("Map in 3-D", lambda: map_view(summary, cloud, room), before="Map")
    return page.html()


def _cards(summary: RunSummary) -> list[tuple[str, str]]:
    ate, fit, depth = summary.trajectory_metrics, summary.map_fit, summary.depth
    to_map = None if fit is None else fit.median_m * 100
    cards = [
        ("frames", f"{summary.frames:,}"),
        ("keyframes mapped", f"{summary.keyframes:,}"),
        ("keyframes dropped", f"{summary.dropped:,}"),
        ("surfels", f"{summary.surfels:,}"),
        ("measured points to map", number(to_map, ".2f", " cm")),
    ]
    if summary.map_quality is not None:
        quality = summary.map_quality
        cards.append(("map F-score at 5 cm", f"{quality.f_score_5:.2f}"))
        cards.append(("surfels in empty space", f"{quality.in_empty_space:.0%}"))
    if not summary.poses_are_given:
        ate_cm = None if ate is None else ate.ate_rmse_m * 100
        cards.append(("trajectory ATE", number(ate_cm, ".1f", " cm")))
    if summary.has_own_map_frame and ate is not None:
        cards.append(("true metre per metre", f"{ate.scale:.3f}"))
    if depth is not None and not summary.truth_is_input:
        cards.append(("depth abs_rel", f"{depth.abs_rel:.3f}"))
    return cards


def _problems(summary: RunSummary) -> str:
    """Return drops, problems, frames left out and notes in one list."""
    lines = ["Nothing was mapped: there is no map."] if summary.is_empty else []
    if summary.dropped:
        share = summary.dropped / max(1, summary.dropped + summary.keyframes)
        lines.append(
            f"{summary.dropped:,} keyframes ({share:.0%}) were replaced by a newer one before "
            "they could be mapped: the machine is slower than the camera."
        )
    lines += [f"Problem: {text}" for text in counted(summary.problems)]
    lines += [f"Left out of the input: {text}" for text in counted(summary.skipped)]
    lines += list(summary.notes)
    if not lines:
        return empty("None: every keyframe was mapped and nothing was refused.")
    return bullets(lines)


def _stage_times(summary: RunSummary) -> str:
    if not summary.latency_ms:
        return empty("No stage was timed.")
    return side_by_side(stage_table(summary).html(), stage_chart(summary))


def _refinement(summary: RunSummary) -> str:
    return side_by_side(refinement_table(summary).html(), refinement_chart(summary))


def _parameters(config: Config) -> str:
    """Return the values that differ from the defaults, and all of them folded away."""
    defaults = {info.name: info.default for info in parameters()}
    changed = [
        f"{name}: {value}" for name, value in config.values().items() if value != defaults[name]
    ]
    shown = "\n".join(changed) or "every parameter at its default"
    folded = details("all parameters", preformatted(config.to_yaml()))
    return hint("Different from the defaults:") + preformatted(shown) + folded
