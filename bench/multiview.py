"""Depth of several images with known poses: every source on the same keyframes.

    python bench/multiview.py --data ../shared/data/hololens/rooms_000 --frames 0:250 --every 5
    python bench/multiview.py --rooms 90100 90101 --pictures out/rooms.png
    python bench/multiview.py --cost

Every frame is a keyframe; the frames before it are its neighbours. No depth is scaled by ground
truth. Rows: one image (the package's network), one image scaled and corrected by motion
(refine.steps=0), motion stereo, DRO after 0, 4, 8 and 12 updates, DRO that starts from the image's
depth in the scale of motion stereo alone, motion stereo completed by DRO, the mean of both (what
depth.source: dro gives), and DeepV2D where ``--set depth.deepv2d.checkpoint`` or the package has
weights. Columns: abs_rel over all pixels of the sensor, and over those that motion stereo answers;
the share of the sensor's pixels that got a depth; process time of a keyframe (DRO's without the
motion stereo and the image's depth that it starts from).

With ``--two-view``: DRO on a keyframe and the one before it, whose pose is unknown.
``--cost`` measures time and memory for numbers of updates and views, each in a new process.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision, RawDepth
from e2e_slam_ros.data.keyframes import Keyframes, MappedKeyframe
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import parse_frames
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics, depth_metrics
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.evaluation.trajectory.motion_errors import motion_errors
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.multiview.dro.guide import depth_guide
from e2e_slam_ros.multiview.dro.network import DroNetwork
from e2e_slam_ros.multiview.dro.shape import LIGHT, shape_of
from e2e_slam_ros.multiview.dro.source import SHIPPED_POSES, DroDepth
from e2e_slam_ros.multiview.dro.views import DepthGuide, DroViews
from e2e_slam_ros.multiview.motion_stereo import MotionStereoDepth
from e2e_slam_ros.refine.depth_stage import DepthStage
from e2e_slam_ros.simulation import ProceduralReader
from e2e_slam_ros.slam.depth_sources import build_depth_source
from e2e_slam_ros.slam.preprocess import Preprocessor

CPU = torch.device("cpu")
ITERATIONS = (0, 4, 8, 12)
_FIGURES = ("abs_rel", "rmse", "delta_1")
# Motion of a rendered walk: about 15 cm between frames.
_ROOM_FRAMES, _ROOM_HZ = 24, 3.0
# A picture shows depth by its logarithm: 0.5 m white, 8 m black.
_NEAR_M, _FAR_M = 0.5, 8.0
_SHOWN = (
    "one image",
    "one image, corrected",
    "motion stereo",
    "DRO, 8 updates",
    "mean of motion stereo and DRO",
    "DeepV2D",
)


class Sources:
    """Every source that can be built, with one memory of keyframes."""

    def __init__(self, config: Config) -> None:
        self._config = config.with_values({"depth.source": "network", "refine.steps": 0})
        self._single = NetworkDepth(config.depth, CPU)
        self._stage = DepthStage(self._config, self._single, CPU)
        self._stereo = MotionStereoDepth(config.depth, CPU)
        self.dro = DroDepth(config.with_values({"depth.dro.iterations": 12}).depth, CPU)
        alone = {"depth.dro.iterations": 12, "depth.dro.start": "single"}
        self._from_image = DroDepth(config.with_values(alone).depth, CPU)
        # The stage that depth.source: dro returns.
        self._chosen = min(config.depth.dro.iterations, 12) // 4
        self._deepv2d = _deepv2d(config)
        self.memory = Keyframes(2 * config.depth.motion.neighbours)
        self.seconds: dict[str, list[float]] = {}

    def answers(self, keyframe: Keyframe, measured: bool) -> dict[str, torch.Tensor]:
        """Return (1, 1, H, W) metres by the source's name, and remember the keyframe."""
        found: dict[str, torch.Tensor] = {}
        if not measured:
            self.memory.add(MappedKeyframe(keyframe))
            return found
        raw = self._timed("one image", lambda: self._single.estimate(keyframe, self.memory))
        found["one image"] = raw.depth
        metric = self._timed("one image, corrected", lambda: self._corrected(keyframe, raw))
        if metric is not None:
            found["one image, corrected"] = metric
        stereo = self._timed("motion stereo", lambda: self._stereo.estimate(keyframe, self.memory))
        found["motion stereo"] = stereo.depth
        near = self.dro.neighbours(keyframe, self.memory)
        if near:
            name = f"DRO, {ITERATIONS[-1]} updates"
            depths, _ = self._timed(name, lambda: self.dro.refine(keyframe, near, stereo))
            names = [f"DRO, {number} updates" for number in ITERATIONS]
            found |= dict(zip(names, depths, strict=True))
            depths_alone, _ = self._from_image.refine(keyframe, near, stereo)
            names = [f"DRO from one image, {number} updates" for number in ITERATIONS]
            found |= dict(zip(names, depths_alone, strict=True))
            chosen = depths[self._chosen]
            found["motion stereo, completed by DRO"] = torch.where(
                stereo.depth > 0, stereo.depth, chosen
            )
            found["mean of motion stereo and DRO"] = self.dro.mixed(chosen, stereo)
        if (deepv2d := self._deepv2d) is not None:
            answer = self._timed("DeepV2D", lambda: deepv2d.estimate(keyframe, self.memory))
            found["DeepV2D"] = answer.depth
        self.memory.add(MappedKeyframe(keyframe))
        return found

    def _corrected(self, keyframe: Keyframe, raw: RawDepth) -> torch.Tensor | None:
        try:
            metric = self._stage(keyframe, raw, self.memory, self._config.refine)
        except DepthError:
            return None
        self._stage.keep(metric)
        return metric.unrefined.depth

    def _timed(self, name: str, call: Callable[[], Any]) -> Any:
        began = time.process_time()
        result = call()
        self.seconds.setdefault(name, []).append(time.process_time() - began)
        return result


