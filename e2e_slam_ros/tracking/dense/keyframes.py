"""The keyframes of dense odometry: poses of all, images of the newest."""

from __future__ import annotations

import numpy as np
import torch

from e2e_slam_ros.config.dense import OdometryConfig
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.splat import splat_depth
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.dense.keyframe import DenseKeyframe
from e2e_slam_ros.tracking.dense.map_reference import MapReference
from e2e_slam_ros.tracking.dense.view import DenseView
from e2e_slam_ros.tracking.rigid import Floats

# Keyframes whose images are kept: a lost camera is looked for at the older ones too.
_KEPT = 4
_FEWEST_RATIOS = 200


class DenseKeyframes:
    """Keyframes in order, and the views that frames are aligned with.

    Args:
        camera: of the views.
        limits: number of levels, and fewest pixels of a reference.
        needs_normals: whether a pixel of a reference must have a normal, not only depth.
        reference: a map whose depth keyframes get; None: they keep their own.

    Example:
        >>> camera = PinholeCamera(width=64, height=48, fx=50.0, fy=50.0, cx=31.5, cy=23.5)
        >>> wall = torch.full((1, 1, 48, 64), 2.0)
        >>> view = DenseView.from_images(torch.zeros_like(wall), wall, camera.matrix())
        >>> keyframes = DenseKeyframes(camera, OdometryConfig(), needs_normals=True)
        >>> keyframes.add(1_000, np.eye(4), view, with_depth=True).median_depth
        2.0
        >>> len(keyframes.references())
        1
    """

    def __init__(
        self,
        camera: PinholeCamera,
        limits: OdometryConfig,
        needs_normals: bool,
        reference: MapReference | None = None,
    ) -> None:
        self._camera = camera
        self._limits = limits
        self._needs_normals = needs_normals
        self._reference = reference
        self._all: list[DenseKeyframe] = []

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, index: int) -> DenseKeyframe:
        return self._all[index]

    def references(self) -> list[DenseKeyframe]:
        """Return the keyframes that frames can be aligned with, in order."""
        return [one for one in self._all if one.has_depth]

    def with_stamp(self, stamp_ns: int) -> DenseKeyframe | None:
        """Return the keyframe with a stamp, or None."""
        return next((one for one in reversed(self._all) if one.stamp_ns == stamp_ns), None)

    def usable(self, view: DenseView) -> bool:
        """Return whether enough pixels can serve as a reference."""
        pixels = view.has_normal if self._needs_normals else view.has_depth
        return int(pixels.sum()) >= self._limits.min_pixels

    def add(
        self, stamp_ns: int, T_map_camera: Floats, view: DenseView, with_depth: bool
    ) -> DenseKeyframe:
        """Add a keyframe; without depth it becomes a reference by `give`."""
        keyframe = DenseKeyframe(len(self._all), stamp_ns, T_map_camera, view=view)
        self._all.append(keyframe)
        if with_depth:
            self.give(keyframe, view)
        return keyframe

    def give(self, keyframe: DenseKeyframe, view: DenseView) -> bool:
        """Make a view with depth the reference of a keyframe; return whether it can be one."""
        if not self.usable(view):
            return False
        if self._reference is not None:
            view = self._reference.add(
                view, self._camera, keyframe.T_map_camera, keyframe.index, keyframe.stamp_ns
            )
        keyframe.take(view, self._limits.levels)
        for old in self._all[:-_KEPT]:
            old.release()
        return True

    def in_scale(self, keyframe: DenseKeyframe, view: DenseView) -> DenseView:
        """Return a keyframe's view with its depth in the scale of the last reference before it.

        The scale is the median ratio of the depths that both see. The depth of a network differs
        in scale from image to image.
        """
        before = [one for one in self.references() if one.index < keyframe.index]
        if not before:
            return view
        old, camera = before[-1], self._camera
        T = torch.from_numpy(rigid.inverse(keyframe.T_map_camera) @ old.T_map_camera)
        depth = old.pyramid[0].points[:, 2:]
        moved, _ = splat_depth(depth, torch.ones_like(depth), camera, T, camera)
        both = (moved > 0) & view.has_depth
        if int(both.sum()) < _FEWEST_RATIOS:
            return view
        ratio = (moved[both] * view.inverse_depth[both]).median()
        scaled = torch.where(view.has_depth, view.points[:, 2:] * ratio, 0.0)
        return DenseView.from_images(view.grey, scaled, view.intrinsics, window=3)

    def points(self) -> Floats:
        """Return some points (L, 3) of the surfaces in the map, metres."""
        parts = [
            rigid.transform_points(one.T_map_camera, one.points.double().cpu().numpy())
            for one in self._all
            if one.points is not None
        ]
        return np.concatenate(parts) if parts else np.zeros((0, 3))
