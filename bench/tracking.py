"""The camera tracked by its images, on every sequence here, beside other systems.

    python bench/tracking.py --shared ../shared/data --json figures.json --markdown table.md

Ours is run in lock-step on one thread, with measured depth (RGB-D) and with the network's depth at
keyframes (mono). The figures of other systems were measured on the same frames and are quoted
with where they come from: ORB-SLAM3 is GPL-3.0 and no dependency (`shared/tools` has the script),
Open3D's odometry and COLMAP were run by hand.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.evaluation.trajectory.tracking_plot import trajectory_plot
from e2e_slam_ros.evaluation.trajectory.tracking_protocol import (
    TrackingRun,
    TrackingScore,
    median_and_range,
    run_tracking,
)
from e2e_slam_ros.simulation.reader import ProceduralReader
from e2e_slam_ros.slam.keyframe_depth import keyframe_depth

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Sequence:
    """A sequence here: folder, whether it has measured depth, and what others reach on it (m)."""

    name: str
    folder: str
    has_depth: bool = True
    others_rgbd: str = ""
    others_mono: str = ""


SEQUENCES = (
    Sequence(
        "fr1_rpy",
        "tum/rgbd_dataset_freiburg1_rpy_excerpt",
        True,
        "ORB-SLAM3 .0247, Open3D .048, ORB + PnP .022",
        "ORB-SLAM3 .0141 (281 of 300 frames), COLMAP .014",
    ),
    Sequence(
        "rooms_000",
        "hololens/rooms_000",
        True,
        "ORB-SLAM3 2.04 (lost), Open3D 1.50, ORB + PnP .225",
        "ORB-SLAM3 never starts; COLMAP .027 on 0-171, .039 on 187-333",
    ),
    Sequence("fr3_cabinet", "tum/rgbd_dataset_freiburg3_cabinet_keyframes"),
    Sequence("aims_lab", "aims_lab", False),
)


def main() -> None:
    """Run every sequence and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument(
        "--only", action="append", default=[], help="sequence name; may be repeated"
    )
    parser.add_argument("--rooms", type=int, default=0, help="rendered rooms of 300 frames")
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--out", type=Path, help="folder for pictures of the trajectories")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows, records = [], []
    for sequence in SEQUENCES:
        if options.only and sequence.name not in options.only:
            continue
        reader = open_reader(options.shared / sequence.folder)
        for mode in ("rgbd", "mono") if sequence.has_depth else ("mono",):
            run = _run(reader, mode, options.assignments)
            others = sequence.others_rgbd if mode == "rgbd" else sequence.others_mono
            rows.append(_row(sequence.name, mode, run, others))
            records.append({"data": sequence.name, "mode": mode, **asdict(run.score)})
            print(rows[-1], flush=True)
            _draw(options.out, sequence.name, mode, run)
    rooms: dict[str, list[TrackingScore]] = {"rgbd": [], "mono": []}
    for seed in range(options.rooms):
        for mode, scores in rooms.items():
            run = _run(ProceduralReader(seed, 300), mode, options.assignments)
            scores.append(run.score)
            rows.append(_row(f"rendered room {seed}", mode, run, ""))
            records.append({"data": f"room_{seed}", "mode": mode, **asdict(run.score)})
            print(rows[-1], flush=True)
    ranges = [line for mode, scores in rooms.items() for line in _ranges(mode, scores)]
    print("\n".join(ranges))
    table = "\n".join([*_HEAD, *rows, "", *ranges, machine_line("cpu")]) + "\n"
    if options.markdown:
        options.markdown.write_text(table, encoding="utf-8")
    if options.json:
        record = {"machine": machine_line("cpu"), "rows": records}
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _run(reader: FrameReader, mode: str, assignments: list[str]) -> TrackingRun:
    config = Config().with_assignments(assignments)
    config = config.with_values({"depth.source": "sensor" if mode == "rgbd" else "network"})
    return run_tracking(reader, config.tracking, keyframe_depth(config, CPU))


_HEAD = (
    "| sequence | depth | ATE SE(3) m | ATE Sim(3) m | scale | drift % | tracked % "
    "| front end ms, median / 95 % | adjustment ms, median / 95 % | readout ms | others, ATE m |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)


def _row(name: str, mode: str, run: TrackingRun, others: str) -> str:
    score = run.score

    def digits(value: float | None, count: int) -> str:
        return "-" if value is None else f"{value:.{count}f}"

    cells = [
        name,
        mode,
        digits(score.ate_se3_m, 4),
        digits(score.ate_sim3_m, 4),
        digits(score.scale, 3),
        digits(score.drift_pct, 2),
        digits(100.0 * score.tracked, 1),
        f"{score.track_p50_ms:.1f} / {score.track_p95_ms:.1f}",
        f"{score.adjust_p50_ms:.0f} / {score.adjust_p95_ms:.0f}",
        digits(1e3 * score.readout_s, 1),
        others,
    ]
    return "| " + " | ".join(cells) + " |"


def _ranges(mode: str, scores: list[TrackingScore]) -> list[str]:
    """Return median and range of the rendered rooms' figures, a line each."""
    lines = []
    for name in ("ate_se3_m", "ate_sim3_m", "scale", "drift_pct", "tracked"):
        found = median_and_range([getattr(score, name) for score in scores])
        if found is not None:
            middle, low, high = found
            lines.append(f"rendered rooms, {mode}, {name}: {middle:.4f} ({low:.4f} to {high:.4f})")
    return lines


def _draw(folder: Path | None, name: str, mode: str, run: TrackingRun) -> None:
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    picture = trajectory_plot(run, f"{name}, {mode}", mode == "mono")
    (folder / f"{name}_{mode}.png").write_bytes(picture)


if __name__ == "__main__":
    main()