def _deepv2d(config: Config) -> DepthSource | None:
    """Return DeepV2D as a depth source, or None where its weights cannot be used."""
    try:
        return build_depth_source(config.with_values({"depth.source": "deepv2d"}), CPU)
    except DepthError:
        return None


def compare(
    frames: Iterator[tuple[bool, Keyframe]], sources: Sources, config: Config
) -> tuple[dict[str, dict[str, float]], list[list[torch.Tensor]]]:
    """Return mean figures by source, and rows of depth images for pictures."""
    rows: dict[str, list[dict[str, float]]] = {}
    pictures: list[list[torch.Tensor]] = []
    low, high = config.depth.min_m, config.depth.max_m
    for measured, keyframe in frames:
        keyframe = replace(keyframe, index=sources.memory.next_index)
        with torch.inference_mode():
            found = sources.answers(keyframe, measured)
        truth = keyframe.sensor_depth
        if not found or truth is None:
            continue
        answered = found["motion stereo"] > 0
        if not bool((answered & (truth > low) & (truth < high)).any()):
            continue
        for name, depth in found.items():
            every = depth_metrics(depth, truth, low, high)
            seen = depth_metrics(depth, truth * answered, low, high)
            if every is None or seen is None:
                continue
            rows.setdefault(name, []).append(_row(every, seen, truth, low, high))
        shown = [found[name] for name in _SHOWN if name in found]
        pictures.append([keyframe.image, truth, *shown])
    means = {
        name: {key: float(np.mean([row[key] for row in some])) for key in some[0]}
        for name, some in rows.items()
    }
    for name, mean in means.items():
        mean["keyframes"] = len(rows[name])
        if name in sources.seconds:
            mean["cpu_ms"] = 1e3 * float(np.median(sources.seconds[name]))
    return means, pictures


