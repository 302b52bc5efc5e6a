"""Memory at the bound on surfels, and growth under a standing camera.

    python bench/map_bounds.py --data ../shared/data/hololens/rooms_000

Fuses 500 keyframes (the sequence again and again, shifted by 100 m each time so that nothing
merges) into a map bounded to ``--max-surfels``, then one frame a hundred times into an empty map.
"""

from __future__ import annotations

import argparse

import torch
from map import Keyframes, resident_mb

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.mapping.surfel_map import SurfelMap

CPU = torch.device("cpu")


def shifted(keyframe: Keyframe, metres: float) -> Keyframe:
    """Return the keyframe at another place."""
    T_map_camera = keyframe.T_map_camera.clone()
    T_map_camera[0, 3] += metres
    return Keyframe(**{**keyframe.__dict__, "T_map_camera": T_map_camera})


def main() -> None:
    """Run both and print what they show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--max-surfels", type=int, default=500_000)
    parser.add_argument("--keyframes", type=int, default=500)
    options = parser.parse_args()
    keyframes = Keyframes(options.data, 320, CPU)
    target = SurfelMap(MapConfig(max_surfels=options.max_surfels), CPU)
    full, memory, largest = None, [], 0
    for number in range(options.keyframes):
        loaded = keyframes.load(number % len(keyframes))
        if loaded is None:
            continue
        lap = number // len(keyframes)
        target.fuse(shifted(loaded[0], 100.0 * lap), loaded[1])
        largest = max(largest, len(target))
        if full is None and len(target) >= 0.95 * options.max_surfels:
            full = number
        if full is not None and number % 20 == 0:
            memory.append(resident_mb())
    print(
        f"full after {full} keyframes; at most {largest} surfels; resident memory from then "
        f"{memory[0]:.0f} MB to {memory[-1]:.0f} MB at keyframe {options.keyframes}, "
        f"between {min(memory):.0f} and {max(memory):.0f} MB"
    )
    loaded = keyframes.load(100)
    assert loaded is not None
    for noise_m in (0.0, 0.002, 0.004):
        generator = torch.Generator().manual_seed(0)
        still = SurfelMap(MapConfig(), CPU)
        sizes = []
        for _ in range(100):
            depth = loaded[1].depth
            noise = noise_m * torch.randn(depth.shape, generator=generator)
            noisy = torch.where(depth > 0, depth + noise, 0.0)
            still.fuse(loaded[0], DepthEstimate(noisy, None, "sensor", "sensor"))
            sizes.append(len(still))
        print(
            f"one frame a hundred times, {noise_m * 1e3:.0f} mm of noise: "
            f"{sizes[0]} surfels after the first, {sizes[-1]} at the end"
        )
    print(machine_line("cpu"))


if __name__ == "__main__":
    main()
