#!/usr/bin/env python3
"""Rendering speed of procedural rooms: images per second, and seconds per new room.

    python bench/bench_procedural.py [--device cuda] [--json FILE]

Rooms and paths are made beforehand; a figure is the median over rooms of clean views of
consecutive frames, then the reader's frames with noise as `make demo` gets them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from e2e_slam_ros.config.device import resolve_device
from e2e_slam_ros.simulation import ProceduralReader, Renderer, generate_scene, smooth_trajectory
from e2e_slam_ros.simulation.scene import Scene

sys.path.insert(0, str(Path(__file__).resolve().parent))
from e2e_slam_ros.evaluation.machine import machine_line  # noqa: E402

_ROOMS = 4


def timed(call: Callable[[], object], device: torch.device) -> float:
    """Return the wall seconds of a call, the device's queue included."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def images_per_second(
    scenes: list[Scene], width: int, height: int, batch: int, device: torch.device
) -> float:
    """Return the median over rooms of clean views per second."""
    focal = 0.8 * width
    k = torch.tensor([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    rates = []
    for seed, scene in enumerate(scenes):
        renderer = Renderer([scene])
        path = smooth_trajectory(scene, 3 * batch, rate_hz=10.0, seed=seed)
        poses = path.to(device).split(batch)
        renderer(poses[0], k, height, width)  # warms caches and allocators up
        for part in poses[1:]:
            draw = partial(renderer, part, k, height, width)
            rates.append(batch / timed(draw, device))
    return statistics.median(rates)


def main() -> int:
    """Print the table and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    device = resolve_device(options.device)
    batch = 4 if device.type == "cpu" else 64

    scenes: list[Scene] = []
    seconds = []
    for seed in range(_ROOMS):
        make = partial(generate_scene, seed, device)
        seconds.append(timed(lambda make=make: scenes.append(make()), device))
    figures = {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "batch": batch,
        "primitives_per_room": statistics.mean(len(scene) for scene in scenes),
        "seconds_per_room": statistics.median(seconds),
        "images_per_s_320x240": images_per_second(scenes, 320, 240, batch, device),
        "images_per_s_640x480": images_per_second(scenes, 640, 480, batch, device),
    }
    reader = ProceduralReader(0, frames=8, device=device)
    figures["reader_frames_per_s_640x480"] = 8 / timed(lambda: list(reader), device)
    for name, value in figures.items():
        print(f"{name:30s} {value if isinstance(value, str) else format(value, '.3g')}")
    print(machine_line("cpu"))
    if options.json:
        options.json.write_text(
            json.dumps(figures | {"machine": machine_line("cpu")}, indent=2) + "\n"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