def _row(
    every: DepthMetrics, seen: DepthMetrics, truth: torch.Tensor, low: float, high: float
) -> dict[str, float]:
    inside = int(((truth > low) & (truth < high)).sum())
    row = {f"all.{name}": float(getattr(every, name)) for name in _FIGURES}
    row |= {f"answered.{name}": float(getattr(seen, name)) for name in _FIGURES}
    return row | {"share": every.pixels / max(inside, 1)}


def two_view(
    frames: Iterator[tuple[bool, Keyframe]], dro: DroDepth
) -> dict[str, dict[str, float]]:
    """Return errors by the number of updates for pairs whose pose is unknown.

    The start is the single image's depth. Depth is compared after its median was scaled.
    """
    single = NetworkDepth(Config().depth, CPU)
    rows: dict[int, list[list[float]]] = {number: [] for number in ITERATIONS}
    before: Keyframe | None = None
    for measured, keyframe in frames:
        truth = keyframe.sensor_depth
        if before is not None and measured and truth is not None:
            T = se3.inverse(before.T_map_camera) @ keyframe.T_map_camera
            with torch.inference_mode():
                views = dro.views([keyframe, before])
                depth = single.predict(views.image[:, 0], views.intrinsics[:, 0])
                guide, _ = depth_guide(depth, depth, torch.zeros_like(depth))
                stages = dro.optimiser(views, ITERATIONS[-1], None, guide)
            for number, stage in zip(ITERATIONS, stages, strict=True):
                errors = _pair_errors(stage.depth, stage.T_i_0[0, 0].double(), truth, T)
                if errors is not None:
                    rows[number].append(errors)
        before = keyframe
    names = ("abs_rel_scaled", "rotation_deg", "direction_deg", "translation_cm")
    return {
        f"{number} updates": dict(
            zip(names, np.mean(values, axis=0).round(4).tolist(), strict=True)
        )
        for number, values in rows.items()
        if values
    }


def _pair_errors(
    depth: torch.Tensor, found: torch.Tensor, truth: torch.Tensor, T: torch.Tensor
) -> list[float] | None:
    large = torch.nn.functional.interpolate(depth, truth.shape[-2:], mode="bilinear")
    metrics = depth_metrics(large, truth, 0.1, 8.0, median_scale=True)
    if metrics is None:
        return None
    shift_cm = 100.0 * float((found[:3, 3] - T[:3, 3]).norm())
    return [metrics.abs_rel, *motion_errors(found, T), shift_cm]


def keyframes_of(
    frames: Sequence[Frame] | Any, chosen: range, every: int, config: Config
) -> Iterator[tuple[bool, Keyframe]]:
    """Yield whether a frame is measured, and the frame as a keyframe."""
    prepare = Preprocessor(config.camera, CPU)
    for index in chosen:
        frame = frames[index]
        if frame.T_map_camera is None:
            continue
        working = prepare(frame)
        keyframe = Keyframe(
            index=index,
            frame_index=index,
            stamp_ns=frame.stamp_ns,
            image=working.image,
            camera=working.camera,
            T_map_camera=torch.tensor(frame.T_map_camera),
            sensor_depth=None if working.depth is None else working.depth.float(),
            decision=KeyframeDecision(True, "benchmark"),
        )
        yield (index - chosen.start) % every == every - 1, keyframe


def sequences(options: argparse.Namespace, config: Config) -> Iterator[Iterator[Any]]:
    """Yield the keyframes of each sequence: a recording, or rendered rooms."""
    if options.data:
        reader = open_reader(Path(options.data))
        start, stop = parse_frames(options.frames)
        chosen = range(start or 0, min(stop or len(reader), len(reader)))
        yield keyframes_of(reader, chosen, options.every, config)
    for seed in options.rooms:
        room = ProceduralReader(seed, _ROOM_FRAMES, 320, 240, rate_hz=_ROOM_HZ)
        yield keyframes_of(room, range(_ROOM_FRAMES), options.every, config)


