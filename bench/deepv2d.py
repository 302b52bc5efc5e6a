"""DeepV2D: what it costs, and how it compares with motion stereo.

    python bench/deepv2d.py cost
    python bench/deepv2d.py rooms --clips 48
    python bench/deepv2d.py motion
    python bench/deepv2d.py frames --data <rooms_000> --frames 0:250

``cost``: forward time (CPU seconds) and peak memory at 320x240 of both architectures with 2 and 5
views; each case runs in a process of its own. ``rooms``: rendered rooms that were not trained on.
``motion``: poses from true depth in the same rooms. ``frames``: a recording with poses and depth;
every frame against those before it.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from map import Keyframes as Frames

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.data.keyframes import Keyframes, MappedKeyframe
from e2e_slam_ros.data.slice import parse_frames
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.evaluation.depth.metrics import depth_metrics, mean_depth_metrics
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.multiview.deepv2d.architecture import ARCHITECTURES
from e2e_slam_ros.multiview.deepv2d.deepv2d import DeepV2D, quarter_depth
from e2e_slam_ros.multiview.deepv2d.depth_module import quarter_intrinsics
from e2e_slam_ros.multiview.deepv2d.gauss_newton import keyframe_pairs
from e2e_slam_ros.multiview.deepv2d.source import SHIPPED
from e2e_slam_ros.multiview.deepv2d.weights import load_deepv2d
from e2e_slam_ros.multiview.motion_stereo import MotionStereoDepth
from e2e_slam_ros.slam.depth_sources import build_depth_source
from e2e_slam_ros.training.deepv2d.clip_batch import ClipBatch
from e2e_slam_ros.training.deepv2d.config import DeepV2DTrainConfig
from e2e_slam_ros.training.deepv2d.validation import ClipValidation, pose_errors

CPU = torch.device("cpu")
NEAR_M, FAR_M = 0.2, 10.0


def cost(_: argparse.Namespace) -> None:
    """Print a line for each case."""
    for name in ARCHITECTURES:
        for views in (2, 5):
            command = [sys.executable, __file__, "case", "--weights", name, "--views", str(views)]
            print(
                subprocess.run(command, capture_output=True, text=True, check=True).stdout, end=""
            )


def case(options: argparse.Namespace) -> None:
    """Print time and memory of one architecture and number of views, one thread, 320x240."""
    torch.set_num_threads(1)
    network = DeepV2D(ARCHITECTURES[options.weights]).eval()
    images = torch.rand(1, options.views, 3, 240, 320)
    k = torch.tensor([[[260.0, 0.0, 159.5], [0.0, 260.0, 119.5], [0.0, 0.0, 1.0]]])
    poses = torch.eye(4).repeat(1, options.views, 1, 1)
    poses[0, :, 0, 3] = 0.1 * torch.arange(options.views)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = []
    with torch.inference_mode():
        for held in (True, False):
            began = time.process_time()
            network(images, k, 1, T_camera_map=poses, held=held)
            seconds.append(time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{options.weights}, {options.views} views: depth {seconds[0]:.2f} s, one turn of motion "
        f"and depth {seconds[1]:.2f} s, peak {peak:.0f} MB, {peak - before:.0f} above the start"
    )


def loaded(options: argparse.Namespace, clips: int) -> tuple[DeepV2D, ClipValidation]:
    """Return the network, and as many clips of rooms that were not trained on."""
    settings: dict[str, object] = {"clips.cache": options.cache, "validation.clips": clips}
    validation = ClipValidation(DeepV2DTrainConfig().with_values(settings))
    validation.clips.render_missing(progress=True)
    return load_deepv2d(options.weights or SHIPPED), validation


@torch.inference_mode()
def rooms(options: argparse.Namespace) -> None:
    """Print depth errors with 2, 3 and 5 views, and pose errors, on rendered rooms."""
    network, validation = loaded(options, options.clips)
    newest = validation.clips.config.frames - 1
    cases = {"2 views (the nearest)": [1], "2 views (the farthest)": [4], "3 views": [1, 2],
             "5 views": [1, 2, 3, 4]}  # fmt: skip
    for name, back in cases.items():
        held, stereo, covered = [], [], []
        for index in range(options.clips):
            clip = validation.clips.clip(index, [newest, *(newest - b for b in back)])
            found = network(
                clip.image, clip.intrinsics, 1, T_camera_map=clip.T_camera_map, held=True
            )
            held.append(depth_metrics(found.depth, clip.depth[:, 0], NEAR_M, FAR_M))
            swept = stereo_depth(clip)
            known = swept > 0
            truth = clip.depth[:, 0] * known
            stereo.append(depth_metrics(swept, truth, NEAR_M, FAR_M))
            covered.append(
                (depth_metrics(found.depth, truth, NEAR_M, FAR_M), known.float().mean())
            )
        share = float(torch.stack([part for _, part in covered]).mean())
        print(
            f"poses held, {name}: DeepV2D {line(held)}; on the {share:.0%} of the pixels that "
            f"motion stereo answers: DeepV2D {line([m for m, _ in covered])}, "
            f"motion stereo {line(stereo)}"
        )
    for views in (2, 5) if options.free else ():
        for turns in options.turns:
            depth, pose = [], []
            for index in range(min(options.clips, options.free)):
                clip = validation.clip(index, views)
                first = single_depth(clip) if options.initial == "network" else None
                found = network(clip.image, clip.intrinsics, turns, depth=first, motion_steps=2)
                truth = clip.depth[:, 0]
                depth.append(depth_metrics(found.depth, truth, NEAR_M, FAR_M, median_scale=True))
                pose.append(pose_errors(found.T_camera_map, clip.T_camera_map))
            turn, shift = torch.stack(pose).mean(0).tolist()
            print(
                f"poses free, {views} views, {turns} turns: median-scaled {line(depth)}, "
                f"{turn:.2f} degrees, {shift:.1f} cm"
            )


@torch.inference_mode()
def motion(options: argparse.Namespace) -> None:
    """Print pose errors over motion steps with true depth, two views of rendered rooms."""
    network, validation = loaded(options, options.free)
    size = torch.tensor([0.05] * 3 + [math.radians(1.5)] * 3)
    for name in ("5 cm and 1.5 degrees a coordinate off", "from the identity"):
        generator, errors = torch.Generator().manual_seed(0), []
        for index in range(options.free):
            clip = validation.clip(index, 2)
            truth = clip.T_camera_map
            poses = torch.eye(4).expand_as(truth)
            if "off" in name:
                twist = torch.randn(1, 2, 6, generator=generator) * size
                twist[:, 0] = 0.0
                poses = se3.exp(twist) @ truth
            features = network.motion_module.features(clip.image)
            depth = quarter_depth(clip.depth[:, 0], features.shape[-2:])
            k = quarter_intrinsics(clip.intrinsics)
            row = [pose_errors(poses, truth)]
            for _ in range(4):
                step = network.motion_module(features, depth, poses, k, keyframe_pairs(2))
                poses = step.T_camera_map
                row.append(pose_errors(poses, truth))
            errors.append(torch.stack(row))
        steps = torch.stack(errors).median(0).values.tolist()
        print(f"{name}, median over {len(errors)} clips, 0 to 4 steps:",
              ", ".join(f"{turn:.2f} deg {shift:.1f} cm" for turn, shift in steps))  # fmt: skip


def single_depth(clip: ClipBatch) -> torch.Tensor:
    """Return the depth (1, 1, H, W) of the package's single-image network."""
    return shipped().predict(clip.image[:, 0], clip.intrinsics)


