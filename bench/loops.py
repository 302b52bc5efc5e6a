"""A walk of 40 m around a block, back to its start: what loop closure does to the end and the map.

    python bench/loops.py --json figures.json
    python bench/loops.py --seed 0 --depth rgbd --map    # and the walls of the revisited place

Images are rendered (320x240, 7.5 a second). Depth is exact with noise (1.5 mm times the square of
the metres at each pixel, 0.3 % for a whole image) or the network's at keyframes. Three trackers
see the same frames: `odometry` knows its last keyframes only, `reuse` also looks for old landmarks
where they should be, `loops` also closes loops and adjusts all keyframes after one.

End error: the distance between estimated and true position of the last frame, seen from the first.
With the network the scale is that of the first 80 frames, so a scale that drifts shows.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from scipy.spatial import cKDTree

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.evaluation.trajectory.alignment import umeyama
from e2e_slam_ros.evaluation.trajectory.errors import ate_rmse
from e2e_slam_ros.simulation.circuit import circuit_reader
from e2e_slam_ros.slam.keyframe_depth import keyframe_depth
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.offline import track_sequence
from e2e_slam_ros.tracking.visual_tracker import VisualTracker

CPU = torch.device("cpu")
TRACKERS = {
    "odometry": ["tracking.reuse.enabled=false", "tracking.loop.enabled=false"],
    "reuse": ["tracking.loop.enabled=false"],
    "loops": [],
}
_FIRST = 80
# Frames of the revisited place: the last 3 m.
_REVISITED = 32


@dataclass(frozen=True)
class LoopRow:
    """Figures of one run."""

    seed: int
    depth: str
    tracker: str
    end_error_m: float
    ate_m: float
    scale: float
    tracked: float
    keyframes: int
    loops: int
    longest_adjustment_s: float
    cpu_s: float
    double_walls: float | None = None
    surfels: int | None = None


def main() -> None:
    """Run every seed and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, action="append", help="may be repeated; 0, 1, 2")
    parser.add_argument("--depth", choices=("rgbd", "mono"), action="append")
    parser.add_argument("--tracker", choices=tuple(TRACKERS), action="append")
    parser.add_argument("--map", action="store_true", help="make the map too")
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows = []
    print("| seed | depth | tracker | end error m | ATE m | scale | tracked | keyframes | loops "
          "| longest adjustment s | CPU s | double walls | surfels |")  # fmt: skip
    print("|" + "---|" * 13)
    for seed in options.seed or (0, 1, 2):
        frames = list(circuit_reader(seed))
        for depth in options.depth or ("rgbd", "mono"):
            for tracker in options.tracker or TRACKERS:
                config = Config().with_assignments([*TRACKERS[tracker], *options.assignments])
                source = "sensor" if depth == "rgbd" else "network"
                config = config.with_values({"depth.source": source})
                run = _map if options.map else _track
                rows.append(run(seed, depth, tracker, config, frames))
                values = asdict(rows[-1]).values()
                cells = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in values]
                print("| " + " | ".join(cells) + " |", flush=True)
    if options.json:
        record = {"machine": machine_line("cpu"), "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _noisy(frames: list[Frame], seed: int) -> Iterator[Frame]:
    generator = np.random.default_rng(seed)
    for frame in frames:
        depth = frame.depth
        assert depth is not None
        grain = 0.0015 * depth * depth * generator.standard_normal(depth.shape)
        depth = (depth + grain) * (1.0 + 0.003 * generator.standard_normal())
        yield replace(frame, depth=depth.astype(np.float32))


def _track(seed: int, depth: str, name: str, config: Config, frames: list[Frame]) -> LoopRow:
    tracker, began = VisualTracker(config.tracking), time.process_time()
    given = _noisy(frames, seed)
    result = track_sequence(given, tracker, keyframe_depth(config, CPU))
    cpu_s = time.process_time() - began
    true = np.stack([np.asarray(frame.T_map_camera) for frame in frames])
    end, ate, scale = _errors(result.T_map_camera, true, depth == "mono")
    return LoopRow(
        seed, depth, name, end, ate, scale, result.tracked, len(result.keyframes),
        len(tracker.loops), float(result.adjust_ms.max()) * 1e-3, cpu_s,
    )  # fmt: skip


def _map(seed: int, depth: str, name: str, config: Config, frames: list[Frame]) -> LoopRow:
    config = config.with_values({"pose.source": "visual", "runtime.offline": True})
    system, began, placed = SlamPipeline(config, CPU), time.process_time(), []
    assert system.tracking is not None
    for frame in _noisy(frames, seed):
        tracked = system.tracking.track(replace(frame, T_map_camera=None))
        placed.append(replace(frame, depth=None, T_map_camera=tracked.T_map_camera))
        if tracked.T_map_camera is not None:
            located = replace(frame, T_map_camera=tracked.T_map_camera)
            decision = system.choose_keyframe(located, tracked.keyframe is not None)
            if decision.is_keyframe:
                system.map_keyframe(located, decision)
    cpu_s = time.process_time() - began
    nowhere, poses = np.full((4, 4), np.nan), []
    for frame in placed:
        pose = (
            None if frame.T_map_camera is None else system.tracking.refreshed(frame).T_map_camera
        )
        poses.append(nowhere if pose is None else pose)
    final = np.stack(poses)
    true = np.stack([np.asarray(frame.T_map_camera) for frame in frames])
    end, ate, scale = _errors(final, true, depth == "mono")
    return LoopRow(
        seed, depth, name, end, ate, scale, float(np.isfinite(final[:, 0, 0]).mean()),
        len(system.keyframes), system.tracking.loops, float("nan"), cpu_s,
        double_walls(system, final[-_REVISITED:], frames[0]), len(system.surfels),
    )  # fmt: skip


def double_walls(system: SlamPipeline, poses: np.ndarray, frame: Frame) -> float:
    """Return the share of the surfels in view that have another 4 to 14 cm behind them.

    The other one lies within 1 cm of the line along the normal and faces the same way (20
    degrees): the definition of `shared/tools/map_eval.py`.
    """
    seen = [
        system.surfels.active(frame.camera, torch.from_numpy(pose))
        for pose in poses[::4]
        if np.isfinite(pose).all()
    ]
    cloud = system.surfels.snapshot(index=torch.unique(torch.cat(seen)))
    points, normals = np.asarray(cloud.positions, float), np.asarray(cloud.normals, float)
    tree, doubled = cKDTree(points), None
    chosen = np.random.default_rng(0).permutation(len(points))[:20000]
    doubled = np.zeros(len(chosen), bool)
    for step in np.arange(0.04, 0.15, 0.01):
        behind = points[chosen] - step * normals[chosen]
        distance, other = tree.query(behind, distance_upper_bound=0.01)
        near = np.isfinite(distance)
        facing = (normals[np.where(near, other, 0)] * normals[chosen]).sum(1) > 0.94
        doubled |= near & facing
    return float(doubled.mean())


def _errors(estimated: np.ndarray, true: np.ndarray, scaled: bool) -> tuple[float, float, float]:
    """Return the end error, the ATE and the scale (true over estimated)."""
    known = np.flatnonzero(np.isfinite(estimated[:, 0, 0]))
    first, last = known[0], known[-1]
    early = known[known < _FIRST]
    scale = 1.0
    if scaled:
        scale = umeyama(estimated[early, :3, 3], true[early, :3, 3], True).scale
    end = (rigid.inverse(estimated[first]) @ estimated[last])[:3, 3] * scale
    off = end - (rigid.inverse(true[first]) @ true[last])[:3, 3]
    whole = umeyama(estimated[known, :3, 3], true[known, :3, 3], True).scale
    return float(np.linalg.norm(off)), float(ate_rmse(estimated, true, scaled) or 0.0), whole


if __name__ == "__main__":
    main()
