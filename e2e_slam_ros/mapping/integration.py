"""One keyframe's measurements brought into the surfels: merged, cleared away, added."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.masks import indices
from e2e_slam_ros.mapping.association import (
    Projection,
    ShownSurfels,
    associate,
    index_map,
    outdated,
)
from e2e_slam_ros.mapping.block_index import BlockIndex, DepthPyramid
from e2e_slam_ros.mapping.contribution import Change
from e2e_slam_ros.mapping.fusion import as_surfels, average, gather_evidence
from e2e_slam_ros.mapping.observation import Observation
from e2e_slam_ros.mapping.placement import insert, project_pages
from e2e_slam_ros.mapping.surfel_store import SurfelStore


@dataclass(frozen=True, eq=False)
class Integration:
    """One fusion (Keller et al. 2013, section 4): changes the store and its blocks.

    Attributes:
        store: the surfels.
        blocks: the blocks that their pages belong to.
        config: limits of association, weights.
        number: of the fusion.

    Example:
        >>> from e2e_slam_ros.mapping.observation import observe
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> pose, config = torch.eye(4, dtype=torch.float64), MapConfig()
        >>> wall, image = torch.full((1, 1, 6, 8), 2.0), torch.ones(1, 3, 6, 8)
        >>> seen = observe(wall, image, camera, pose, config, None)
        >>> cpu = torch.device("cpu")
        >>> integration = Integration(SurfelStore(cpu), BlockIndex(0.25, cpu), config, number=0)
        >>> merged, added, removed = integration.of(seen, camera, pose, keyframe=0)
        >>> len(merged.slots), len(added.slots), removed
        (0, 24, 0)
    """

    store: SurfelStore
    blocks: BlockIndex
    config: MapConfig
    number: int

    def of(
        self,
        observation: Observation,
        camera: PinholeCamera,
        T_map_camera: torch.Tensor,
        keyframe: int,
    ) -> tuple[Change, Change, int]:
        """Bring a keyframe's measurements into the surfels.

        Args:
            observation: measured by the keyframe.
            camera: its intrinsics.
            T_map_camera: (4, 4), its pose, on the map's device.
            keyframe: its index.

        Returns:
            The merged surfels, the added surfels, and the number of removed ones.
        """
        pages, visible = self._look(observation, camera, T_map_camera)
        cells = index_map(visible, camera, self.config.distance_m)
        shown = self._shown(cells)
        matches = associate(cells, shown, observation, camera, self.config)
        merged = self._merge(observation, cells, shown, matches)
        removed = self._clear_away(visible, observation, pages)
        added = self._add(observation, observation.valid & (matches < 0), keyframe)
        return merged, added, removed

    def _look(
        self, observation: Observation, camera: PinholeCamera, T_map_camera: torch.Tensor
    ) -> tuple[torch.Tensor, Projection]:
        """Return the pages a keyframe has to look at, and their surfels inside its image."""
        measured = observation.depth * observation.valid
        pyramid = DepthPyramid.of(measured.reshape(1, 1, camera.height, camera.width))
        # Association reaches this far behind the surface it measures.
        margin = self.config.distance_m * (measured.amax() / 2.0).clamp_min(1.0)
        in_view = self.blocks.in_view(camera, T_map_camera, pyramid, margin)
        self.blocks.last_seen.masked_fill_(in_view, self.number)
        pages = self.store.pages_of(in_view)
        return pages, project_pages(self.store, pages, camera, T_map_camera)

    def _shown(self, cells: torch.Tensor) -> ShownSurfels:
        """Return the columns that association needs of the surfels in an index map."""
        if len(self.store) == 0:
            nothing = torch.zeros((cells.numel(), 3), device=cells.device)
            return ShownSurfels(nothing, nothing, nothing[:, 0])
        slots, occupied = self.store.slots, cells.clamp_min(0)
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
        before = self.store.slots[slots]
        after = average(before, evidence, self.config.max_confidence, self.number)
        self.store.update(slots, after, before)
        return Change(slots, before, after)

    def _clear_away(
        self, visible: Projection, observation: Observation, pages: torch.Tensor
    ) -> int:
        """Remove surfels in space that the keyframe shows to be empty, and unconfirmed ones."""
        updated = self.store.slots.updated
        gone = outdated(visible, observation, updated, self.number, self.config)
        self.store.remove(gone)
        self.store.release_empty_pages(pages)
        return int(gone.numel())

    def _add(self, observation: Observation, mask: torch.Tensor, keyframe: int) -> Change:
        """Give every measured pixel in ``mask`` a surfel of its own."""
        pixels = indices(mask)
        surfels = as_surfels(observation, pixels, keyframe, self.number)
        return insert(self.store, self.blocks, surfels, surfels.updated.long())