def draw(pictures: list[list[torch.Tensor]], path: Path, rows: int) -> None:
    """Write a sheet: image, truth and some of the sources, for evenly chosen keyframes."""
    chosen = np.linspace(0, len(pictures) - 1, min(rows, len(pictures))).round().astype(int)
    lines = []
    for number in dict.fromkeys(chosen.tolist()):
        image, *depths = pictures[number]
        lines.append(torch.cat([image, *(_grey(depth) for depth in depths)], 3))
    sheet = torch.cat(lines, 2)[0].clamp(0, 1).mul(255).byte().permute(1, 2, 0).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)


def _grey(depth: torch.Tensor) -> torch.Tensor:
    """Return (1, 3, H, W): near is white, far and unknown black."""
    span = _FAR_M / _NEAR_M
    shade = 1.0 - (depth / _NEAR_M).clamp(1.0, span).log() / np.log(span)
    return torch.where(depth > 0, shade, 0.0).expand(1, 3, -1, -1)


def cost_row(iterations: int, count: int, shape: str) -> dict[str, float]:
    """Return process time and resident memory of one forward pass, after a first one."""
    network = DroNetwork(shape_of(shape)).eval()
    k = torch.tensor([[170.0, 0, 95.5], [0, 170.0, 71.5], [0, 0, 1]])
    views = DroViews(torch.rand(1, count, 3, 144, 192), k.expand(1, count, 3, 3))
    T = torch.eye(4).repeat(1, count - 1, 1, 1)
    T[..., 0, 3] = 0.1
    one = torch.full((1, 1, 144, 192), 2.0)
    guide = DepthGuide(one, one, one, one) if network.shape.guided else None
    times = []
    with torch.inference_mode():
        for _ in range(4):
            began = time.process_time()
            network(views, iterations, T, guide)
            times.append(time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_ms": 1e3 * min(times), "peak_mb": peak}


def cost_table() -> None:
    """Print time and memory of each size, measured in a process of its own."""
    for shape in ("light", "paper"):
        for count in (2, 5):
            for number in ITERATIONS:
                words = [sys.executable, __file__, "--cost-row", str(number), str(count), shape]
                out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
                print(shape, f"{count} views, {number} updates:", out.strip(), flush=True)


def main() -> None:
    """Run the comparison and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="a recording with depth and poses")
    parser.add_argument("--frames", default=":")
    parser.add_argument("--rooms", type=int, nargs="*", default=[], help="seeds of rendered rooms")
    parser.add_argument("--every", type=int, default=1, help="measure each Nth keyframe")
    parser.add_argument("--two-view", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--picture-rows", type=int, default=4)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--cost-row", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.cost_row:
        iterations, count, shape = options.cost_row
        print(json.dumps(cost_row(int(iterations), int(count), shape)))
        return
    if options.cost:
        cost_table()
        return
    config = Config().with_assignments(options.assignments)
    found: list[dict[str, dict[str, float]]] = []
    pictures: list[list[torch.Tensor]] = []
    for frames in sequences(options, config):
        if options.two_view:
            found.append(two_view(frames, DroDepth(config.depth, CPU, SHIPPED_POSES)))
            continue
        means, drawn = compare(frames, Sources(config), config)
        found.append(means)
        pictures += drawn
    means = _over_sequences(found)
    for name, row in means.items():
        print(f"{name:34s}", " ".join(f"{key} {value:.3f}" for key, value in row.items()))
    print(machine_line("cpu"), f"· {options.threads} threads · DRO {LIGHT.encoder}")
    if options.pictures and pictures:
        draw(pictures, options.pictures, options.picture_rows)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(means, indent=1) + "\n")


def _over_sequences(found: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return the means over sequences; one counts as much as another."""
    names = dict.fromkeys(name for means in found for name in means)
    return {
        name: {
            key: float(np.mean([means[name][key] for means in found if name in means]))
            for key in next(means[name] for means in found if name in means)
        }
        for name in names
    }


if __name__ == "__main__":
    main()
