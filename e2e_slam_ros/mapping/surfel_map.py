"""The global map: PointFusion of keyframes into a bounded set of surfels (Keller et al. 2013)."""

from __future__ import annotations

import hashlib

import torch
from torch.nn import functional

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, FusionStats, Keyframe
from e2e_slam_ros.errors import MapError
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.se3 import check_rigid
from e2e_slam_ros.mapping.association import (
    associate,
    index_map,
    project_surfels,
    seen_through,
)
from e2e_slam_ros.mapping.observation import Observation, observe
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.mapping.surfel_store import Surfels, SurfelStore

# An observation coarser than this times the surfel only adds confidence (Keller et al.: 1.5).
_COARSER = 1.5
# Evicting a little more than needed lets many keyframes pass before the next eviction.
_EVICTION_SLACK = 0.05


class SurfelMap:
    """Surfels in the map frame. Not thread-safe: one worker fuses and takes snapshots.

    Args:
        config: association limits, weights and the hard bound ``max_surfels``.
        device: where the surfels live.
    """

    def __init__(self, config: MapConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        self._store = SurfelStore(device)
        self._keyframes = 0

    def __len__(self) -> int:
        return len(self._store)

    @property
    def surfels(self) -> Surfels:
        """The surfels as views; valid until the next change of the map."""
        return self._store.view()

    @torch.inference_mode()
    def fuse(self, keyframe: Keyframe, estimate: DepthEstimate) -> FusionStats:
        """Merge a keyframe's depth into the map.

        Raises:
            MapError: depth and image differ in size.
            PoseError: the pose is not rigid or not finite. The map is unchanged either way.
        """
        height, width = keyframe.camera.height, keyframe.camera.width
        if tuple(estimate.depth.shape) != (1, 1, height, width):
            raise MapError.from_parts(
                "depth",
                f"shape {tuple(estimate.depth.shape)}",
                f"(1, 1, {height}, {width})",
                "give depth at the keyframe's size",
            )
        check_rigid(keyframe.T_map_camera)
        camera, T_map_camera = keyframe.camera, keyframe.T_map_camera.to(self.device)
        observation = observe(
            estimate.depth,
            keyframe.image,
            camera,
            T_map_camera,
            self.config,
            estimate.confidence,
        )
        projection = project_surfels(self.surfels.positions, camera, T_map_camera)
        cells = index_map(projection, self.surfels, camera, self.config.distance_m)
        matches = associate(cells, self.surfels, observation, camera, self.config)
        merged = self._merge(observation, matches)
        emptied = seen_through(projection, self.surfels, observation, self.config)
        before = len(self)
        self._store.keep(~emptied)
        removed = before - len(self)
        added = self._add(observation, observation.valid & (matches < 0))
        removed += self._evict()
        self._keyframes += 1
        return FusionStats(added=added, merged=merged, removed=removed, total=len(self))

    def _merge(self, observation: Observation, matches: torch.Tensor) -> int:
        """Average every matched pixel into its surfel, weighted by confidence."""
        pixels = torch.nonzero(matches >= 0).squeeze(1)
        if pixels.numel() == 0:
            return 0
        surfels, target = self.surfels, matches[pixels]
        weight = observation.confidence[pixels]
        coarse = observation.radius[pixels] > _COARSER * surfels.radius[target]
        shaping = torch.where(coarse, 0.0, weight)
        touched, slot = torch.unique(target, return_inverse=True)

        def total(values: torch.Tensor) -> torch.Tensor:
            sums = values.new_zeros((touched.numel(), *values.shape[1:]))
            return sums.index_add_(0, slot, values)

        old = surfels.confidence[touched]
        new = total(shaping)
        share = (old / (old + new)).unsqueeze(1)
        scaled = shaping.unsqueeze(1)
        rest = (old + new).unsqueeze(1)

        def average(column: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            return column[touched] * share + total(values * scaled) / rest

        surfels.positions[touched] = average(surfels.positions, observation.points[pixels])
        surfels.colors[touched] = average(surfels.colors, observation.colors[pixels])
        surfels.normals[touched] = functional.normalize(
            average(surfels.normals, observation.normals[pixels]), dim=1
        )
        finest = surfels.radius[touched].scatter_reduce(
            0, slot, observation.radius[pixels], reduce="amin"
        )
        surfels.radius[touched] = finest
        surfels.confidence[touched] = (old + total(weight)).clamp_max(self.config.max_confidence)
        surfels.last_seen[touched] = self._keyframes
        return int(touched.numel())

    def _add(self, observation: Observation, mask: torch.Tensor) -> int:
        pixels = torch.nonzero(mask).squeeze(1)
        stamp = torch.full(
            (pixels.numel(),), self._keyframes, dtype=torch.int32, device=self.device
        )
        self._store.append(
            Surfels(
                positions=observation.points[pixels],
                normals=observation.normals[pixels],
                colors=observation.colors[pixels],
                confidence=observation.confidence[pixels],
                radius=observation.radius[pixels],
                first_seen=stamp,
                last_seen=stamp,
            )
        )
        return int(pixels.numel())

    def _evict(self) -> int:
        """Hold the bound: the least confident go first, among equals those unseen longest."""
        excess = len(self) - self.config.max_surfels
        if excess <= 0:
            return 0
        surfels = self.surfels
        excess = min(len(self), excess + int(_EVICTION_SLACK * self.config.max_surfels))
        by_age = torch.sort(surfels.last_seen, stable=True).indices
        order = by_age[torch.sort(surfels.confidence[by_age], stable=True).indices]
        keep = torch.ones(len(self), dtype=torch.bool, device=self.device)
        keep[order[:excess]] = False
        self._store.keep(keep)
        return excess

    @torch.inference_mode()
    def active(self, camera: PinholeCamera, T_map_camera: torch.Tensor) -> torch.Tensor:
        """Return (M,) int64: the surfels inside a camera's image, occluded ones included."""
        return project_surfels(self.surfels.positions, camera, T_map_camera.to(self.device)).index

    @torch.inference_mode()
    def snapshot(
        self,
        max_points: int | None = None,
        min_confidence: float = 0.0,
        index: torch.Tensor | None = None,
    ) -> SurfelCloud:
        """Copy surfels to the host: those of ``index``, at least ``min_confidence`` confident.

        More than ``max_points`` are thinned evenly over the order of creation.
        """
        surfels = self.surfels if index is None else self.surfels[index]
        if min_confidence > 0:
            surfels = surfels[surfels.confidence >= min_confidence]
        if max_points is not None and len(surfels) > max_points:
            step = torch.arange(max_points, device=self.device, dtype=torch.float64)
            surfels = surfels[(step * (len(surfels) / max_points)).long()]
        colors = (surfels.colors * 255.0).round().clamp(0, 255).to(torch.uint8)
        return SurfelCloud(
            positions=surfels.positions.clone().cpu().numpy(),
            normals=surfels.normals.clone().cpu().numpy(),
            colors=colors.cpu().numpy(),
            confidence=surfels.confidence.clone().cpu().numpy(),
        )

    @torch.inference_mode()
    def state_hash(self) -> str:
        """Return the SHA-256 of every surfel's every attribute; equal maps, equal hash."""
        digest = hashlib.sha256()
        for column in self.surfels.columns():
            digest.update(column.contiguous().cpu().numpy().tobytes())
        return digest.hexdigest()

    def clear(self) -> None:
        """Forget the map."""
        self._store.clear()
        self._keyframes = 0
