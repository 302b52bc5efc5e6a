"""How good a map is, next to plain projective fusion of the same keyframes.

    python bench/map_quality.py --data ../shared/data/hololens/rooms_000 --frames 250:373

Even frames are fused (sensor depth, recorded poses), odd frames are held back. Reported:

* surfels;
* accuracy: share of surfels within 2 and 5 cm of a held-back point, of those surfels that a
  held-back frame could have measured (they project to a valid pixel and are not hidden);
* completeness: share of held-back points within 2 and 5 cm of a surfel;
* double walls: share of surfels with a second layer 3 to 15 cm behind, of similar normal.

The reference follows gradSLAM 0.1's rules (nearest surfel in the same pixel, 5 cm, 20 degrees,
nothing removed) and is written here for the comparison; its confidence uses our radial weight.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from map import Keyframes
from scipy.spatial import cKDTree

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.data.slice import parse_frames
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.geometry.projection import backproject
from e2e_slam_ros.mapping.association import project_surfels
from e2e_slam_ros.mapping.fusion import as_surfels, average, gather_evidence
from e2e_slam_ros.mapping.observation import observe
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.mapping.surfel_store import Surfels

CPU = torch.device("cpu")


class PlainFusion:
    """PointFusion without neighbourhood search, removal or bounds."""

    def __init__(self, config: MapConfig) -> None:
        self.config = config
        self.surfels = Surfels.empty(0, CPU)
        self._keyframes = 0

    @torch.inference_mode()
    def fuse(self, keyframe: Keyframe, estimate: DepthEstimate) -> None:
        """Merge each pixel with the nearest fitting surfel that projects into it, or add it."""
        camera, pose = keyframe.camera, keyframe.T_map_camera
        seen = observe(estimate.depth, keyframe.image, camera, pose, self.config)
        slots = torch.arange(len(self.surfels))
        there = project_surfels(
            slots, self.surfels.positions, self.surfels.confidence, camera, pose
        )
        offset = self.surfels.positions[there.slot] - seen.points[there.pixel]
        distance = offset.norm(dim=1)
        facing = (self.surfels.normals[there.slot] * seen.normals[there.pixel]).sum(1)
        fits = (distance < self.config.distance_m) & seen.valid[there.pixel]
        fits &= facing > np.cos(np.radians(self.config.angle_deg))
        order = torch.argsort(distance[fits], descending=True, stable=True)
        cells = torch.full((camera.height * camera.width,), -1)
        # The nearest is written last.
        for_pixel = torch.zeros_like(cells).scatter_(0, there.pixel[fits][order], order)
        hit = torch.zeros(cells.numel(), dtype=torch.bool)
        hit[there.pixel[fits]] = True
        cells[hit] = there.slot[fits][for_pixel[hit]]
        matches = torch.where(hit, torch.arange(cells.numel()), -1)
        if len(self.surfels):
            shown = self.surfels[cells.clamp_min(0)]
            evidence = gather_evidence(seen, matches, torch.full_like(shown.radius, np.inf))
            updated = average(
                shown[evidence.cell], evidence, self.config.max_confidence, self._keyframes
            )
            for column, values in zip(self.surfels.columns(), updated.columns(), strict=True):
                column[cells[evidence.cell]] = values
        unmatched = torch.nonzero(seen.valid & ~hit).squeeze(1)
        fresh = as_surfels(seen, unmatched, keyframe.index, self._keyframes)
        pairs = zip(self.surfels.columns(), fresh.columns(), strict=True)
        self.surfels = Surfels(*(torch.cat(pair) for pair in pairs))
        self._keyframes += 1


def measured_points(keyframe: Keyframe, estimate: DepthEstimate) -> npt.NDArray[np.float64]:
    """Return the (N, 3) points a held-back frame measures, map frame."""
    points = backproject(estimate.depth, keyframe.camera.matrix())[0].reshape(3, -1).T.double()
    points = points[points[:, 2] > 0]
    moved = points @ keyframe.T_map_camera[:3, :3].T + keyframe.T_map_camera[:3, 3]
    return moved.numpy()  # type: ignore[no-any-return]


def measurable(surfels: Surfels, held: list[tuple[Keyframe, DepthEstimate]]) -> torch.Tensor:
    """Return (N,) bool: surfels that some held-back frame looks at without anything before."""
    result = torch.zeros(len(surfels), dtype=torch.bool)
    slots = torch.arange(len(surfels))
    for keyframe, estimate in held:
        seen = project_surfels(
            slots, surfels.positions, surfels.confidence, keyframe.camera, keyframe.T_map_camera
        )
        depth = estimate.depth.flatten()[seen.pixel]
        result[seen.slot[(depth > 0) & (seen.depth < depth + 0.1)]] = True
    return result


def double_walls(surfels: Surfels) -> float:
    """Return the share of surfels with a similar one 3 to 15 cm behind."""
    positions, normals = surfels.positions.numpy(), surfels.normals.numpy()
    chosen = np.random.default_rng(0).permutation(len(positions))[:20_000]
    tree = cKDTree(positions)
    found = np.zeros(len(chosen), dtype=bool)
    for depth in np.arange(0.04, 0.15, 0.01):
        behind = positions[chosen] - depth * normals[chosen]
        distance, at = tree.query(behind, distance_upper_bound=0.01)
        near = np.isfinite(distance)
        similar = (normals[np.where(near, at, 0)] * normals[chosen]).sum(1) > np.cos(0.35)
        found |= near & similar
    return float(found.mean())


def score(surfels: Surfels, held: list[tuple[Keyframe, DepthEstimate]]) -> dict[str, float]:
    """Return the figures of one map."""
    points = np.concatenate([measured_points(*item)[::3] for item in held])
    seen = surfels.positions[measurable(surfels, held)].numpy()
    to_points, _ = cKDTree(points).query(seen[::3], workers=-1)
    to_map, _ = cKDTree(surfels.positions.numpy()).query(points[::5], workers=-1)
    return {
        "surfels": len(surfels),
        "accuracy_2cm": round(float((to_points < 0.02).mean()), 4),
        "accuracy_5cm": round(float((to_points < 0.05).mean()), 4),
        "completeness_2cm": round(float((to_map < 0.02).mean()), 4),
        "completeness_5cm": round(float((to_map < 0.05).mean()), 4),
        "double_walls": round(double_walls(surfels), 4),
    }


def main() -> None:
    """Fuse with both and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--frames", default="250:373")
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    keyframes = Keyframes(options.data, options.width, CPU)
    start, stop = parse_frames(options.frames)
    indices = range(start or 0, min(stop or len(keyframes), len(keyframes)))
    held = [item for i in indices if i % 2 and (item := keyframes.load(i)) is not None]
    ours, plain = SurfelMap(MapConfig(max_surfels=8_000_000), CPU), PlainFusion(MapConfig())
    for index in indices:
        if index % 2 == 0:
            keyframes.fuse(ours, index)
            keyframes.fuse(plain, index)  # type: ignore[arg-type]
    rows = {"ours": score(ours.surfels, held), "plain": score(plain.surfels, held)}
    for name, row in rows.items():
        print(name, row)
    print(machine_line("cpu"))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
