"""Raw depth of the network while it learns the room in the background, and after the walk.

    python bench/background_adaptation.py --data ../shared/data/hololens/rooms_000 --frames 250:373

The system runs in lock-step over recorded poses, once with the network as it is and once with
`refine.strategy: auto`. For each keyframe the raw prediction of the weights as they are when it
comes is compared with measured depth, unscaled; so is the depth that is fused at first.
`--again A:B` predicts other frames with the last weights of both runs.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.geometry.resize import resize_depth
from e2e_slam_ros.slam.pipeline import SlamPipeline

CPU = torch.device("cpu")


def run(
    reader: FrameReader, again: FrameReader | None, values: dict[str, object]
) -> dict[str, float]:
    """Map a sequence; return mean abs_rel of both halves, and of other frames afterwards."""
    system = SlamPipeline(Config().with_values(values), CPU)
    raw, fused = [], []
    for index in range(len(reader)):
        frame = reader[index]
        image = replace(frame, depth=None)
        if frame.T_map_camera is None or frame.depth is None:
            continue
        if system.refinement is not None:
            image = replace(image, T_map_camera=system.refinement.track(image).T_map_camera)
        try:
            decision = system.choose_keyframe(image)
            if not decision.is_keyframe:
                continue
            result = system.map_keyframe(image, decision)
        except E2ESlamError as problem:
            print("refused:", str(problem)[:120])
            continue
        truth = measured(frame.depth, result.raw.depth)
        raw.append(abs_rel(result.raw.depth, truth))
        fused.append(abs_rel(result.estimate.depth, truth))
    half = len(raw) // 2
    figures = {
        "keyframes": float(len(raw)),
        "taken_over": float(system.learning.taken_over),
        "raw_first_half": float(np.nanmean(raw[:half])),
        "raw_second_half": float(np.nanmean(raw[half:])),
        "fused_first_half": float(np.nanmean(fused[:half])),
        "fused_second_half": float(np.nanmean(fused[half:])),
    }
    if again is not None:
        later = SlamPipeline(Config().with_values(values), CPU, source=system.source)
        errors = []
        for index in range(0, len(again), 5):
            frame = again[index]
            if frame.depth is None:
                continue
            decision = later.choose_keyframe(frame, wanted=True)
            keyframe = later.remember_view(frame, decision)
            depth = system.source.estimate(keyframe, later.keyframes).depth
            errors.append(abs_rel(depth, measured(frame.depth, depth)))
        figures["again"] = float(np.nanmean(errors))
    system.close()
    return figures


def measured(depth: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """Return measured depth (1, 1, H, W) at the size of another depth image."""
    image = torch.from_numpy(np.ascontiguousarray(depth)).float()[None, None]
    return resize_depth(image, like.shape[-1], like.shape[-2])


def abs_rel(depth: torch.Tensor, truth: torch.Tensor) -> float:
    """Return the mean relative error over all pixels with a measured depth."""
    both = (truth > 0.1) & (truth < 8.0) & (depth > 0)
    return float(((depth - truth).abs() / truth)[both].mean()) if bool(both.any()) else np.nan


def main() -> None:
    """Run both and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--frames", default="0:100000")
    parser.add_argument("--again")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    def cut(text: str) -> FrameReader:
        reader = open_reader(arguments.data)
        first, last = (int(part) for part in text.split(":"))
        return FrameSlice(reader, first, min(last, len(reader)))

    values: dict[str, object] = {"depth.source": "network", "runtime.offline": True}
    for text in arguments.set:
        name, value = text.split("=", 1)
        values[name] = json.loads(value) if value[:1] in "0123456789tf-" else value
    again = None if arguments.again is None else cut(arguments.again)
    for strategy in ("none", "auto"):
        figures = run(cut(arguments.frames), again, values | {"refine.strategy": strategy})
        print(strategy, json.dumps({name: round(value, 4) for name, value in figures.items()}))
    print(machine_line(CPU))


if __name__ == "__main__":
    main()
