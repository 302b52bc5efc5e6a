"""The figures of a run as rows: printed at its end and set in the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics
from e2e_slam_ros.evaluation.run.summary import RunSummary

UNKNOWN = "–"


@dataclass(frozen=True)
class Row:
    """One figure: what it is, its value with unit, and what to know about it."""

    label: str
    value: str
    remark: str = ""


def run_rows(summary: RunSummary) -> list[Row]:
    """Return the counts and errors of a run."""
    rate = summary.frames / summary.wall_s if summary.wall_s > 0 else None
    rows = [
        Row("Frames", f"{summary.frames:,}", f"{number(rate, '.1f')} per second"),
        Row("Keyframes mapped", f"{summary.keyframes:,}", _mapped_remark(summary)),
        Row("Keyframes dropped", f"{summary.dropped:,}", _drop_remark(summary)),
        Row("Surfels", f"{summary.surfels:,}"),
        *_depth_rows(summary),
        *refinement_rows(summary)[:1],
        *_trajectory_rows(summary),
        *_map_rows(summary),
        Row("Device", summary.device),
        Row("Wall time", f"{summary.wall_s:.1f} s"),
    ]
    if summary.problems:
        total = sum(summary.problems.values())
        rows.append(Row("Problems", f"{total:,}", "; ".join(counted(summary.problems))))
    return rows


def refinement_rows(summary: RunSummary) -> list[Row]:
    """Return how the refinements ended; nothing where none was configured."""
    ended = summary.refinement
    if ended is None:
        return []
    refused = sum(ended.refused.values())
    steps = f"{ended.mean_steps:.1f} steps each; " if ended.refined + ended.rolled_back else ""
    return [
        Row(
            "Keyframes refined",
            f"{ended.refined:,}",
            f"{steps}{ended.rolled_back:,} rolled back, {refused:,} refused",
        ),
        Row("Rolled back", f"{ended.rolled_back:,}", "loss or held-back pixels got worse"),
        Row("Refused", f"{refused:,}", "; ".join(counted(ended.refused))),
        Row("Refined again later", f"{ended.revised:,}", "with views from both sides"),
    ]


def latency_rows(summary: RunSummary) -> list[tuple[str, str, str, str]]:
    """Return stage, median ms, 95th percentile ms and count of every stage."""
    return [
        (stage, f"{times.p50:.1f}", f"{times.p95:.1f}", f"{times.count:,}")
        for stage, times in summary.latency_ms.items()
    ]


def print_summary(
    summary: RunSummary, written: Sequence[Path], failures: Sequence[str], console: Console
) -> None:
    """Print the figures, the stage times, and where the files are or why they are not."""
    table = Table(title=escape(summary.sequence), title_justify="left", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right", style="bold", no_wrap=True)
    table.add_column("", style="dim")
    for row in run_rows(summary):
        table.add_row(*(escape(text) for text in (row.label, row.value, row.remark)))
    stages = Table(box=None, pad_edge=False)
    stages.add_column("Stage")
    for title in ("p50 ms", "p95 ms", "count"):
        stages.add_column(title, justify="right")
    for cells in latency_rows(summary):
        stages.add_row(*(escape(cell) for cell in cells))
    console.print()
    console.print(table)
    if summary.latency_ms:
        console.print()
        console.print(stages)
    console.print()
    for note in (*summary.notes, *(f"left out: {text}" for text in counted(summary.skipped))):
        console.print(note, style="dim", markup=False)
    for path in written:
        console.print(str(path), markup=False, soft_wrap=True, highlight=False)
    for failure in failures:
        console.print(failure, style="bold red", markup=False, soft_wrap=True, highlight=False)


def number(value: float | None, spec: str, unit: str = "") -> str:
    """Format a value that may be unknown."""
    return UNKNOWN if value is None else f"{value:{spec}}{unit}"


def counted(kinds: Mapping[str, int]) -> list[str]:
    """Return "kind (n)" for each kind."""
    return [f"{kind} ({count:,})" for kind, count in kinds.items()]


def _mapped_remark(summary: RunSummary) -> str:
    return "nothing was mapped" if summary.is_empty else ""


def _drop_remark(summary: RunSummary) -> str:
    return "a newer one took their place" if summary.dropped else ""


def _depth_rows(summary: RunSummary) -> list[Row]:
    remark = ""
    if summary.truth_is_input:
        remark = "the sensor is the input: zero by definition"
    rows = [_depth_row("Depth abs_rel / RMSE / δ<1.25", summary.depth, remark)]
    if summary.depth_unrefined != summary.depth:
        rows.append(_depth_row("Depth before refinement", summary.depth_unrefined, ""))
    return rows


def _depth_row(label: str, depth: DepthMetrics | None, remark: str) -> Row:
    if depth is None:
        return Row(label, UNKNOWN, "no true depth")
    value = f"{depth.abs_rel:.4f} / {depth.rmse:.3f} m / {depth.delta_1:.3f}"
    return Row(label, value, remark)


def _trajectory_rows(summary: RunSummary) -> list[Row]:
    metrics, tracked = summary.trajectory_metrics, len(summary.trajectory.stamps_ns)
    if metrics is None:
        remark = "fewer than 3 frames with a true pose"
    elif summary.poses_are_given:
        remark = "the poses are the recording's own: zero by definition"
    else:
        remark = "after rigid alignment"
    ate = None if metrics is None else metrics.ate_rmse_m
    share = f"{tracked / summary.frames:.0%} of all" if summary.frames else ""
    return [
        Row("Trajectory ATE", number(ate, ".4f", " m"), remark),
        Row("Frames with a pose", f"{tracked:,}", share),
    ]


def _map_rows(summary: RunSummary) -> list[Row]:
    fit = summary.map_fit
    if fit is None:
        return [Row("Measured points to map", UNKNOWN, "no true depth")]
    value = f"{fit.median_m * 100:.2f} cm"
    remark = f"median; p95 {fit.p95_m * 100:.2f} cm; "
    remark += f"worst keyframe {fit.worst_keyframe_m * 100:.2f} cm"
    return [Row("Measured points to map", value, remark)]
