"""The map's metre from the camera's height over the floor, on a rendered walk with exact truth.

    python bench/camera_height.py --json figures.json

A walk around a block (320x240, 7.5 images a second), camera 1.45 m over the floor, swaying by 6 cm
at most. Depth at keyframes is the exact one times a wrong factor and noise of 5 % common to each
image, or the network's. `auto` takes the depth's own metre. Scale: true metres per metre of the
path (similarity alignment); its spread is that over stretches of 40 images.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.evaluation.trajectory.alignment import umeyama
from e2e_slam_ros.evaluation.trajectory.tracking_protocol import TrackingRun, run_tracking
from e2e_slam_ros.simulation.circuit import circuit_scene, circuit_trajectory
from e2e_slam_ros.simulation.reader import ProceduralReader
from e2e_slam_ros.slam.keyframe_depth import keyframe_depth
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.visual_tracker import VisualTracker

_RATE_HZ, _HEIGHT_M, _NOISE = 7.5, 1.45, 0.05
_STRETCH = 40


@dataclass(frozen=True)
class HeightRow:
    """Figures of one run."""

    seed: int
    depth: str
    scale_from: str
    scale: float | None
    least: float
    greatest: float
    ate_m: float | None
    tracked: float
    source: str
    sigma: float


def main() -> None:
    """Run every seed and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, action="append", help="may be repeated; 0, 1")
    parser.add_argument("--frames", type=int, default=150, help="of the walk; 0.09 m each")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows = []
    names = ("seed", "depth", "scale from", "scale", "least", "greatest", "ATE m", "tracked")
    print("| " + " | ".join((*names, "source", "sigma")) + " |")
    print("|" + "---|" * 10)
    for seed in options.seed or (0, 1):
        path = circuit_trajectory(_RATE_HZ, seed=seed)[: options.frames]
        walk = (circuit_scene(seed), path)
        frames = list(ProceduralReader(seed, len(path), 320, 240, rate_hz=_RATE_HZ, walk=walk))
        for depth, make in DEPTHS.items():
            for scale in ("auto", "camera_height"):
                rows.append(_row(seed, depth, scale, frames, make()))
                cells = [
                    f"{v:.3f}" if isinstance(v, float) else str(v)
                    for v in asdict(rows[-1]).values()
                ]
                print("| " + " | ".join(cells) + " |", flush=True)
    if options.json:
        record = {"machine": machine_line("cpu"), "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _wrong(factor: float) -> Callable[[Frame], DepthImage]:
    generator = np.random.default_rng(0)

    def depth_of(frame: Frame) -> DepthImage:
        assert frame.depth is not None
        off = np.float32(factor * math.exp(_NOISE * generator.normal()))
        return DepthImage(frame.depth * off, frame.camera, 0.6)

    return depth_of


DEPTHS: dict[str, Callable[[], Callable[[Frame], DepthImage | None] | None]] = {
    "exact times 0.8": lambda: _wrong(0.8),
    "exact times 1.2": lambda: _wrong(1.2),
    "exact times 1.6": lambda: _wrong(1.6),
    "network": lambda: _network(),
}


def _row(
    seed: int,
    depth: str,
    scale: str,
    frames: list[Frame],
    depth_of: Callable[[Frame], DepthImage | None] | None,
) -> HeightRow:
    values = {"tracking.scale": scale, "tracking.camera_height_m": _HEIGHT_M}
    config = Config().with_values(values).tracking
    tracker = VisualTracker(config)
    run = run_tracking(frames, config, depth_of, tracker=tracker)
    found = _scales(run)
    score, source = run.score, tracker.scale.source
    return HeightRow(
        seed, depth, scale, score.scale, min(found), max(found), score.ate_se3_m, score.tracked,
        source, tracker.scale.sigma,
    )  # fmt: skip


def _network() -> Callable[[Frame], DepthImage | None] | None:
    return keyframe_depth(Config().with_values({"depth.source": "network"}), torch.device("cpu"))


def _scales(run: TrackingRun) -> list[float]:
    """Return the scale of each stretch of the path."""
    found, estimated = [], run.sequence.T_map_camera[:, :3, 3]
    for first in range(0, len(estimated) - _STRETCH + 1, _STRETCH):
        part = slice(first, first + _STRETCH)
        known = np.isfinite(estimated[part]).all(1)
        if known.sum() > _STRETCH // 2:
            true = run.true[part, :3, 3]
            found.append(umeyama(estimated[part][known], true[known], True).scale)
    return found or [float("nan")]


if __name__ == "__main__":
    main()
