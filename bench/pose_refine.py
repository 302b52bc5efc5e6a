"""Depth and trajectory with noise put on recorded poses, and how far refinement undoes it.

    python bench/pose_refine.py --data DIR [--frames A:B] [--sigma-m 0.03] [--sigma-deg 1]
                                [--seeds N] [--set KEY=VALUE ...] [--json FILE] [--markdown FILE]

The noise is normal, independent from frame to frame and from axis to axis. The depth is that of
`e2e-slam evaluate --protocol online`: a network's, corrected by known motion, after looking back.
The trajectory is compared with the recorded one, which has errors of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice, parse_frames
from e2e_slam_ros.evaluation.adaptation.adaptation_setup import AdaptationSetup
from e2e_slam_ros.evaluation.adaptation.online_protocol import OnlineProtocol
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.evaluation.trajectory.errors import ate_rmse, rpe
from e2e_slam_ros.evaluation.trajectory.noisy_poses import NoisyPoses
from e2e_slam_ros.slam.build_tracking import build_refinement

CPU = torch.device("cpu")
_USUAL = {"depth.source": "network", "refine.strategy": "output", "refine.steps": 0}


@dataclass(frozen=True)
class Row:
    """The figures of one run: depth errors are means over keyframes, poses those at the end."""

    noise: float
    seed: int
    refine: str
    keyframes: int
    network_abs_rel: float
    abs_rel: float
    ate_m: float
    rpe_m: float
    rpe_deg: float


def measure(reader: FrameReader, noise: float, seed: int, config: Config) -> Row:
    """Return the figures of a recording with ``noise`` times its poses' noise."""
    setup = AdaptationSetup(config, CPU, degraded=False)
    scores = OnlineProtocol(setup, reader, None).run(range(len(reader))).scores
    given, found = _trajectories(reader, config)
    motion = rpe(found, given)
    ate = ate_rmse(found, given)
    assert motion is not None and ate is not None
    return Row(
        noise=noise,
        seed=seed,
        refine=config.pose.refine,
        keyframes=len(scores),
        network_abs_rel=statistics.mean(s.before.every.raw.abs_rel for s in scores),
        abs_rel=statistics.mean(s.after.every.raw.abs_rel for s in scores),
        ate_m=ate,
        rpe_m=motion.translation_rmse_m,
        rpe_deg=motion.rotation_rmse_deg,
    )


def _trajectories(reader: FrameReader, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Return the recorded poses (N, 4, 4) and those that the system ends with."""
    refinement = build_refinement(config.with_values({"runtime.offline": True}), CPU)
    clean = reader.clean if isinstance(reader, NoisyPoses) else reader
    frames = []
    for frame in reader:
        if refinement is not None:
            refinement.track(frame)
        frames.append(frame)
    found = [frame if refinement is None else refinement.refreshed(frame) for frame in frames]
    true = [clean[position].T_map_camera for position in range(len(clean))]
    return np.stack(true), np.stack([frame.T_map_camera for frame in found])


def main() -> None:
    """Measure recorded and noisy poses, each as they are and refined; print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--frames", metavar="A:B")
    parser.add_argument("--sigma-m", type=float, default=0.03)
    parser.add_argument("--sigma-deg", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--refine", nargs="+", default=["off", "auto"])
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.set_grad_enabled(False)
    clean: FrameReader = open_reader(options.data)
    if options.frames:
        clean = FrameSlice(clean, *parse_frames(options.frames))
    rows = []
    print("\n".join(_HEAD))
    for noise, seed in [(0.0, 0), *((1.0, seed) for seed in range(options.seeds))]:
        noisy = NoisyPoses(clean, noise * options.sigma_m, noise * options.sigma_deg, seed)
        for refine in options.refine:
            config = Config().with_values({**_USUAL, "pose.refine": refine})
            rows.append(measure(noisy, noise, seed, config.with_assignments(options.assignments)))
            print(_line(rows[-1]), flush=True)
    if options.markdown:
        table = [*_HEAD, *map(_line, rows), "", machine_line("cpu")]
        options.markdown.write_text("\n".join(table) + "\n", encoding="utf-8")
    if options.json:
        record = {"machine": machine_line("cpu"), "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


_HEAD = (
    "| noise | seed | pose.refine | keyframes | abs_rel: network | corrected | ATE m | RPE m "
    "| RPE deg |",
    "|---|---|---|---|---|---|---|---|---|",
)


def _line(row: Row) -> str:
    noise = "none" if row.noise == 0.0 else "as given"
    return (
        f"| {noise} | {row.seed} | {row.refine} | {row.keyframes} | {row.network_abs_rel:.4f} "
        f"| {row.abs_rel:.4f} | {row.ate_m:.4f} | {row.rpe_m:.4f} | {row.rpe_deg:.3f} |"
    )


if __name__ == "__main__":
    main()
