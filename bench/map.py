"""Time and memory of one keyframe's fusion as the map grows.

    python bench/map.py --data ../shared/data/hololens/rooms_000 --json out/map.json

The same keyframes (the last ``--timed`` frames, real sensor depth, recorded poses) are fused into
maps of different sizes. Each map is that of the frames before them; one larger than the recording
gives holds translated copies, more rooms of the same building. Each size runs in a process of its
own. Writes a list of {surfels, ms_p50, ms_p95, rss_mb, bytes_per_surfel}.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from e2e_slam_ros.config import CameraConfig, DepthConfig, MapConfig
from e2e_slam_ros.config.allocator import keep_freed_memory
from e2e_slam_ros.config.device import resolve_device
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, KeyframeDecision
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.depth.gate import gate_depth
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.mapping.surfel_store import Surfels
from e2e_slam_ros.slam.preprocess import Preprocessor

# The copies stand side by side, farther apart than any building is wide.
_APART_M = 100.0


class Keyframes:
    """Every frame of a sequence as a keyframe with its sensor depth, decoded on demand."""

    def __init__(self, data: str, width: int, device: torch.device) -> None:
        self._reader = open_reader(Path(data))
        self._preprocess = Preprocessor(CameraConfig(working_width=width), device)

    def __len__(self) -> int:
        return len(self._reader)

    def fuse(self, target: SurfelMap, index: int) -> None:
        """Fuse one frame; frames without depth or pose are left out."""
        loaded = self.load(index)
        if loaded is not None:
            target.fuse(*loaded)

    def load(self, index: int) -> tuple[Keyframe, DepthEstimate] | None:
        """Return frame ``index``, or None when it has no depth or pose."""
        frame = self._reader[index]
        if frame.depth is None or frame.T_map_camera is None:
            return None
        working = self._preprocess(frame)
        keyframe = Keyframe(
            index=index,
            frame_index=index,
            stamp_ns=frame.stamp_ns,
            image=working.image,
            camera=working.camera,
            T_map_camera=torch.tensor(frame.T_map_camera),
            sensor_depth=working.depth,
            decision=KeyframeDecision(True, "benchmark"),
        )
        depth = gate_depth(working.depth.float(), DepthConfig())
        return keyframe, DepthEstimate(depth, None, "sensor", "sensor")


def resident_mb() -> float:
    """Return the process's resident memory, without what the allocator merely keeps."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def grown(surfels: Surfels, size: int) -> Surfels:
    """Return ``surfels`` and as many translated copies as make ``size`` together."""
    copies = [surfels]
    missing = size - len(surfels)
    while missing > 0:
        part = surfels[: min(missing, len(surfels))]
        shift = torch.zeros(3, device=part.positions.device)
        shift[len(copies) % 2] = _APART_M * len(copies)
        columns = list(part.columns())
        columns[0] = columns[0] + shift
        copies.append(Surfels(*columns))
        missing -= len(part)
    columns_of = [copy.columns() for copy in copies]
    return Surfels(*(torch.cat(parts) for parts in zip(*columns_of, strict=True)))


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Grow a map to ``options.size`` surfels and time the last keyframes."""
    device = resolve_device(options.device)
    torch.set_num_threads(options.threads)
    keep_freed_memory()  # as every node and command does
    keyframes = Keyframes(options.data, options.width, device)
    first = len(keyframes) - options.timed
    timed = [keyframes.load(index) for index in range(first, len(keyframes))]
    config = MapConfig(max_surfels=max(2 * options.size, 8_000_000))
    keyframes.fuse(SurfelMap(config, device), first - 1)  # first use of every function
    before = resident_mb()
    target = SurfelMap(config, device)
    # The nearest frames first, so that a small map holds what the timed ones see, too.
    for index in reversed(range(first)):
        if len(target) < options.size:
            keyframes.fuse(target, index)
    if options.size > len(target):
        target.restore(grown(target.surfels, options.size), target.keyframes)
    size, resident = len(target), resident_mb()
    times = []
    for item in timed:
        if item is None:
            continue
        start = time.perf_counter()
        target.fuse(*item)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append((time.perf_counter() - start) * 1e3)
    return {
        "surfels": len(target),
        "ms_p50": round(float(np.percentile(times, 50)), 2),
        "ms_p95": round(float(np.percentile(times, 95)), 2),
        "rss_mb": round(resident_mb(), 1),
        "bytes_per_surfel": round((resident - before) * 2**20 / size, 1),
    }


def main() -> None:
    """Measure every size in a process of its own and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[400_000, 1_400_000, 5_000_000])
    parser.add_argument("--timed", type=int, default=60, help="keyframes timed")
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.size is not None:
        print(json.dumps(measure(options)))
        return
    rows = []
    for size in options.sizes:
        command = [sys.executable, __file__, *sys.argv[1:], "--size", str(size)]
        rows.append(json.loads(subprocess.check_output(command, text=True).splitlines()[-1]))
        print(rows[-1], flush=True)
    print(machine_line(options.device), f"· {options.threads} threads")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
