"""Kidnapped, standing still, turning alone: what the tracker does in rendered rooms.

    python bench/recovery.py --seeds 3 --json figures.json

* kidnapped: 6 s in one room, 2 s of black, 2 s in another room, and the first room again. Images
  until the tracker says that it is lost, seconds until it has found itself again, the error of its
  poses from then on, and whether the surfel map changed meanwhile.
* standing still: 60 s at 4 images a second with the noise of a sensor.
* turning alone: 8 s about the camera's centre, 50 degrees to both sides.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.simulation.camera_pose import look_along
from e2e_slam_ros.simulation.reader import ProceduralReader
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState

SIZE = (320, 240)
RATE_HZ = 10.0
_KNOWN, _BLACK, _ELSEWHERE, _BACK_FROM = 60, 20, 20, 30


def main() -> None:
    """Run each scene for every seed and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows: list[dict[str, object]] = []
    for seed in range(options.seeds):
        for scene in (kidnapped, standing_still, turning):
            rows.append({"scene": scene.__name__, "seed": seed, **scene(seed)})
            print(json.dumps(rows[-1]), flush=True)
    if options.json:
        record = {"machine": machine_line("cpu"), "rows": rows}
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def kidnapped(seed: int) -> dict[str, object]:
    """Return how long it took to be lost and to be found, and what the map did meanwhile."""
    room = ProceduralReader(seed, _KNOWN, *SIZE, rate_hz=RATE_HZ)
    other = ProceduralReader(seed + 100, _ELSEWHERE, *SIZE, rate_hz=RATE_HZ)
    known = [room[i] for i in range(_KNOWN)]
    dark = [replace(known[0], image=np.zeros_like(known[0].image))] * _BLACK
    system = _system()
    began = known[0].stamp_ns
    before = _run(system, known, began)
    surfels, state = len(system.surfels), system.surfels.state_hash()
    away = _run(system, [*dark, *other], began + _ns(_KNOWN))
    unharmed = surfels == len(system.surfels) and state == system.surfels.state_hash()
    back = known[_BACK_FROM:]
    found = _run(system, back, began + _ns(_KNOWN + _BLACK + _ELSEWHERE))
    lost = [answer.state is TrackingState.LOST for answer in away]
    poses = [answer.T_map_camera is not None for answer in found]
    errors = [
        np.linalg.norm(answer.T_map_camera[:3, 3] - same.T_map_camera[:3, 3])
        for answer, same in zip(found, before[_BACK_FROM:], strict=True)
        if answer.T_map_camera is not None and same.T_map_camera is not None
    ]
    return {
        "frames_until_lost": lost.index(True) if any(lost) else None,
        "lost_throughout": all(lost[2:]),
        "seconds_until_found": poses.index(True) / RATE_HZ if any(poses) else None,
        "tracked_afterwards": float(np.mean(poses)),
        "largest_error_m": round(float(max(errors)), 4) if errors else None,
        "map_unharmed": unharmed,
    }


def standing_still(seed: int) -> dict[str, object]:
    """Return drift and growth of a camera that stands for a minute."""
    room = ProceduralReader(seed, 1, *SIZE)
    generator, one = np.random.default_rng(seed), room[0]
    frames = [
        replace(
            one,
            image=np.clip(one.image + generator.normal(0.0, 2.0, one.image.shape), 0, 255).astype(
                np.uint8
            ),
        )
        for _ in range(240)
    ]
    system = _system()
    answers = _run(system, frames, one.stamp_ns, 4.0)
    assert system.tracking is not None
    places = [a.T_map_camera[:3, 3] for a in answers if a.T_map_camera is not None]
    return {
        "tracked": len(places) / len(frames),
        "keyframes": sum(answer.keyframe is not None for answer in answers),
        "end_mm": round(1e3 * float(np.linalg.norm(places[-1] - places[0])), 2),
        "largest_mm": round(1e3 * max(float(np.linalg.norm(p - places[0])) for p in places), 2),
    }


def turning(seed: int) -> dict[str, object]:
    """Return the translation invented for a camera that only turns."""
    still = ProceduralReader(seed, 1, *SIZE)
    count = int(8.0 * RATE_HZ)
    time = torch.arange(count, dtype=torch.float64) / count
    position = still.T_map_camera[:1, :3, 3].expand(count, 3)
    forward = still.T_map_camera[0, :3, 2]
    yaw = math.atan2(float(forward[1]), float(forward[0]))
    swing = math.radians(50.0) * torch.sin(2 * math.pi * time)
    tilt = 0.15 * torch.sin(6 * math.pi * time) - 0.1
    path = look_along(position, yaw + swing, tilt, torch.zeros_like(time))
    room = ProceduralReader(seed, count, *SIZE, rate_hz=RATE_HZ, walk=(still.scene, path))
    frames = [room[i] for i in range(count)]
    answers = _run(_system(), frames, frames[0].stamp_ns)
    poses = [answer.T_map_camera for answer in answers]
    known = [i for i, pose in enumerate(poses) if pose is not None]
    moved, turned = [0.0], [0.0]
    for i in known:
        T = rigid.inverse(np.asarray(poses[known[0]])) @ np.asarray(poses[i])
        true = rigid.inverse(path[known[0]].numpy()) @ path[i].numpy()
        moved.append(float(np.linalg.norm(T[:3, 3])))
        turned.append(rigid.angle_deg(rigid.inverse(true) @ T))
    return {
        "tracked": float(np.mean([answer.T_map_camera is not None for answer in answers])),
        "largest_translation_mm": round(1e3 * max(moved), 1),
        "largest_turn_error_deg": round(max(turned), 2),
    }


def _system() -> SlamPipeline:
    values = {"pose.source": "visual", "runtime.offline": True}
    return SlamPipeline(Config().with_values(values), torch.device("cpu"))


def _ns(frames: int, rate_hz: float = RATE_HZ) -> int:
    return round(frames * 1e9 / rate_hz)


def _run(
    system: SlamPipeline, frames: list[Frame], start_ns: int, rate_hz: float = RATE_HZ
) -> list[TrackedPose]:
    """Track and map frames from a stamp on, as the node does."""
    assert system.tracking is not None
    answers = []
    for i, frame in enumerate(frames):
        bare = replace(frame, stamp_ns=start_ns + _ns(i, rate_hz), T_map_camera=None)
        answers.append(system.tracking.track(bare))
        pose = answers[-1].T_map_camera
        if pose is not None:
            located = replace(bare, T_map_camera=pose)
            decision = system.choose_keyframe(located, answers[-1].keyframe is not None)
            if decision.is_keyframe:
                system.map_keyframe(located, decision)
    return answers


if __name__ == "__main__":
    main()
