"""``e2e-slam evaluate --protocol trajectory``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from e2e_slam_ros.commands.inputs import input_of
from e2e_slam_ros.commands.outputs import output_file, output_folder
from e2e_slam_ros.commands.sequence import Offer, look_at, open_sequence
from e2e_slam_ros.commands.settings import read_settings
from e2e_slam_ros.commands.terminal import progress_wanted, say
from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError, DataError

if TYPE_CHECKING:
    from e2e_slam_ros.evaluation.trajectory.tracking_protocol import TrackingRun

PROTOCOL = "trajectory"
PICTURE = "trajectory.png"

# Figures shown in the table: attribute, heading, factor, digits.
_SHOWN = (
    ("ate_se3_m", "ATE SE(3), cm", 100.0, 2),
    ("ate_sim3_m", "ATE Sim(3), cm", 100.0, 2),
    ("online_ate_se3_m", "ATE SE(3) at the time, cm", 100.0, 2),
    ("scale", "scale", 1.0, 3),
    ("rpe_m", "RPE, cm/frame", 100.0, 2),
    ("rpe_deg", "RPE, deg/frame", 1.0, 3),
    ("drift_pct", "drift, %", 1.0, 2),
    ("tracked", "frames tracked, %", 100.0, 1),
    ("keyframes", "keyframes", 1.0, 0),
    ("readout_s", "shutter readout, ms", 1000.0, 1),
    ("track_p50_ms", "front end, median, ms", 1.0, 1),
    ("track_p95_ms", "front end, 95 %, ms", 1.0, 1),
    ("adjust_p50_ms", "adjustment, median, ms", 1.0, 1),
    ("adjust_p95_ms", "adjustment, 95 %, ms", 1.0, 1),
)


def run(arguments: argparse.Namespace) -> int:
    """Track the camera by its images, compare with the recorded poses; print and write figures.

    Raises:
        E2ESlamError: see `commands.evaluate.run`.
    """
    from e2e_slam_ros.config.device import resolve_device
    from e2e_slam_ros.evaluation.trajectory.tracking_protocol import run_tracking
    from e2e_slam_ros.slam.keyframe_depth import keyframe_depth
    from e2e_slam_ros.slam.trackers import build_tracker
    from e2e_slam_ros.tracking.visual_tracker import VisualTracker

    seeds = 1 if arguments.seeds is None else arguments.seeds
    if seeds < 1:
        raise ConfigError.from_parts("--seeds", seeds, "1 or more", "leave it out for one run")
    figures, pictures = output_file(arguments.json), output_folder(arguments.out)
    reader = open_sequence(arguments.data, arguments.frames, input_of(arguments))
    config = _settings(arguments, look_at(reader))
    device = resolve_device(config.runtime.device)
    depth_of = keyframe_depth(config, device)
    runs = []
    for seed in range(seeds):
        shown = tqdm(reader, total=len(reader), unit="frame", disable=not progress_wanted())
        tracker = build_tracker(config, device)
        runs.append(run_tracking(shown, config.tracking, depth_of, seed, tracker))
        if seed == 0 and isinstance(tracker, VisualTracker):
            for warning in tracker.scale.warnings:
                say(warning)
    for note in reader.report.notes:
        say(note)
    _print(runs, reader.name, config)
    _write(runs, reader.name, config, str(device), figures, pictures)
    return 0


def _settings(arguments: argparse.Namespace, offer: Offer) -> Config:
    """Return the parameters; without measured depth the network is the source."""
    from e2e_slam_ros.slam.depth_sources import depth_traits

    config = read_settings(arguments.config, arguments.assignments)
    named = {text.partition("=")[0].strip() for text in arguments.assignments}
    if depth_traits(config).needs_sensor and not offer.has_depth:
        if "depth.source" in named:
            raise DataError.from_parts(
                "depth images",
                offer.lacking,
                "registered depth images, or another depth.source than sensor",
                "give --set depth.source=network",
            )
        say(f"depth images: {offer.lacking}; keyframes get their depth from the network instead")
        config = config.with_values({"depth.source": "network"})
    return config


def _print(runs: list[TrackingRun], name: str, config: Config) -> None:
    from e2e_slam_ros.evaluation.trajectory.tracking_protocol import median_and_range

    table = Table(title=f"{name}: {_tracked_by(config)}, depth: {config.depth.source}")
    table.add_column("figure")
    table.add_column("value" if len(runs) == 1 else f"median of {len(runs)}", justify="right")
    if len(runs) > 1:
        table.add_column("range", justify="right")
    for attribute, heading, factor, digits in _SHOWN:
        spread = median_and_range([getattr(run.score, attribute) for run in runs])
        cells = ["-"] if spread is None else [f"{spread[0] * factor:.{digits}f}"]
        if len(runs) > 1:
            low_high = "-"
            if spread is not None:
                low_high = f"{spread[1] * factor:.{digits}f} to {spread[2] * factor:.{digits}f}"
            cells.append(low_high)
        table.add_row(heading, *cells)
    Console().print(table)


def _tracked_by(config: Config) -> str:
    if config.pose.is_dense:
        return f"dense odometry ({config.pose.source})"
    return "camera tracked by its images"


def _write(
    runs: list[TrackingRun],
    name: str,
    config: Config,
    device: str,
    figures: Path | None,
    pictures: Path | None,
) -> None:
    """Write what was asked for, each file whole or not at all, and print where it is."""
    from e2e_slam_ros.data.atomic import write_bytes_atomic, write_text_atomic
    from e2e_slam_ros.evaluation.trajectory.tracking_plot import trajectory_plot
    from e2e_slam_ros.slam.depth_sources import depth_traits

    written = []
    if figures is not None:
        record = to_json(runs, name, config, device)
        write_text_atomic(figures, json.dumps(record, indent=2, allow_nan=False) + "\n")
        written.append(figures)
    if pictures is not None:
        title = f"{name}, depth: {config.depth.source}"
        picture = trajectory_plot(runs[0], title, not depth_traits(config).needs_sensor)
        written.append(pictures / PICTURE)
        write_bytes_atomic(written[-1], picture)
    for path in written:
        print(path)


def to_json(runs: list[TrackingRun], name: str, config: Config, device: str) -> dict[str, object]:
    """Return the figures of a file: medians over the runs, their ranges, and each run's own."""
    from e2e_slam_ros.evaluation.machine import machine_line
    from e2e_slam_ros.evaluation.trajectory.tracking_protocol import median_and_range

    def median(attribute: str) -> float | None:
        spread = median_and_range([getattr(run.score, attribute) for run in runs])
        return None if spread is None else spread[0]

    names = [attribute for attribute, *_ in _SHOWN if not attribute.endswith("_ms")]
    record: dict[str, object] = {
        "data": name,
        "depth_source": config.depth.source,
        "pose_source": config.pose.source if config.pose.is_dense else "visual",
        "frames": len(runs[0].sequence.states),
        **{attribute: median(attribute) for attribute in names},
        "online_ate_sim3_m": median("online_ate_sim3_m"),
        "track_ms": {"p50": median("track_p50_ms"), "p95": median("track_p95_ms")},
        "adjust_ms": {"p50": median("adjust_p50_ms"), "p95": median("adjust_p95_ms")},
        "machine": machine_line(device),
    }
    if len(runs) > 1:
        spreads = {a: median_and_range([getattr(run.score, a) for run in runs]) for a in names}
        record["range"] = {a: None if s is None else list(s[1:]) for a, s in spreads.items()}
        record["seeds"] = [
            {attribute: getattr(run.score, attribute) for attribute in names} for run in runs
        ]
    return record
