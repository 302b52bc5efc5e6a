"""Depth from known motion against the sensor, without any scaling by ground truth.

    python bench/motion_stereo.py --data ../shared/data/hololens/rooms_000 --frames 250:373

Every frame is a keyframe with the frames before it as neighbours. Prints the mean over frames of
the standard metrics over all pixels the sensor measured, the share of them that got a depth, and
the time a keyframe takes.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from map import Keyframes

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.keyframes import Keyframes as Memory
from e2e_slam_ros.data.keyframes import MappedKeyframe
from e2e_slam_ros.data.slice import parse_frames
from e2e_slam_ros.evaluation.depth.metrics import depth_metrics
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.multiview.motion_stereo import MotionStereoDepth

CPU = torch.device("cpu")


def main() -> None:
    """Run over the frames and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--frames", default="250:373")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    config = Config().with_assignments(options.assignments)
    keyframes = Keyframes(options.data, config.camera.working_width, CPU)
    start, stop = parse_frames(options.frames)
    source, memory = (
        MotionStereoDepth(config.depth, CPU),
        Memory(2 * config.depth.motion.neighbours),
    )
    rows, times, shares = [], [], []
    for index in range(start or 0, min(stop or len(keyframes), len(keyframes))):
        loaded = keyframes.load(index)
        if loaded is None:
            continue
        began = time.perf_counter()
        keyframe = replace(loaded[0], index=memory.next_index)
        estimate = source.estimate(keyframe, memory)
        memory.add(MappedKeyframe(keyframe))
        times.append((time.perf_counter() - began) * 1e3)
        truth, depth = loaded[1].depth[0, 0], estimate.depth[0, 0]
        metrics = depth_metrics(depth, truth, config.depth.min_m, config.depth.max_m)
        if metrics is None:
            continue
        rows.append(metrics)
        shares.append(metrics.pixels / int((truth > 0).sum()))
    if not rows:
        raise SystemExit("no frame got a depth: the camera does not move enough between frames")
    figures = {
        "frames": len(rows),
        **{
            name: round(float(np.mean([getattr(row, name) for row in rows])), 4)
            for name in ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta_1", "delta_2", "delta_3")
        },
        "share_of_sensor_pixels": round(float(np.mean(shares)), 3),
        "ms_p50": round(float(np.percentile(times, 50)), 1),
        "ms_p95": round(float(np.percentile(times, 95)), 1),
    }
    print(json.dumps(figures))
    print(machine_line("cpu"), f"· {options.threads} threads")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
