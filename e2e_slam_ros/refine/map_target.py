"""The part of the map that a view is compared with. It is prepared once for a keyframe."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.losses.all_pairs import nearest_both_ways, pays
from e2e_slam_ros.losses.cloud import in_view, local_cloud
from e2e_slam_ros.losses.neighbours import build_tree, nearest_in_tree


class MapTarget:
    """Symmetric Chamfer distance (paper eq. 5) from a depth map to a fixed cloud.

    The map's points do not move while a keyframe is refined. The points in view and their search
    tree are therefore found once. The map itself decides which points are hidden: a depth that is
    still to be corrected would hide the points that could correct it.

    Args:
        points: (N, 3) metres, map frame.
        camera: of the depth maps to come.
        T_map_camera: (4, 4), camera to map.
        most: largest number of points of either cloud.
        limit_m: metres; a larger distance has no gradient.

    Example:
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> cloud = torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, -2.0]])
        >>> pose = torch.eye(4, dtype=torch.float64)
        >>> target = MapTarget(cloud, camera, pose, most=100, limit_m=0.2)
        >>> len(target)  # the other one is behind the camera
        1
    """

    def __init__(
        self,
        points: torch.Tensor,
        camera: PinholeCamera,
        T_map_camera: torch.Tensor,
        most: int,
        limit_m: float,
    ) -> None:
        points = points[torch.isfinite(points).all(1)]
        seen = points[in_view(points, camera, T_map_camera)]
        if seen.shape[0] > most:
            step = torch.arange(most, device=seen.device) * seen.shape[0] // most
            seen = seen[step]
        self.points = seen
        self._camera, self._T_map_camera, self._most = camera, T_map_camera, most
        self._limit = limit_m**2
        if seen.shape[0] > 0:
            # Around a common centre single precision loses nothing far from the origin.
            self._centre = seen.mean(0)
            self._centred = (seen - self._centre).float()
            # On a GPU all distances are faster than a tree.
            self._tree = None if pays(seen, seen) else build_tree(self._centred)

    def __len__(self) -> int:
        """Return the number of map points that are compared."""
        return self.points.shape[0]

    def distance(self, depth: torch.Tensor) -> torch.Tensor:
        """Return the distance in square metres, a scalar; 0 where either cloud is empty.

        Args:
            depth: (1, 1, H, W) metres of the camera given; gradients flow to it.
        """
        local = local_cloud(depth, self._camera, self._T_map_camera, self._most)
        if local.shape[0] == 0 or len(self) == 0:
            return local.sum() * 0.0
        with torch.no_grad():
            forward, backward = self._nearest((local.detach() - self._centre).float())
        out = (local - self.points.index_select(0, forward)).square().sum(1)
        back = (self.points - local.index_select(0, backward)).square().sum(1)
        return out.clamp_max(self._limit).mean() + back.clamp_max(self._limit).mean()

    def _nearest(self, local: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each local point's nearest map point, and each map point's nearest local one."""
        if self._tree is None:
            return nearest_both_ways(local, self._centred)
        tree = build_tree(local)
        return nearest_in_tree(tree, self._tree), nearest_in_tree(self._tree, tree)
