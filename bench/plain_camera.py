"""Map and depth from the images of one camera, with poses from the images and with recorded ones.

    python bench/plain_camera.py --data ../shared/data/hololens/rooms_000 --frames 250:373

The whole system runs in lock-step: the shipped network, correction by motion, looking back,
fusion. Measured depth and recorded poses are only compared with. What tracking gives is aligned
with the recorded poses by one similarity; with recorded poses nothing is aligned. Depth errors
are over every pixel with a measured depth: as mapped at first, and after looking back.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass, replace
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
from e2e_slam_ros.evaluation.run.map_quality import MapQuality, MeasuredView, map_quality
from e2e_slam_ros.evaluation.run.measured_views import moved_cloud
from e2e_slam_ros.evaluation.trajectory.alignment import umeyama
from e2e_slam_ros.geometry.resize import resize_depth
from e2e_slam_ros.mapping.ply import write_ply
from e2e_slam_ros.slam.pipeline import SlamPipeline

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Figures:
    """One run; lengths in metres, unaligned with recorded poses."""

    poses: str
    tracked: float
    keyframes: int
    scale: float
    ate_m: float
    abs_rel: float
    abs_rel_looked_back: float
    f_score_5: float
    f_score_10: float
    map: MapQuality


def run(reader: FrameReader, config: Config, poses: str, ply: Path | None) -> Figures:
    """Map a sequence and compare."""
    system = SlamPipeline(config, CPU)
    truths: list[tuple[torch.Tensor, torch.Tensor]] = []
    later: dict[int, torch.Tensor] = {}
    views, centres, true_centres = [], [], []
    for frame in map(reader.__getitem__, range(len(reader))):
        if frame.T_map_camera is None:
            continue
        if frame.depth is not None:
            views.append(MeasuredView(frame.depth, frame.camera, frame.T_map_camera))
        image = replace(frame, depth=None)
        finder, wanted = system.tracking or system.refinement, False
        if finder is not None:
            tracked = finder.track(image)
            if tracked.T_map_camera is None:
                continue
            image = replace(image, T_map_camera=tracked.T_map_camera)
            wanted = finder.needs_mapping and tracked.keyframe is not None
        assert image.T_map_camera is not None
        true_centres.append(frame.T_map_camera[:3, 3])
        centres.append((image.stamp_ns, image))
        try:
            decision = system.choose_keyframe(image, wanted)
            if not decision.is_keyframe:
                continue
            result = system.map_keyframe(image, decision)
        except E2ESlamError as problem:
            print("refused:", str(problem)[:120])
            continue
        depth = result.estimate.depth
        truth = torch.zeros_like(depth)
        if frame.depth is not None:
            measured = torch.from_numpy(np.ascontiguousarray(frame.depth)).float()[None, None]
            truth = resize_depth(measured, depth.shape[-1], depth.shape[-2])
        truths.append((depth, truth))
        later[result.keyframe.index] = depth
        if result.revision is not None:
            later[result.revision.keyframe.index] = result.revision.estimate.depth
    estimated = np.stack([_final(system, image) for _, image in centres])
    true = np.stack(true_centres)
    motion = umeyama(estimated, true, with_scale=True)
    given = system.tracking is None
    scale = 1.0 if given else motion.scale
    ate = float(np.sqrt(np.square(motion.apply(estimated) - true).sum(1).mean()))
    cloud = system.surfels.snapshot()
    aligned = cloud if given else moved_cloud(cloud, motion)
    if ply is not None:
        write_ply(ply, aligned)
    quality = map_quality(aligned, views)
    assert quality is not None
    at_once = [_abs_rel(depth * scale, truth) for depth, truth in truths]
    after = [
        _abs_rel(depth * scale, truth)
        for depth, (_, truth) in zip(later.values(), truths, strict=True)
    ]
    return Figures(
        poses,
        len(estimated) / len(reader),
        len(truths),
        motion.scale,
        ate,
        float(np.nanmean(at_once)),
        float(np.nanmean(after)),
        quality.f_score_5,
        quality.f_score_10,
        quality,
    )


def _final(system: SlamPipeline, image) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Return a frame's camera centre as the last adjustment left it."""
    finder = system.tracking or system.refinement
    pose = (image if finder is None else finder.refreshed(image)).T_map_camera
    return np.asarray(pose[:3, 3])


def _abs_rel(depth: torch.Tensor, truth: torch.Tensor) -> float:
    both = (truth > 0.1) & (truth < 8.0) & (depth > 0)
    return float(((depth - truth).abs() / truth)[both].mean()) if bool(both.any()) else np.nan


def main() -> None:
    """Run both and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--frames", default="0:100000")
    parser.add_argument("--poses", choices=("images", "recorded", "both"), default="both")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    first, last = (int(part) for part in arguments.frames.split(":"))
    reader = open_reader(arguments.data)
    reader = FrameSlice(reader, first, min(last, len(reader)))
    wanted = ("images", "recorded") if arguments.poses == "both" else (arguments.poses,)
    results = []
    for poses in wanted:
        values: dict[str, object] = {"depth.source": "network", "runtime.offline": True}
        values["pose.source"] = "visual" if poses == "images" else "topic"
        for text in arguments.set:
            name, value = text.split("=", 1)
            values[name] = json.loads(value) if value[:1] in "0123456789tf-" else value
        ply = None if arguments.out is None else arguments.out / f"{poses}.ply"
        figures = run(reader, Config().with_values(values), poses, ply)
        print(json.dumps(asdict(figures), indent=1), flush=True)
        results.append(figures)
    print(machine_line(CPU))
    if arguments.out is not None:
        file = arguments.out / "figures.json"
        file.write_text(json.dumps([asdict(figures) for figures in results], indent=1))


if __name__ == "__main__":
    main()
