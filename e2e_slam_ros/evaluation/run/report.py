"""The page a run leaves behind: one HTML file, no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from html import escape

from e2e_slam_ros.config import Config, parameters
from e2e_slam_ros.evaluation.report_style import STYLE
from e2e_slam_ros.evaluation.run.charts import (
    keyframe_charts,
    refinement_chart,
    trajectory_charts,
)
from e2e_slam_ros.evaluation.run.pictures import keyframe_pictures, map_pictures
from e2e_slam_ros.evaluation.run.summary import RunSummary
from e2e_slam_ros.evaluation.run.tables import (
    Row,
    counted,
    number,
    refinement_rows,
    run_rows,
)
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud


@dataclass(frozen=True, eq=False)
class ReportInput:
    """What the page is made from; ``command`` is the line that started the run, or empty."""

    summary: RunSummary
    cloud: SurfelCloud
    config: Config
    machine: str
    finished: datetime
    command: str = ""


def report_html(run: ReportInput) -> str:
    """Return the page. A section that cannot be drawn says why in its place."""
    summary = run.summary
    title = escape(summary.sequence)
    refinement: list[tuple[str, Callable[[], str]]] = []
    if summary.refinement is not None:
        refinement = [("Refinement", lambda: _refinement(summary))]
    sections: list[tuple[str, Callable[[], str]]] = [
        ("Results", lambda: _table(run_rows(summary))),
        ("Trajectory", lambda: trajectory_charts(summary)),
        ("Map", lambda: map_pictures(summary, run.cloud)),
        ("Keyframes", lambda: keyframe_pictures(summary, run.cloud, run.config.depth.max_m)),
        ("Stage times", lambda: _stage_times(summary)),
        ("Over the run", lambda: keyframe_charts(summary)),
        *refinement,
        ("Parameters", lambda: _parameters(run.config)),
    ]
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title} · e2e_slam_ros</title><style>{STYLE}</style></head><body><main>",
        _header(run, title),
        _cards(summary),
        _section("Problems and drops", lambda: _problems(summary), warn=_has_problems(summary)),
        *(_section(name, draw) for name, draw in sections),
        "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _section(name: str, draw: Callable[[], str], warn: bool = False) -> str:
    """A picture that fails costs its section, not the page."""
    try:
        content = draw()
    except Exception as error:  # noqa: BLE001 - see above
        reason = escape(f"{type(error).__name__}: {error}")
        content = f'<p class="none">This part could not be drawn: {reason}</p>'
    kind = ' class="warn"' if warn else ""
    return f"<section{kind}><h2>{escape(name)}</h2>\n{content}\n</section>"


def _header(run: ReportInput, title: str) -> str:
    map_hash = (run.summary.map_hash or "none")[:16]
    lines = [run.machine, f"{run.finished:%Y-%m-%d %H:%M} · map {map_hash}"]
    described = "".join(f"<p>{escape(line)}</p>" for line in lines)
    command = f"<p><code>{escape(run.command)}</code></p>" if run.command else ""
    return f"<header><h1>{title} <small>mapping run</small></h1>{described}{command}</header>"


def _cards(summary: RunSummary) -> str:
    ate, fit, depth = summary.trajectory_metrics, summary.map_fit, summary.depth
    cards = [
        ("frames", f"{summary.frames:,}"),
        ("keyframes mapped", f"{summary.keyframes:,}"),
        ("keyframes dropped", f"{summary.dropped:,}"),
        ("surfels", f"{summary.surfels:,}"),
        (
            "measured points to map",
            number(None if fit is None else fit.median_m * 100, ".2f", " cm"),
        ),
    ]
    if not summary.poses_are_given:
        value = number(None if ate is None else ate.ate_rmse_m * 100, ".1f", " cm")
        cards.append(("trajectory ATE", value))
    if depth is not None and not summary.truth_is_input:
        cards.append(("depth abs_rel", f"{depth.abs_rel:.3f}"))
    items = "".join(
        f'<div class="card"><b>{escape(value)}</b><span>{escape(label)}</span></div>'
        for label, value in cards
    )
    return f'<div class="cards">{items}</div>'


def _table(rows: list[Row]) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(row.label)}</th><td class="v">{escape(row.value)}</td>'
        f'<td class="r">{escape(row.remark)}</td></tr>'
        for row in rows
    )
    return f"<table>{body}</table>"


def _stage_times(summary: RunSummary) -> str:
    """Median and 95th percentile of every stage, as figures and bars on one scale."""
    if not summary.latency_ms:
        return '<p class="none">No stage was timed.</p>'
    longest = max(times.p95 for times in summary.latency_ms.values()) or 1.0
    body = "".join(
        f'<tr><th scope="row">{escape(stage)}</th><td class="n">{times.p50:.1f}</td>'
        f'<td class="n">{times.p95:.1f}</td><td class="n">{times.count:,}</td>'
        f'<td><div class="meter"><i style="width:{100 * times.p95 / longest:.1f}%"></i>'
        f'<i style="width:{100 * times.p50 / longest:.1f}%"></i></div></td></tr>'
        for stage, times in summary.latency_ms.items()
    )
    heads = '<tr><th>stage</th><th class="n">p50 ms</th><th class="n">p95 ms</th>'
    heads += '<th class="n">count</th><th>median, and up to p95 in light</th></tr>'
    return f"<table>{heads}{body}</table>"


def _refinement(summary: RunSummary) -> str:
    """How the refinements ended, and the loss of each keyframe before and after."""
    return _table(refinement_rows(summary)) + refinement_chart(summary)


def _has_problems(summary: RunSummary) -> bool:
    return bool(summary.dropped or summary.problems or summary.is_empty)


def _problems(summary: RunSummary) -> str:
    """What was dropped, refused, left out or worth saying; one list."""
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
        return '<p class="none">None: every keyframe was mapped and nothing was refused.</p>'
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _parameters(config: Config) -> str:
    """What differs from the defaults, and everything on demand."""
    defaults = {info.name: info.default for info in parameters()}
    changed = [
        f"{name}: {value}" for name, value in config.values().items() if value != defaults[name]
    ]
    shown = escape("\n".join(changed)) if changed else "every parameter at its default"
    everything = escape(config.to_yaml())
    return (
        f'<p class="hint">Different from the defaults:</p><pre>{shown}</pre>'
        f"<details><summary>all parameters</summary><pre>{everything}</pre></details>"
    )
