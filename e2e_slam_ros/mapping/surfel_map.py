"""The global map: PointFusion of keyframes into a bounded set of surfels (Keller et al. 2013)."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import torch

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.config.errors import MapError, PoseError
from e2e_slam_ros.data.keyframe import DepthEstimate, FusionStats, Keyframe
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.se3 import check_rigid
from e2e_slam_ros.mapping.association import (
    Projection,
    ShownSurfels,
    associate,
    index_map,
    outdated,
    project_surfels,
)
from e2e_slam_ros.mapping.block_index import BlockIndex, DepthPyramid
from e2e_slam_ros.mapping.contribution import Change, Contribution, without
from e2e_slam_ros.mapping.eviction import make_room
from e2e_slam_ros.mapping.fusion import as_surfels, average, gather_evidence
from e2e_slam_ros.mapping.observation import Observation, observe
from e2e_slam_ros.mapping.snapshot import take_snapshot
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.mapping.surfel_store import (
    PAGE,
    Surfels,
    SurfelStore,
    page_slots,
    rank_in_group,
)

# Side of a voxel block. Smaller blocks are left out more exactly but waste more of their pages.
_BLOCK_M = 0.25
# Beyond this float32 positions are coarser than 8 mm.
FARTHEST_M = 1e5


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
        self._blocks = BlockIndex(_BLOCK_M, device)
        self._keyframes = 0
        self._revisable: OrderedDict[int, Contribution] = OrderedDict()

    def __len__(self) -> int:
        return len(self._store)

    @property
    def surfels(self) -> Surfels:
        """A copy of all surfels, in the order of their slots."""
        return self._store.slots[self._store.live()]

    @property
    def keyframes(self) -> int:
        """How many keyframes were fused."""
        return self._keyframes

    @torch.inference_mode()
    def fuse(self, keyframe: Keyframe, estimate: DepthEstimate) -> FusionStats:
        """Merge a keyframe's depth into the map.

        Raises:
            MapError: depth and image differ in size.
            PoseError: the pose is not rigid or not finite. The map is unchanged either way.
        """
        _check_size(keyframe, estimate)
        check_rigid(keyframe.T_map_camera)
        _check_near(keyframe.T_map_camera)
        camera, T_map_camera = keyframe.camera, keyframe.T_map_camera.to(self.device)
        observation = observe(
            estimate.depth, keyframe.image, camera, T_map_camera, self.config, estimate.confidence
        )
        pages, visible = self._look(observation, camera, T_map_camera)
        cells = index_map(visible, camera, self.config.distance_m)
        shown = self._shown(cells)
        matches = associate(cells, shown, observation, camera, self.config)
        merged = self._merge(observation, cells, shown, matches)
        removed = self._clear_away(visible, observation, pages)
        added = self._add(observation, observation.valid & (matches < 0))
        if self.config.revisable_keyframes > 0:
            self._remember(keyframe.index, merged, added)
        evicted = make_room(self._store, self._blocks, self.config, self._revisable_since())
        self._keyframes += 1
        return FusionStats(
            added=added.slots.numel(),
            merged=merged.slots.numel(),
            removed=removed + evicted,
            total=len(self),
        )

    def revise(self, keyframe: Keyframe, estimate: DepthEstimate) -> FusionStats:
        """Replace what a recent keyframe put into the map by its better depth or pose.

        Raises:
            MapError: the keyframe is not among the last ``revisable_keyframes``, or the sizes
                differ; PoseError: as in `fuse`. The map is unchanged either way.
        """
        _check_size(keyframe, estimate)
        check_rigid(keyframe.T_map_camera)
        _check_near(keyframe.T_map_camera)
        self.withdraw(keyframe.index)
        return self.fuse(keyframe, estimate)

    @torch.inference_mode()
    def withdraw(self, index: int) -> int:
        """Take keyframe number ``index`` out of the map; returns how many surfels went with it.

        What its depth showed to be empty space, and was removed for it, does not come back.

        Raises:
            MapError: it is not among the last ``revisable_keyframes``.
        """
        if index not in self._revisable:
            known = ", ".join(str(i) for i in self._revisable) or "none"
            raise MapError.from_parts(
                "keyframe to revise",
                index,
                f"one of the last {self.config.revisable_keyframes} ({known})",
                "raise map.revisable_keyframes",
            )
        share = self._revisable.pop(index)
        share = share.select(share.still_there(self._store.slots))
        restored, alone = without(self._store.slots[share.slots], share)
        self._store.update(share.slots, restored)
        gone = share.slots[alone]
        self._store.remove(gone)
        self._store.release_empty_pages(torch.unique(gone // PAGE))
        return int(gone.numel())

    def _look(
        self, observation: Observation, camera: PinholeCamera, T_map_camera: torch.Tensor
    ) -> tuple[torch.Tensor, Projection]:
        """Return the pages a keyframe has to look at, and their surfels inside its image."""
        measured = torch.where(observation.valid, observation.depth, 0.0)
        pyramid = DepthPyramid.of(measured.reshape(1, 1, camera.height, camera.width))
        # Association reaches this far behind the surface it measures.
        margin = self.config.distance_m * (measured.amax() / 2.0).clamp_min(1.0)
        in_view = self._blocks.in_view(camera, T_map_camera, pyramid, margin)
        self._blocks.last_seen.masked_fill_(in_view, self._keyframes)
        pages = self._store.pages_of(in_view)
        return pages, self._project(pages, camera, T_map_camera)

    def _project(
        self, pages: torch.Tensor, camera: PinholeCamera, T_map_camera: torch.Tensor
    ) -> Projection:
        slots = self._store.slots
        return project_surfels(
            page_slots(pages),
            slots.positions.view(-1, PAGE * 3).index_select(0, pages).view(-1, 3),
            slots.confidence.view(-1, PAGE).index_select(0, pages).flatten(),
            camera,
            T_map_camera,
        )

    def _shown(self, cells: torch.Tensor) -> ShownSurfels:
        """Return what association has to know about the surfels of an index map."""
        if len(self) == 0:
            nothing = torch.zeros((cells.numel(), 3), device=self.device)
            return ShownSurfels(nothing, nothing, nothing[:, 0])
        slots, occupied = self._store.slots, cells.clamp_min(0)
        return ShownSurfels(
            slots.positions.index_select(0, occupied),
            slots.normals.index_select(0, occupied),
            slots.radius.index_select(0, occupied),
        )

    def _merge(
        self,
        observation: Observation,
        cells: torch.Tensor,
        shown: ShownSurfels,
        matches: torch.Tensor,
    ) -> Change:
        """Average every matched pixel into its surfel, weighted by confidence."""
        evidence = gather_evidence(observation, matches, shown.radius)
        slots = cells[evidence.cell]
        before = self._store.slots[slots]
        after = average(before, evidence, self.config.max_confidence, self._keyframes)
        self._store.update(slots, after)
        return Change(slots, before, after)

    def _clear_away(
        self, visible: Projection, observation: Observation, pages: torch.Tensor
    ) -> int:
        """Remove what the keyframe shows to be empty space, or does not confirm."""
        last_seen = self._store.slots.last_seen
        gone = outdated(visible, observation, last_seen, self._keyframes, self.config)
        self._store.remove(gone)
        self._store.release_empty_pages(pages)
        return int(gone.numel())

    def _add(self, observation: Observation, mask: torch.Tensor) -> Change:
        """Give every measured pixel in ``mask`` a surfel of its own."""
        pixels = torch.nonzero(mask).squeeze(1)
        return self._insert(as_surfels(observation, pixels, self._keyframes))

    def _insert(self, surfels: Surfels) -> Change:
        blocks = self._blocks.find_or_add(surfels.positions)
        order = torch.argsort(blocks, stable=True)
        blocks, surfels = blocks[order], surfels[order]
        self._blocks.last_seen.scatter_reduce_(0, blocks, surfels.last_seen.long(), reduce="amax")
        slots = self._store.take_slots(blocks, rank_in_group(blocks), len(self._blocks))
        self._store.write(slots, surfels)
        return Change(slots, None, surfels)

    def _revisable_since(self) -> int:
        """Return when the oldest keyframe that may still be revised was fused."""
        return min((share.fused for share in self._revisable.values()), default=self._keyframes)

    def _remember(self, index: int, merged: Change, added: Change) -> None:
        self._revisable[index] = Contribution.of(merged, self._keyframes).joined(
            Contribution.of(added, self._keyframes)
        )
        while len(self._revisable) > self.config.revisable_keyframes:
            self._revisable.popitem(last=False)

    @torch.inference_mode()
    def active(self, camera: PinholeCamera, T_map_camera: torch.Tensor) -> torch.Tensor:
        """Return (M,) int64: the surfels inside a camera's image, occluded ones included."""
        T_map_camera = T_map_camera.to(self.device)
        in_view = self._blocks.in_view(camera, T_map_camera, None, 0.0)
        return self._project(self._store.pages_of(in_view), camera, T_map_camera).slot

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
    def state_hash(self) -> str:
        """Return the SHA-256 of every surfel's every attribute; equal maps, equal hash."""
        digest = hashlib.sha256()
        for column in self.surfels.columns():
            digest.update(column.contiguous().cpu().numpy().tobytes())
        return digest.hexdigest()

    @torch.inference_mode()
    def restore(self, surfels: Surfels, keyframes: int) -> None:
        """Replace the map by (N,) surfels of an earlier one that had fused ``keyframes``."""
        self.clear()
        self._keyframes = keyframes
        self._insert(surfels.to(self.device))
        make_room(self._store, self._blocks, self.config, keyframes)

    def clear(self) -> None:
        """Forget the map."""
        self._store.clear()
        self._blocks.clear()
        self._revisable.clear()
        self._keyframes = 0


def _check_near(T_map_camera: torch.Tensor) -> None:
    farthest = float(T_map_camera[:3, 3].abs().amax())
    if farthest > FARTHEST_M / 2:
        raise PoseError.from_parts(
            "pose",
            f"{farthest:.4g} m from the map's origin",
            f"at most {FARTHEST_M / 2:g} m: float32 positions are too coarse beyond",
            "let the map frame start where the robot starts (UTM coordinates are too large)",
        )


def _check_size(keyframe: Keyframe, estimate: DepthEstimate) -> None:
    height, width = keyframe.camera.height, keyframe.camera.width
    if tuple(estimate.depth.shape) != (1, 1, height, width):
        raise MapError.from_parts(
            "depth",
            f"shape {tuple(estimate.depth.shape)}",
            f"(1, 1, {height}, {width})",
            "give depth at the keyframe's size",
        )