@cache
def shipped() -> NetworkDepth:
    """Return the package's single-image network."""
    return NetworkDepth(Config().depth, CPU)


def stereo_depth(clip: ClipBatch) -> torch.Tensor:
    """Return motion stereo's depth (1, 1, H, W) of a clip's first frame; 0 unknown."""
    config = Config().with_values(
        {"depth.motion.min_baseline_m": 0.0, "depth.motion.width": 160, "depth.max_m": FAR_M}
    )
    memory = Keyframes(16)
    frames = [keyframe_of(clip, i) for i in range(clip.image.shape[1])]
    for number, frame in enumerate(reversed(frames)):
        frame = replace(frame, index=number)
        if number == len(frames) - 1:
            return MotionStereoDepth(config.depth, CPU).estimate(frame, memory).depth
        memory.add(MappedKeyframe(frame))
    raise SystemExit("no frames")


def keyframe_of(clip: ClipBatch, index: int) -> Keyframe:
    """Return a frame of a clip as a keyframe."""
    height, width = clip.image.shape[-2:]
    (fx, _, cx), (_, fy, cy), _ = clip.intrinsics[0].tolist()
    camera = PinholeCamera(width, height, fx, fy, cx, cy)
    pose = se3.inverse(clip.T_camera_map[0, index].double())
    decision = KeyframeDecision(True, "benchmark")
    return Keyframe(0, 0, 0, clip.image[:, index], camera, pose, None, decision)


