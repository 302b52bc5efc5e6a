"""PointFusion under autograd: from the map back to depth, colour, pose and intrinsics."""

from __future__ import annotations

import torch

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.mapping.association import (
    ShownSurfels,
    associate,
    index_map,
    project_surfels,
)
from e2e_slam_ros.mapping.fusion import as_surfels, average, gather_evidence
from e2e_slam_ros.mapping.observation import observe
from e2e_slam_ros.mapping.surfel_store import Surfels


class DifferentiableMap:
    """A small map that remembers how it was made (paper B.1; gradSLAM).

    It is made of the same functions as `SurfelMap`. Which pixel meets which surfel is decided
    without gradients; positions, normals, colours and confidences carry them. Every surfel is
    looked at in every fusion and none is removed, so it is for a few frames, not for a run.

    >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
    >>> depth = torch.full((1, 1, 6, 8), 2.0, requires_grad=True)
    >>> made = DifferentiableMap(MapConfig())
    >>> surfels = made.fuse(depth, torch.ones(1, 3, 6, 8), camera, torch.eye(4))
    >>> surfels.positions[:, 2].sum().backward()
    >>> bool((depth.grad > 0).any())
    True
    """

    def __init__(self, config: MapConfig) -> None:
        self.config = config
        self.surfels: Surfels | None = None
        self._keyframes = 0

    def fuse(
        self,
        depth: torch.Tensor,
        image: torch.Tensor,
        camera: PinholeCamera,
        T_map_camera: torch.Tensor,
        intrinsics: torch.Tensor | None = None,
        confidence: torch.Tensor | None = None,
    ) -> Surfels:
        """Fuse one RGB-D frame and return the whole map, differentiable in every tensor given.

        Args:
            depth: (1, 1, H, W) metres, 0 = invalid; its dtype is the map's.
            image: (1, 3, H, W) in [0, 1].
            camera: image size, and intrinsics for association.
            T_map_camera: (4, 4).
            intrinsics: (3, 3) where a gradient to them is wanted.
            confidence: (1, 1, H, W) in [0, 1], or None.
        """
        observation = observe(
            depth, image, camera, T_map_camera, self.config, confidence, intrinsics
        )
        old = self.surfels
        if old is None:
            fresh = torch.nonzero(observation.valid).squeeze(1)
            self.surfels = as_surfels(observation, fresh, self._keyframes, self._keyframes)
        else:
            with torch.no_grad():
                slots = torch.arange(len(old), device=depth.device)
                seen = project_surfels(slots, old.positions, old.confidence, camera, T_map_camera)
                cells = index_map(seen, camera, self.config.distance_m)
                behind = old[cells.clamp_min(0)]
                shown = ShownSurfels(behind.positions, behind.normals, behind.radius)
                matches = associate(cells, shown, observation, camera, self.config)
            evidence = gather_evidence(observation, matches, shown.radius)
            slots = cells[evidence.cell]
            updated = average(old[slots], evidence, self.config.max_confidence, self._keyframes)
            fresh = torch.nonzero(observation.valid & (matches < 0)).squeeze(1)
            added = as_surfels(observation, fresh, self._keyframes, self._keyframes)
            self.surfels = _joined(old, slots, updated, added)
        self._keyframes += 1
        return self.surfels


def _joined(old: Surfels, slots: torch.Tensor, updated: Surfels, added: Surfels) -> Surfels:
    """Return the old surfels with those in ``slots`` replaced, then the added ones."""
    columns = zip(old.columns(), updated.columns(), added.columns(), strict=True)
    return Surfels(*(torch.cat([o.index_copy(0, slots, u), a]) for o, u, a in columns))
