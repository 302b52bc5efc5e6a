"""The global map: PointFusion of keyframes into a bounded set of surfels (Keller et al. 2013)."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping

import torch

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, FusionStats, Keyframe
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.se3 import check_rigid
from e2e_slam_ros.mapping.block_index import BlockIndex
from e2e_slam_ros.mapping.checks import check_keyframe
from e2e_slam_ros.mapping.contribution import Contribution, Contributions, without
from e2e_slam_ros.mapping.correction import merge_overlaps, move_surfels
from e2e_slam_ros.mapping.eviction import make_room
from e2e_slam_ros.mapping.integration import Integration
from e2e_slam_ros.mapping.motion import KeyframeMotion
from e2e_slam_ros.mapping.observation import observe
from e2e_slam_ros.mapping.placement import insert, project_pages
from e2e_slam_ros.mapping.snapshot import choose_slots, take_snapshot
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.mapping.surfel_store import PAGE, Surfels, SurfelStore

# Side of a voxel block. Smaller blocks are left out more exactly but waste more of their pages.
_BLOCK_M = 0.25


class SurfelMap:
    """Surfels in the map frame. Not thread-safe: one worker fuses and takes snapshots.

    >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
    >>> wall, pose = torch.full((1, 1, 6, 8), 2.0), torch.eye(4, dtype=torch.float64)
    >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
    >>> decision = KeyframeDecision(True, "first")
    >>> image = torch.ones(1, 3, 6, 8)
    >>> keyframe = Keyframe(5, 0, 0, image, camera, pose, wall, decision)
    >>> surfel_map = SurfelMap(MapConfig(), torch.device("cpu"))
    >>> surfel_map.fuse(keyframe, DepthEstimate(wall, None, "sensor", "sensor"))
    FusionStats(added=24, merged=0, removed=0, total=24)
    >>> shift = torch.eye(4, dtype=torch.float64)
    >>> shift[2, 3] = 1.0
    >>> surfel_map.move({5: shift})  # keyframe 5 was 1 m farther back than it should be
    24
    >>> float(surfel_map.snapshot().positions[:, 2].max())
    3.0

    Args:
        config: association limits, weights and the hard bound ``max_surfels``.
        device: where the surfels live.
    """

    def __init__(self, config: MapConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        self._store = SurfelStore(device)
        self._blocks = BlockIndex(_BLOCK_M, device)
        self._keyframes = 0
        self._shares = Contributions()

    def __len__(self) -> int:
        return len(self._store)

    @property
    def surfels(self) -> Surfels:
        """A copy of all surfels, in the order of their slots."""
        return self._store.slots[self._store.live()]

    @property
    def keyframes(self) -> int:
        """The number of fusions so far; a revised keyframe counts again."""
        return self._keyframes

    @property
    def slot_count(self) -> int:
        """The number of surfels that the memory in use holds, free places included."""
        return len(self._store.slots)

    @property
    def block_count(self) -> int:
        """The number of voxel blocks that the surfels lie in."""
        return len(self._blocks)

    @torch.inference_mode()
    def fuse(self, keyframe: Keyframe, estimate: DepthEstimate) -> FusionStats:
        """Merge a keyframe's depth into the map.

        Raises:
            MapError: depth and image differ in size.
            PoseError: the pose is not rigid or not finite. The map is unchanged either way.
        """
        check_keyframe(keyframe, estimate)
        camera, T_map_camera = keyframe.camera, keyframe.T_map_camera.to(self.device)
        observation = observe(
            estimate.depth, keyframe.image, camera, T_map_camera, self.config, estimate.confidence
        )
        integration = Integration(self._store, self._blocks, self.config, self._keyframes)
        merged, added, removed = integration.of(observation, camera, T_map_camera, keyframe.index)
        if (most := self.config.revisable_keyframes) > 0:
            share = Contribution.of(merged, self._keyframes)
            share = share.joined(Contribution.of(added, self._keyframes))
            self._shares.keep(keyframe.index, share, most)
        since = self._shares.since(self._keyframes)
        evicted = make_room(self._store, self._blocks, self.config, since)
        self._keyframes += 1
        return FusionStats(
            added=added.slots.numel(),
            merged=merged.slots.numel(),
            removed=removed + evicted,
            total=len(self),
        )

    def revise(self, keyframe: Keyframe, estimate: DepthEstimate) -> FusionStats:
        """Replace a recent keyframe's share in the map: its depth or pose has become better.

        Raises:
            MapError: the keyframe is not among the last ``revisable_keyframes``, or the sizes
                differ; PoseError: as in `fuse`. The map is unchanged either way.
        """
        check_keyframe(keyframe, estimate)
        self.withdraw(keyframe.index)
        return self.fuse(keyframe, estimate)

    @torch.inference_mode()
    def withdraw(self, index: int) -> int:
        """Take keyframe number ``index`` out of the map; return the number of removed surfels.

        Surfels that were removed because its depth showed empty space do not come back.

        Raises:
            MapError: it is not among the last ``revisable_keyframes``.
        """
        share = self._shares.take(index, self.config.revisable_keyframes)
        share = share.select(share.still_there(self._store.slots))
        restored, alone = without(self._store.slots[share.slots], share)
        self._store.update(share.slots, restored)
        gone = share.slots[alone]
        self._store.remove(gone)
        self._store.release_empty_pages(torch.unique(gone // PAGE))
        return int(gone.numel())

    @torch.inference_mode()
    def move(self, T_new_old: Mapping[int, torch.Tensor]) -> int:
        """Move the surfels that keyframes created, after their poses were corrected.

        Surfels of other keyframes stay. Keyframes can still be revised exactly: their shares in a
        moved surfel move with it, so `withdraw` before or after gives the same map.

        Args:
            T_new_old: by `Keyframe.index`, (4, 4) float64 from the old to the new map frame (new
                pose times the inverse of the old one). It may hold a uniform scale, which the
                radius follows. An index without surfels is ignored.

        Returns:
            The number of surfels that moved.

        Raises:
            PoseError: a transform is not a finite similarity.
            MapError: surfels would lie beyond `FARTHEST_M`. The map is unchanged either way.
        """
        motion = KeyframeMotion.of(T_new_old, self.device)
        return move_surfels(self._store, self._blocks, self._shares, motion)

    @torch.inference_mode()
    def merge_overlaps(self, camera: PinholeCamera, T_map_camera: torch.Tensor) -> int:
        """Merge the surfels that show one surface twice, as far as a camera sees it.

        Once `move` has closed a loop, a wall that was mapped on two visits lies in the map
        twice. Call this for the keyframes on both sides of the loop. A keyframe's own surfels
        are not thinned. Keyframes that can be revised follow the merged surfels.

        Args:
            camera: intrinsics of the view, without distortion.
            T_map_camera: (4, 4), its pose after the move.

        Returns:
            The number of removed surfels.

        Raises:
            PoseError: the pose is not rigid or not finite. The map is unchanged.
        """
        check_rigid(T_map_camera)
        T_map_camera = T_map_camera.to(self.device)
        return merge_overlaps(
            self._store, self._blocks, self._shares, camera, T_map_camera, self.config
        )

    @torch.inference_mode()
    def active(self, camera: PinholeCamera, T_map_camera: torch.Tensor) -> torch.Tensor:
        """Return (M,) int64: the surfels inside a camera's image, occluded ones included."""
        T_map_camera = T_map_camera.to(self.device)
        in_view = self._blocks.in_view(camera, T_map_camera, None, 0.0)
        pages = self._store.pages_of(in_view)
        return project_pages(self._store, pages, camera, T_map_camera).slot

    @torch.inference_mode()
    def points_in_view(self, camera: PinholeCamera, T_map_camera: torch.Tensor) -> torch.Tensor:
        """Return (M, 3) positions of the `active` surfels, a copy on the map's device."""
        return self._store.slots.positions[self.active(camera, T_map_camera)]

    @torch.inference_mode()
    def snapshot(
        self,
        max_points: int | None = None,
        min_confidence: float = 0.0,
        index: torch.Tensor | None = None,
    ) -> SurfelCloud:
        """Copy surfels to the host: those of ``index``, at least ``min_confidence`` confident.

        More than ``max_points`` are thinned evenly; neighbours in the map are neighbours in
        memory, so every part of the map keeps its share.
        """
        return take_snapshot(self._store, max_points, min_confidence, index)

    @torch.inference_mode()
    def thinned(self, max_points: int, min_confidence: float = 0.0) -> Surfels:
        """Copy surfels on the map's device, chosen as by `snapshot`."""
        return self._store.slots[choose_slots(self._store, max_points, min_confidence)]

    @torch.inference_mode()
    def state_hash(self) -> str:
        """Return the SHA-256 of every surfel's every attribute; equal maps, equal hash."""
        digest = hashlib.sha256()
        for column in self.surfels.columns():
            digest.update(column.contiguous().cpu().numpy().tobytes())
        return digest.hexdigest()

    @torch.inference_mode()
    def restore(self, surfels: Surfels, keyframes: int) -> None:
        """Replace the map by (N,) surfels of an earlier one that had fused ``keyframes`` times.

        This run counts its keyframes from 0 again, so a surfel of keyframe k is marked -2 - k:
        `move` leaves it where it is.
        """
        self.clear()
        self._keyframes = keyframes
        surfels = surfels.to(self.device)
        earlier = torch.where(surfels.keyframe >= 0, -2 - surfels.keyframe, surfels.keyframe)
        surfels = dataclasses.replace(surfels, keyframe=earlier)
        insert(self._store, self._blocks, surfels, surfels.updated.long())
        make_room(self._store, self._blocks, self.config, keyframes)

    def clear(self) -> None:
        """Forget the map."""
        self._store.clear()
        self._blocks.clear()
        self._shares.clear()
        self._keyframes = 0
