"""Time of a plain camera's keyframe: network, correction by motion, fusion, looking back.

    python bench/keyframe_time.py --data ../shared/data/hololens/rooms_000 --frames 140:210

The frames go through the whole pipeline in lock-step, with recorded poses and without measured
depth, and nothing is learned in the background. The first keyframes have no neighbours; the
first fifth is left out. ``--wait 0`` leaves looking back out. Prints wall time, the CPU time of
all threads, and the wall time of each stage, milliseconds.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.allocator import keep_freed_memory
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice, parse_frames
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.slam.pipeline import SlamPipeline


def main() -> None:
    """Map the frames and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--frames", default="140:210")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--wait", type=int, nargs="+", default=[0, 3], help="refine.wait_keyframes"
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    for wait in options.wait:
        measure(options, wait)
    print(machine_line("cpu"), f"· {options.threads} threads")


def measure(options: argparse.Namespace, wait: int) -> None:
    """Time every keyframe of one run."""
    config = Config().with_values(
        {
            "depth.source": "network",
            "runtime.offline": True,
            "refine.strategy": "output",  # no background learning
            "refine.steps": 0,
            "refine.wait_keyframes": wait,
        }
    )
    system = SlamPipeline(config.with_assignments(options.set), torch.device("cpu"))
    first, last = parse_frames(options.frames)
    reader = FrameSlice(open_reader(options.data), first, last)
    wall, cpu, stages = [], [], {}
    for frame in map(reader.__getitem__, range(len(reader))):
        image = replace(frame, depth=None)
        decision = system.choose_keyframe(image)
        if not decision.is_keyframe:
            continue
        started, used = time.perf_counter(), time.process_time()
        result = system.map_keyframe(image, decision)
        wall.append(1e3 * (time.perf_counter() - started))
        cpu.append(1e3 * (time.process_time() - used))
        for name, value in result.latency_ms.items():
            stages.setdefault(name, []).append(value)
    kept = slice(len(wall) // 5, None)
    parts = ", ".join(f"{name} {np.median(v[kept]):.0f}" for name, v in stages.items())
    p50, p95 = np.percentile(wall[kept], (50, 95))
    print(
        f"looking back after {wait}: {len(wall[kept])} keyframes, p50 {p50:.0f} ms, "
        f"p95 {p95:.0f} ms, CPU {np.median(cpu[kept]):.0f} ms ({parts})",
        flush=True,
    )


if __name__ == "__main__":
    main()
