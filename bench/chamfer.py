"""Time of the Chamfer distance between surfaces, beside SciPy's k-d tree.

    python bench/chamfer.py --data ../shared/data/hololens/rooms_000

Clouds of ``--points`` points: two rendered planes, and two neighbouring frames of the recording
(sensor depth, recorded poses), as they are and with the first frame's depth 10 % too large.
Prints the loss alone, with its gradient, and SciPy's two searches on one and on all cores.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree

from e2e_slam_ros.config.device import resolve_device
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.losses.chamfer import chamfer, nearest
from e2e_slam_ros.losses.cloud import local_cloud

Pair = tuple[torch.Tensor, torch.Tensor]


def planes(points: int) -> Pair:
    """Two samples of a noisy 4 m x 4 m plane."""
    size = torch.tensor([4.0, 4.0, 0.02])
    return torch.rand(points, 3) * size, torch.rand(points, 3) * size


def recorded(data: Path, index: int, points: int, factor: float) -> Pair:
    """Frame ``index`` with its depth times ``factor``, and the next one, in the map frame."""
    reader = open_reader(data)
    clouds = []
    for number, scale in ((index, factor), (index + 1, 1.0)):
        frame = reader[number]
        depth = torch.from_numpy(np.asarray(frame.depth, dtype=np.float32))[None, None] * scale
        pose = torch.tensor(frame.T_map_camera)
        clouds.append(local_cloud(depth, frame.camera, pose, points))
    return clouds[0], clouds[1]


def milliseconds(work: Callable[[], object], runs: int, device: torch.device) -> list[float]:
    """Return median and fastest of ``runs`` calls, after three that warm up."""
    times = []
    for run in range(runs + 3):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if run >= 3:
            times.append(1e3 * (time.perf_counter() - start))
    return [round(float(np.median(times)), 1), round(min(times), 1)]


def measure(pair: Pair, runs: int, device: torch.device) -> dict[str, object]:
    """Return the row of one pair of clouds."""
    local, reference = (cloud.to(device) for cloud in pair)
    local.requires_grad_()

    def with_gradient() -> None:
        torch.autograd.grad(chamfer(local, reference), local)

    def loss_alone() -> None:
        with torch.no_grad():
            chamfer(local, reference)

    a, b = (cloud.detach().cpu().numpy() for cloud in pair)

    def scipy(workers: int) -> Callable[[], object]:
        return lambda: (cKDTree(b).query(a, workers=workers), cKDTree(a).query(b, workers=workers))

    truth = torch.from_numpy(cKDTree(b).query(a)[0])
    found = nearest(local.detach(), reference)
    gap = (local.detach() - reference[found]).norm(dim=1).cpu() - truth
    return {
        "points": [len(a), len(b)],
        "rms_m": round(float(truth.square().mean().sqrt()), 4),
        "loss_ms": milliseconds(loss_alone, runs, device),
        "loss_and_gradient_ms": milliseconds(with_gradient, runs, device),
        "scipy_1_core_ms": milliseconds(scipy(1), runs, device),
        "scipy_all_cores_ms": milliseconds(scipy(-1), runs, device),
        "largest_difference_m": float(gap.abs().max()),
    }


def main() -> None:
    """Measure and print; times are [median, fastest]."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--frame", type=int, default=100)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = resolve_device(options.device)
    pairs = {"planes": planes(options.points)}
    if options.data:
        for name, factor in (("frames", 1.0), ("frames, 10 % off", 1.1)):
            pairs[name] = recorded(options.data, options.frame, options.points, factor)
    rows = []
    for name, pair in pairs.items():
        rows.append({"clouds": name, **measure(pair, options.runs, device)})
        print(json.dumps(rows[-1]), flush=True)
    print(machine_line(str(device)))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
