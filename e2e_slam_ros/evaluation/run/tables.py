"""The tables of a run: printed at its end and set in its report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics
from e2e_slam_ros.evaluation.run.passages import worst_passage
from e2e_slam_ros.evaluation.run.summary import RunSummary
from e2e_slam_ros.evaluation.score_table import (
    UNKNOWN,
    Column,
    ScoreRow,
    ScoreTable,
    counted,
    number,
)

_RESULT_COLUMNS = (Column(role="result"), Column(role="remark"))
_TIME_COLUMNS = (
    Column("p50 ms", spec=".1f"),
    Column("p95 ms", spec=".1f"),
    Column("count", spec=","),
)


def run_table(summary: RunSummary) -> ScoreTable:
    """Return counts and errors of a run, each with its unit and a remark."""
    rate = summary.frames / summary.wall_s if summary.wall_s > 0 else None
    empty = "nothing was mapped" if summary.is_empty else ""
    if summary.localizes_only:
        empty = "the camera was only looked for in the loaded map"
    late = "a newer one took their place" if summary.dropped else ""
    rows = [
        *(ScoreRow("WARNING", ("the map is doubtful", w), strong=True) for w in summary.warnings),
        _row("Frames", f"{summary.frames:,}", f"{number(rate, '.1f')} per second"),
        _row("Keyframes mapped", f"{summary.keyframes:,}", empty),
        _row("Keyframes dropped", f"{summary.dropped:,}", late),
        _row("Surfels", f"{summary.surfels:,}"),
        *_depth_rows(summary),
        *refinement_table(summary).rows[:1],
        *_trajectory_rows(summary),
        *_pose_rows(summary),
        _map_row(summary),
        *_quality_rows(summary),
        _row("Device", summary.device),
        _row("Wall time", f"{summary.wall_s:.1f} s"),
    ]
    if summary.problems:
        total = sum(summary.problems.values())
        rows.append(_row("Problems", f"{total:,}", "; ".join(counted(summary.problems))))
    return ScoreTable(_RESULT_COLUMNS, tuple(rows), title=summary.sequence)


def _pose_rows(summary: RunSummary) -> list[ScoreRow]:
    """Return where poses and their metre come from, unless they were given and kept."""
    facts = summary.poses
    if facts is None or facts.poses == "given":
        return []
    known = math.isfinite(facts.scale_sigma)
    sure = f", standard deviation {facts.scale_sigma:.1%}" if known else ""
    return [_row("Poses", f"{facts.poses}", f"metre from: {facts.scale_source}{sure}")]


def refinement_table(summary: RunSummary) -> ScoreTable:
    """Return how the refinements ended; no row where none was configured."""
    ended = summary.refinement
    if ended is None:
        return ScoreTable(_RESULT_COLUMNS, ())
    refused = sum(ended.refused.values())
    steps = f"{ended.mean_steps:.1f} steps each; " if ended.refined + ended.rolled_back else ""
    others = f"{steps}{ended.rolled_back:,} rolled back, {refused:,} refused"
    rows = (
        _row("Keyframes refined", f"{ended.refined:,}", others),
        _row("Rolled back", f"{ended.rolled_back:,}", "loss or held-back pixels got worse"),
        _row("Refused", f"{refused:,}", "; ".join(counted(ended.refused))),
        _row("Refined again later", f"{ended.revised:,}", "with views from both sides"),
    )
    return ScoreTable(_RESULT_COLUMNS, rows)


def stage_table(summary: RunSummary) -> ScoreTable:
    """Return median and 95th percentile of the time spent in every stage."""
    rows = tuple(
        ScoreRow(stage, (times.p50, times.p95, times.count))
        for stage, times in summary.latency_ms.items()
    )
    return ScoreTable(_TIME_COLUMNS, rows, label_title="Stage")


def print_summary(
    summary: RunSummary, written: Sequence[Path], failures: Sequence[str], console: Console
) -> None:
    """Print the figures, the stage times, and where the files are or why they are not."""
    console.print()
    console.print(run_table(summary).rich())
    if summary.latency_ms:
        console.print()
        console.print(stage_table(summary).rich())
    console.print()
    for note in (*summary.notes, *(f"left out: {text}" for text in counted(summary.skipped))):
        console.print(note, style="dim", markup=False)
    for path in written:
        console.print(str(path), markup=False, soft_wrap=True, highlight=False)
    for failure in failures:
        console.print(failure, style="bold red", markup=False, soft_wrap=True, highlight=False)


def _row(label: str, value: str, remark: str = "") -> ScoreRow:
    return ScoreRow(label, (value, remark))


def _depth_rows(summary: RunSummary) -> list[ScoreRow]:
    remark = "the sensor is the input: zero by definition" if summary.truth_is_input else ""
    rows = [_depth_row("Depth abs_rel / RMSE / δ<1.25", summary.depth, remark)]
    if summary.depth_unrefined != summary.depth:
        rows.append(_depth_row("Depth before refinement", summary.depth_unrefined))
    worst = None if summary.truth_is_input else worst_passage(summary.records)
    if worst is not None:
        rows.append(_row("Worst passage, abs_rel", f"{worst.abs_rel:.3f}", str(worst)))
    return rows


def _depth_row(label: str, depth: DepthMetrics | None, remark: str = "") -> ScoreRow:
    if depth is None:
        return _row(label, UNKNOWN, "no true depth")
    value = f"{depth.abs_rel:.4f} / {depth.rmse:.3f} m / {depth.delta_1:.3f}"
    return _row(label, value, remark)


def _trajectory_rows(summary: RunSummary) -> list[ScoreRow]:
    metrics, tracked = summary.trajectory_metrics, len(summary.trajectory.stamps_ns)
    remark = "after rigid alignment"
    if metrics is None:
        remark = "fewer than 3 frames with a true pose"
    elif summary.poses_are_given:
        remark = "the poses are the recording's own: zero by definition"
    ate = None if metrics is None else metrics.ate_rmse_m
    rows = [_row("Trajectory ATE", number(ate, ".4f", " m"), remark)]
    if summary.map_frame_ate_m is not None:
        text = f"{summary.map_frame_ate_m:.4f} m"
        rows.append(_row("ATE in the map's frame", text, "no alignment of this run"))
    share = f"{tracked / summary.frames:.0%} of all" if summary.frames else ""
    if summary.has_own_map_frame and metrics is not None:
        told = "after alignment with scale"
        rows += [
            _row("Trajectory ATE, scaled", number(metrics.ate_sim3_rmse_m, ".4f", " m"), told),
            _row("Scale", f"{metrics.scale:.3f}", "true metres per estimated metre"),
        ]
    if summary.tracking is not None:
        share += f"; lost {summary.tracking.times_lost} times"
    return [*rows, _row("Frames with a pose", f"{tracked:,}", share)]


def _map_row(summary: RunSummary) -> ScoreRow:
    fit, label = summary.map_fit, "Measured points to map"
    if fit is None:
        return _row(label, UNKNOWN, "no true depth")
    p95, worst = fit.p95_m * 100, fit.worst_keyframe_m * 100
    remark = f"median; p95 {p95:.2f} cm; worst keyframe {worst:.2f} cm"
    return _row(label, f"{fit.median_m * 100:.2f} cm", remark)


def _quality_rows(summary: RunSummary) -> list[ScoreRow]:
    """Return how good the map is against measured depth, both ways."""
    quality = summary.map_quality
    if quality is None:
        return []
    five = f"{quality.accuracy_5:.0%} of the surfels are right, {quality.completeness_5:.0%} found"
    ten = (
        f"{quality.accuracy_10:.0%} of the surfels are right, {quality.completeness_10:.0%} found"
    )
    aligned = "; after alignment with scale" if summary.has_own_map_frame else ""
    seen = f"seen through by a sensor{aligned}"
    return [
        _row("Map F-score at 5 cm", f"{quality.f_score_5:.3f}", five),
        _row("Map F-score at 10 cm", f"{quality.f_score_10:.3f}", ten),
        _row(
            "Surfels in empty space",
            f"{quality.in_empty_space:.1%}",
            seen,
        ),
        _row("Doubled walls", f"{quality.double_walls:.1%}", "a second layer 4 to 14 cm behind"),
    ]