@torch.inference_mode()
def frames(options: argparse.Namespace) -> None:
    """Print errors of DeepV2D and motion stereo on the same frames and pixels of a recording."""
    config = Config().with_assignments(
        [f"depth.deepv2d.checkpoint={options.weights}", "depth.deepv2d.min_confidence=0",
         "depth.deepv2d.motion_stereo=off", *options.assignments]
    )  # fmt: skip
    sources = {
        name: build_depth_source(config.with_values({"depth.source": name}), CPU)
        for name in ("motion_stereo", "deepv2d")
    }
    everywhere = config.with_values({"depth.motion.min_evidence": 0.0})
    sources["filled"] = build_depth_source(
        everywhere.with_values({"depth.source": "motion_stereo"}), CPU
    )
    data, memory = Frames(str(options.data), config.camera.working_width, CPU), Keyframes(16)
    start, stop = parse_frames(options.frames)
    rows: dict[str, list[object]] = {}
    for index in range(start or 0, min(stop or len(data), len(data))):
        loaded = data.load(index)
        if loaded is None:
            continue
        keyframe = replace(loaded[0], index=memory.next_index)
        if index % options.every == 0:
            truth = loaded[1].depth
            depth = {name: s.estimate(keyframe, memory).depth for name, s in sources.items()}
            known = depth["motion_stereo"] > 0
            filled = torch.where(known, depth["motion_stereo"], depth["deepv2d"])
            both = 0.5 * (depth["motion_stereo"].clamp_min(1e-3).log() + depth["deepv2d"].log())
            mixed = torch.where(known, both.exp(), depth["deepv2d"])
            for name, value, mask in (
                ("motion stereo, its pixels", depth["motion_stereo"], known),
                ("deepv2d, motion stereo's pixels", depth["deepv2d"], known),
                ("geometric mean, motion stereo's pixels", mixed, known),
                ("deepv2d, other pixels", depth["deepv2d"], ~known),
                ("motion stereo filled by itself, all pixels", depth["filled"], known | True),
                ("deepv2d, all pixels", depth["deepv2d"], known | True),
                ("motion stereo filled by deepv2d, all pixels", filled, known | True),
                ("geometric mean filled by deepv2d, all pixels", mixed, known | True),
            ):
                metrics = depth_metrics(
                    value, truth * mask, config.depth.min_m, config.depth.max_m
                )
                rows.setdefault(name, []).append(metrics)
            rows.setdefault("share", []).append(
                float((known & (truth > 0)).sum() / (truth > 0).sum().clamp_min(1))
            )
        memory.add(MappedKeyframe(keyframe))
    shares = [share for share in rows.pop("share", []) if isinstance(share, float)]
    found = {name: line(values) for name, values in rows.items()}
    print(
        json.dumps({"frames": len(shares), "share": sum(shares) / len(shares), **found}, indent=1)
    )


def line(metrics: list[object]) -> str:
    """Return the mean abs_rel and share of good pixels in words."""
    mean = mean_depth_metrics(metrics)  # type: ignore[arg-type]
    return "none" if mean is None else f"abs_rel {mean.abs_rel:.3f} (delta_1 {mean.delta_1:.3f})"


def main() -> None:
    """Run a subcommand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("cost", "case", "rooms", "motion", "frames"))
    parser.add_argument("--weights", default="", help="default: those of the package")
    parser.add_argument("--views", type=int, default=2)
    parser.add_argument("--cache", default="", help="folder of rendered clips")
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--free", type=int, default=24, help="clips without poses")
    parser.add_argument("--initial", choices=("constant", "network"), default="constant")
    parser.add_argument("--turns", type=int, nargs="+", default=[0, 1, 3, 8])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--frames", default="0:250")
    parser.add_argument("--every", type=int, default=6)
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tasks = {"cost": cost, "case": case, "rooms": rooms, "motion": motion, "frames": frames}
    tasks[options.what](options)


if __name__ == "__main__":
    main()
