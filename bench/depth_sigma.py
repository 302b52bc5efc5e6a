"""Stated standard deviations of depth against its errors.

    python bench/depth_sigma.py --rendered 9001:0.1 9006:1
    python bench/depth_sigma.py --data ../shared/data/hololens/rooms_000 --frames 120:250

The system runs in lock-step. The pixels of all keyframes are sorted by their stated relative
standard deviation into bins of equal number. For each bin: the median of the stated one, and the
quantile of the errors |ln(depth / truth)| that a normal distribution reaches at one standard
deviation (68 %). Both are equal where the stated deviations are right; `ratio` is that of all
pixels. Depth that looking back has changed counts with its last value. The truth is measured.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from background_adaptation import Frames, PlainWalk, mapped, measured

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.keyframe import DepthEstimate
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.slam.pipeline import SlamPipeline

CPU = torch.device("cpu")
_ONE_SIGMA = 0.6827
# Every n-th pixel is enough.
_EVERY = 7


def run(reader: Frames, values: dict[str, object]) -> tuple[np.ndarray, np.ndarray]:
    """Map a sequence; return stated deviations and errors, (N, 2): corrected, and predicted."""
    system = SlamPipeline(Config().with_values(values), CPU)
    truths: dict[int, torch.Tensor] = {}
    found: dict[int, tuple[DepthEstimate, bool]] = {}
    for depth, result in mapped(system, reader):
        number = result.keyframe.index
        truths[number] = measured(depth, result.estimate.depth)
        item = system.keyframes.from_newest(0)
        by_motion = item is not None and item.motion_weight is not None
        found[number] = result.estimate, by_motion
        if result.revision is not None:
            number = result.revision.keyframe.index
            found[number] = result.revision.estimate, True
    system.close()
    corrected = [_pairs(found[k][0], truths[k]) for k in truths if found[k][1]]
    predicted = [_pairs(found[k][0], truths[k]) for k in truths if not found[k][1]]
    nothing = np.zeros((0, 2))
    return np.concatenate([nothing, *corrected]), np.concatenate([nothing, *predicted])


def _pairs(estimate: DepthEstimate, truth: torch.Tensor) -> np.ndarray:
    """Return (N, 2): stated deviation and error of the pixels with a true depth."""
    if estimate.sigma is None:
        return np.zeros((0, 2))
    both = (truth > 0.1) & (truth < 8.0) & (estimate.depth > 0)
    error = (estimate.depth / truth)[both].log().abs()
    return torch.stack([estimate.sigma[both], error], dim=1)[::_EVERY].double().numpy()


def tell(name: str, pairs: np.ndarray, bins: int) -> None:
    """Print the table of one kind of depth."""
    if len(pairs) < 100 * bins:
        return
    stated, error = pairs.T
    one, two = (float(np.mean(error < k * stated)) for k in (1.0, 2.0))
    ratio = float(np.quantile(error / stated, _ONE_SIGMA))
    print(f"{name}: within one {one:.2f} (.68), within two {two:.2f} (.95), ratio {ratio:.2f}")
    edges = np.quantile(stated, np.linspace(0.0, 1.0, bins + 1))
    parts = _cut(pairs, edges)
    print("| stated | " + " | ".join(f"{np.median(part[:, 0]):.3f}" for part in parts))
    seen = [float(np.quantile(part[:, 1], _ONE_SIGMA)) for part in parts]
    print("| error, 68 % | " + " | ".join(f"{value:.3f}" for value in seen), flush=True)


def _cut(pairs: np.ndarray, edges: np.ndarray) -> list[np.ndarray]:
    """Return the pairs of each bin."""
    place = np.clip(np.searchsorted(edges, pairs[:, 0], side="right") - 1, 0, len(edges) - 2)
    parts = [pairs[place == index] for index in range(len(edges) - 1)]
    return [part for part in parts if len(part)]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--frames", default="0:100000")
    parser.add_argument("--rendered", nargs="*", default=[], metavar="SEED:CONTRAST")
    parser.add_argument("--length", type=int, default=60, help="frames of a rendered walk")
    parser.add_argument("--bins", type=int, default=8)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    values: dict[str, object] = {
        "depth.source": "network",
        "runtime.offline": True,
        "refine.strategy": "none",
    }
    for text in arguments.set:
        name, value = text.split("=", 1)
        values[name] = json.loads(value) if value[:1] in "0123456789tf-" else value
    sequences: list[tuple[str, Frames, dict[str, object]]] = []
    for text in arguments.rendered:
        seed, contrast = text.split(":")
        walk = PlainWalk(int(seed), float(contrast), arguments.length)
        exact: dict[str, object] = {"pose.refine": "off", "keyframe.parallax": 0.05}
        sequences.append((f"rendered room {text}", walk, exact))
    if arguments.data is not None:
        reader = open_reader(arguments.data)
        first, last = (int(part) for part in arguments.frames.split(":"))
        cut = FrameSlice(reader, first, min(last, len(reader)))
        sequences.append((f"{arguments.data.name} {arguments.frames}", cut, {}))
    for name, sequence, more in sequences:
        corrected, predicted = run(sequence, more | values)
        tell(f"{name}, corrected by motion", corrected, arguments.bins)
        tell(f"{name}, as the source gives it", predicted, arguments.bins)
    print(machine_line(str(CPU)))


if __name__ == "__main__":
    main()
