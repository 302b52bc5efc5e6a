"""A surfel map of the odometry's keyframes, drawn as the depth that frames are aligned with."""

from __future__ import annotations

import torch

from e2e_slam_ros.config.map import MapConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, KeyframeDecision
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.projection import pixel_rays
from e2e_slam_ros.geometry.splat import splat_squares
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.tracking.dense.view import DenseView
from e2e_slam_ros.tracking.rigid import Floats

# A surfel covers a square of this many pixels: it closes the gaps between surfels.
_SIDE = 3
_NEAREST_M = 0.05
# Smallest cosine between ray and normal at which a surfel's plane is cut: beyond, its own depth.
_GRAZING = 0.15
_DECISION = KeyframeDecision(True, "odometry")


def draw_depth(
    positions: torch.Tensor, normals: torch.Tensor, camera: PinholeCamera
) -> torch.Tensor:
    """Return (1, 1, H, W) the depth of surfels, 0 where none is.

    Each pixel shows the plane of the nearest surfel that faces the camera, so that slanted
    surfaces keep their slope between surfels.

    >>> camera = PinholeCamera(width=3, height=1, fx=1.0, fy=1.0, cx=1.0, cy=0.0)
    >>> at, facing = torch.tensor([[0.0, 0.0, 2.0]]), torch.tensor([[0.0, 0.0, -1.0]])
    >>> draw_depth(at, facing, camera)
    tensor([[[[2., 2., 2.]]]])

    Args:
        positions, normals: (N, 3) in the camera frame, metres.
        camera: intrinsics without distortion, and the size.
    """
    width, height = camera.width, camera.height
    facing = ((positions * normals).sum(1) < 0) & (positions[:, 2] > _NEAREST_M)
    positions, normals = positions[facing], normals[facing]
    x, y, z = positions.unbind(1)
    half = _SIDE // 2
    column = (x / z * camera.fx + camera.cx).round().clamp(-1e6, 1e6).long() - half
    row = (y / z * camera.fy + camera.cy).round().clamp(-1e6, 1e6).long() - half
    shown = splat_squares(column, row, z, width, height, _SIDE)
    filled = shown >= 0
    index = shown[filled]
    k = camera.matrix(positions.device, positions.dtype)
    rays = pixel_rays(height, width, k)[0].permute(1, 2, 0)[filled]
    slope = (rays * normals[index]).sum(1)
    steep = slope.abs() < _GRAZING * rays.norm(dim=1)
    plane = (positions[index] * normals[index]).sum(1) / torch.where(steep, -1.0, slope)
    own = z[index]
    near = (plane - own).abs() < 0.05 * own
    depth = positions.new_zeros(height, width)
    depth[filled] = torch.where(steep | ~near, own, plane)
    return depth[None, None]


class MapReference:
    """Keyframes fused into a surfel map of the odometry's own, and drawn from any pose.

    Args:
        config: of the map.
        device: where the map lives.

    Example:
        >>> import numpy as np
        >>> camera = PinholeCamera(width=32, height=24, fx=30.0, fy=30.0, cx=15.5, cy=11.5)
        >>> wall = torch.full((1, 1, 24, 32), 2.0)
        >>> view = DenseView.from_images(torch.zeros_like(wall), wall, camera.matrix())
        >>> reference = MapReference(MapConfig(), torch.device("cpu"))
        >>> drawn = reference.add(view, camera, np.eye(4), 0, 0)
        >>> bool(((drawn.points[:, 2] - 2.0).abs() < 1e-4).all())
        True
    """

    def __init__(self, config: MapConfig, device: torch.device) -> None:
        self._map = SurfelMap(config, device)
        self._device = device

    def add(
        self, view: DenseView, camera: PinholeCamera, T_map_camera: Floats, index: int, stamp: int
    ) -> DenseView:
        """Fuse a keyframe; return its view with the depth of the map where the map has some."""
        T = torch.from_numpy(T_map_camera)
        known = view.has_depth
        depth = torch.where(known, 1.0 / torch.where(known, view.inverse_depth, 1.0), 0.0)
        image = view.grey.expand(-1, 3, -1, -1)
        keyframe = Keyframe(index, index, stamp, image, camera, T, None, _DECISION)
        self._map.fuse(keyframe, DepthEstimate(depth, None, "odometry", "sensor"))
        drawn = self.draw(camera, T)
        # Where the map has a hole, and where the view sees something nearer, the view is right.
        merged = torch.where((drawn > 0) & known, drawn, depth)
        return DenseView.from_images(view.grey, merged, view.intrinsics)

    def draw(self, camera: PinholeCamera, T_map_camera: torch.Tensor) -> torch.Tensor:
        """Return (1, 1, H, W) the depth of the map from a pose (4, 4)."""
        seen = self._map.snapshot(index=self._map.active(camera, T_map_camera))
        positions = torch.from_numpy(seen.positions).to(self._device)
        normals = torch.from_numpy(seen.normals).to(self._device)
        T_camera_map = se3.inverse(T_map_camera).to(positions)
        local = se3.transform_points(T_camera_map, positions)
        return draw_depth(local, normals @ T_camera_map[:3, :3].T, camera)

    def clear(self) -> None:
        """Forget all keyframes."""
        self._map.clear()
