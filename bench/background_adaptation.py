"""Raw depth of the network while it learns the room in the background, and after the walk.

    python bench/background_adaptation.py --rendered 9001:0.1 9003:0.3
    python bench/background_adaptation.py --data ../shared/data/hololens/rooms_000 --frames 250:373

The system runs in lock-step, once with the network as it is and once with `refine.strategy: auto`.
For each keyframe the raw prediction, with the weights and the memory of the room as they are when
it comes, is compared with true depth, unscaled. So is the network's own depth at the usual scale
of the keyframes before it ("usual"), and the depth that is fused at first. The last line of a
walk gives the change by learning: the second half must not be worse by more than 3 %.

`--rendered SEED:CONTRAST` walks through a rendered room whose textures have that share of their
contrast, with noise. `--data` plays a recording over recorded poses. `--again A:B` predicts other
frames of it with the last weights of both runs.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.geometry.resize import resize_depth
from e2e_slam_ros.simulation.generate import generate_scene
from e2e_slam_ros.simulation.reader import ProceduralReader
from e2e_slam_ros.simulation.trajectory import smooth_trajectory
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.result import KeyframeResult

CPU = torch.device("cpu")


# A walk must not become worse by more than this.
_WORSE = 0.03
# A keyframe whose fused depth has a larger error than this times the raw prediction's is worse.
_HARMED = 1.05


class PlainWalk:
    """A rendered walk through a room with faded textures, at 2.5 images a second."""

    def __init__(self, seed: int, contrast: float, frames: int) -> None:
        scene = generate_scene(seed, CPU, 256)
        mean = scene.textures.mean((1, 2), keepdim=True)
        scene = replace(scene, textures=mean + contrast * (scene.textures - mean))
        path = smooth_trajectory(scene, frames * 12, 30.0, seed, None)[::12]
        self._reader = ProceduralReader(
            seed=seed, width=320, height=240, rate_hz=3.0, walk=(scene, path), texture_size=256
        )

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, index: int) -> Frame:
        """Return a frame with noise of 2 grey values."""
        frame = self._reader[index]
        noise = np.random.default_rng(index).normal(0.0, 2.0, frame.image.shape)
        image = np.clip(np.round(frame.image + noise), 0, 255).astype(np.uint8)
        return replace(frame, image=image)


class Frames(Protocol):
    """A recording, as a run reads it."""

    def __len__(self) -> int:
        """Return the number of frames."""
        ...

    def __getitem__(self, index: int) -> Frame:
        """Return a frame."""
        ...


def mapped(system: SlamPipeline, reader: Frames) -> Iterator[tuple[np.ndarray, KeyframeResult]]:
    """Map a sequence without its depth; yield each keyframe's measured depth and result."""
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
        yield frame.depth, result


def run(reader: Frames, again: Frames | None, values: dict[str, object]) -> dict[str, float]:
    """Map a sequence; return mean abs_rel of both halves, and of other frames afterwards."""
    system = SlamPipeline(Config().with_values(values), CPU)
    raw, at_usual, fused, blends = [], [], [], []
    usual = 1.0
    for depth, result in mapped(system, reader):
        blends.append(system.learning.blend)
        truth = measured(depth, result.raw.depth)
        raw.append(abs_rel(result.raw.depth, truth))
        at_usual.append(abs_rel(usual * result.raw.without_room().depth, truth))
        fused.append(abs_rel(result.estimate.depth, truth))
        system.learning.take_over()  # as the next keyframe does: the usual scale follows
        usual = system.depth_stage.usual_factor
    half = len(raw) // 2
    if values["refine.strategy"] == "auto":
        shares = " ".join(f"{blend:g}" for blend in blends)
        print("share of the learned weights in use, by keyframe:", shares)
    figures = {
        "keyframes": float(len(raw)),
        "worse": float(sum(one > _HARMED * other for one, other in zip(fused, raw, strict=True))),
        "taken_over": float(system.learning.taken_over),
        "raw_first_half": float(np.nanmean(raw[:half])),
        "raw_second_half": float(np.nanmean(raw[half:])),
        "usual_first_half": float(np.nanmean(at_usual[:half])),
        "usual_second_half": float(np.nanmean(at_usual[half:])),
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
            raw_again = system.source.estimate(keyframe, later.keyframes)
            depth = system.learning.in_room(raw_again).depth
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
    parser.add_argument("--data", type=Path)
    parser.add_argument("--frames", default="0:100000")
    parser.add_argument("--again")
    parser.add_argument("--rendered", nargs="*", default=[], metavar="SEED:CONTRAST")
    parser.add_argument("--length", type=int, default=60, help="frames of a rendered walk")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    def cut(text: str) -> FrameReader:
        reader = open_reader(arguments.data)
        first, last = (int(part) for part in text.split(":"))
        return FrameSlice(reader, first, min(last, len(reader)))

    values: dict[str, object] = {"depth.source": "network", "runtime.offline": True}
    exact: dict[str, object] = {"pose.refine": "off", "keyframe.parallax": 0.05}
    for text in arguments.set:
        name, value = text.split("=", 1)
        values[name] = json.loads(value) if value[:1] in "0123456789tf-" else value
    for text in arguments.rendered:
        seed, contrast = text.split(":")
        walk = PlainWalk(int(seed), float(contrast), arguments.length)
        compare(f"rendered room {text}", walk, None, exact | values)
    if arguments.data is not None:
        again = None if arguments.again is None else cut(arguments.again)
        name = f"{arguments.data.name} {arguments.frames}"
        compare(name, cut(arguments.frames), again, values)
    print(machine_line(str(CPU)))


def compare(name: str, reader: Frames, again: Frames | None, values: dict[str, object]) -> None:
    """Run without and with learning, and print both and the change."""
    both = []
    for strategy in ("none", "auto"):
        figures = run(reader, again, values | {"refine.strategy": strategy})
        rounded = {key: round(value, 4) for key, value in figures.items()}
        print(name, strategy, json.dumps(rounded), flush=True)
        both.append(figures)
    never, learned = both
    change = {
        key: learned[key] / never[key] - 1.0
        for key in never
        if key not in ("keyframes", "worse", "taken_over")
    }
    worse = change["raw_second_half"] > _WORSE
    told = ", ".join(f"{key} {value:+.1%}" for key, value in change.items())
    print(f"{name}: {told}{'  <-- WORSE' if worse else ''}", flush=True)


if __name__ == "__main__":
    main()
