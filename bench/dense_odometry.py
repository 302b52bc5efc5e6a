"""Dense odometry beside the visual tracker and Open3D's RGB-D odometry, on the same frames.

    python bench/dense_odometry.py --shared ../shared/data --markdown table.md

All run on one thread. Open3D aligns each frame with the last one, colour and depth together, at
the full size, from no motion: from the last motion it runs away. Frames without depth are left
out. Motions of more than half a metre or 30 degrees, which it calls a success, count as failed.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import numpy.typing as npt
import open3d
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.evaluation.trajectory.errors import ate_rmse, rpe
from e2e_slam_ros.geometry.undistort import Undistorter
from e2e_slam_ros.slam.trackers import build_tracker
from e2e_slam_ros.tracking.offline import track_sequence

CPU = torch.device("cpu")
EXCERPTS = {
    "fr1_rpy": ("tum/rgbd_dataset_freiburg1_rpy_excerpt", slice(0, 150)),
    "rooms_000": ("hololens/rooms_000", slice(0, 250)),
    "fr3_cabinet": ("tum/rgbd_dataset_freiburg3_cabinet_keyframes", slice(None)),
}
METHODS: dict[str, dict[str, object]] = {
    "icp": {"pose.source": "icp"},
    "icp, map": {"pose.source": "icp", "tracking.odometry.reference": "map"},
    "gradicp": {"pose.source": "gradicp"},
    "photometric": {"pose.source": "photometric"},
    "photometric, map": {
        "pose.source": "photometric",
        "tracking.odometry.reference": "map",
    },
    "visual, tracking.dense off": {"pose.source": "visual", "tracking.dense": "off"},
    "visual, tracking.dense auto": {"pose.source": "visual", "tracking.dense": "auto"},
}
OPEN3D = "Open3D, frame to frame"
Poses = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OdometryRun:
    """Poses (N, 4, 4), NaN where there is none, and CPU milliseconds a frame."""

    poses: Poses
    ms: float
    keyframes: int


def run_ours(frames: list[Frame], values: dict[str, object]) -> OdometryRun:
    """Track the frames in lock-step, adjustments of the visual tracker included."""
    tracker = build_tracker(Config().with_values(values), CPU)
    began = time.process_time()
    result = track_sequence(frames, tracker)
    ms = (time.process_time() - began) / len(frames) * 1e3
    return OdometryRun(result.T_map_camera, ms, len(result.keyframes))


def run_open3d(frames: Iterable[Frame]) -> OdometryRun:
    """Chain Open3D's motions from frame to frame; nothing after the first that fails."""
    odometry = open3d.pipelines.odometry
    poses, last = [], None
    began = time.process_time()
    for frame in frames:
        poses.append(np.full((4, 4), np.nan))
        if frame.depth is None:
            continue
        image, camera = _rgbd(frame)
        if last is None:
            last = image, np.eye(4)
            poses[-1] = np.eye(4)
            continue
        found, motion, _ = odometry.compute_rgbd_odometry(
            image,
            last[0],
            camera,
            np.eye(4),
            odometry.RGBDOdometryJacobianFromHybridTerm(),
            odometry.OdometryOption(depth_max=8.0),
        )
        turned = np.degrees(np.linalg.norm(cv2.Rodrigues(motion[:3, :3])[0]))
        found = found and np.linalg.norm(motion[:3, 3]) < 0.5 and turned < 30.0
        # A failed motion is taken to be none: what follows is then off by it.
        last = image, last[1] @ motion if found else last[1]
        if found:
            poses[-1] = last[1]
    ms = (time.process_time() - began) / len(poses) * 1e3
    return OdometryRun(np.stack(poses), ms, 0)


def _rgbd(frame: Frame) -> tuple[open3d.geometry.RGBDImage, open3d.camera.PinholeCameraIntrinsic]:
    straight = Undistorter(frame.camera)
    colour = torch.from_numpy(frame.image.copy()).permute(2, 0, 1)[None].float()
    colour = straight(colour)[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
    assert frame.depth is not None
    depth = straight(torch.from_numpy(frame.depth)[None, None], mode="nearest")[0, 0].numpy()
    image = open3d.geometry.RGBDImage.create_from_color_and_depth(
        open3d.geometry.Image(np.ascontiguousarray(colour)),
        open3d.geometry.Image(np.ascontiguousarray(depth)),
        depth_scale=1.0,
        depth_trunc=8.0,
        convert_rgb_to_intensity=True,
    )
    c = frame.camera
    return image, open3d.camera.PinholeCameraIntrinsic(c.width, c.height, c.fx, c.fy, c.cx, c.cy)


def row(name: str, method: str, run: OdometryRun, true: Poses) -> str:
    """Return a line of the table."""
    motion = rpe(run.poses, true)
    tracked = np.isfinite(run.poses[:, 0, 0]).mean() * 100.0
    ate = ate_rmse(run.poses, true)
    cells = [
        name,
        method,
        "-" if ate is None else f"{ate:.4f}",
        "-" if motion is None else f"{motion.translation_rmse_m:.4f}",
        "-" if motion is None else f"{motion.rotation_rmse_deg:.2f}",
        f"{tracked:.1f}",
        str(run.keyframes or "-"),
        f"{run.ms:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Run every method on every excerpt and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--only", action="append", default=[], help="excerpt; may be repeated")
    parser.add_argument("--method", action="append", default=[], help="likewise")
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows = [
        "| frames | method | ATE SE(3) m | RPE m | RPE deg | tracked % | keyframes | CPU ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in options.only or EXCERPTS:
        folder, part = EXCERPTS[name]
        reader = open_reader(options.shared / folder)
        frames = [reader[i] for i in range(len(reader))[part]]
        poses = [one.T_map_camera for one in frames]
        true = np.stack([np.full((4, 4), np.nan) if T is None else T for T in poses])
        for method in options.method or [*METHODS, OPEN3D]:
            open3d_run = method == OPEN3D
            run = run_open3d(frames) if open3d_run else run_ours(frames, METHODS[method])
            rows.append(row(name, method, run, true))
            print(rows[-1], flush=True)
    table = "\n".join([*rows, "", machine_line("cpu")]) + "\n"
    if options.markdown:
        options.markdown.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
