"""The appearance of a landmark's patch from another pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.landmarks import Ids
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.tracking_keyframe import TrackingKeyframe

_STEP_PX = 4.0
# A patch seen this much larger or smaller (in area) or turned this far is not looked for.
_MOST_AREA = 4.0
_FAR_M = 1e4


@dataclass(frozen=True, eq=False)
class PatchView:
    """Expected position and warp of landmarks' patches in an image.

    Attributes:
        pixels: (N, 2) expected recorded pixels; NaN behind the camera.
        warps: (N, 2, 2) motion in the anchor keyframe per motion in the image.
        usable: (N,) bool: in front of both cameras and not too different in size.

    Example:
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> from e2e_slam_ros.tracking.tracking_keyframe import Observations
        >>> camera = PinholeCamera(width=64, height=48, fx=50.0, fy=50.0, cx=31.5, cy=23.5)
        >>> lens, local_map = Lens(camera), LocalMap()
        >>> pixels, image = np.array([[31.5, 23.5]]), np.zeros((48, 64), np.uint8)
        >>> ids = local_map.landmarks.add(pixels, anchor=0)
        >>> local_map.landmarks.position[ids] = 0.0, 0.0, 2.0
        >>> seen = Observations.without_depth(ids, pixels, pixels)
        >>> keyframe = TrackingKeyframe(0, 0, 0, image, np.eye(4), np.zeros(3), seen)
        >>> local_map.add(keyframe)
        >>> view = view_patches(local_map, ids, keyframe, lens)
        >>> view.pixels.tolist(), view.warps.round(6).tolist(), view.usable.tolist()
        ([[31.5, 23.5]], [[[1.0, 0.0], [0.0, 1.0]]], [True])
    """

    pixels: Floats
    warps: Floats
    usable: npt.NDArray[np.bool_]


def view_patches(
    local_map: LocalMap, ids: Ids, keyframe: TrackingKeyframe, lens: Lens
) -> PatchView:
    """Return the expected position and warp of landmarks' patches in a keyframe.

    A patch counts as a plane that faces the anchor keyframe's camera. A landmark without a
    position counts as far away.
    """
    landmarks = local_map.landmarks
    anchors = landmarks.anchor[ids]
    pixels = np.full((len(ids), 3, 2), np.nan)
    T_camera_map = rigid.inverse(keyframe.T_map_camera)
    for anchor in np.unique(anchors):
        rows = np.flatnonzero(anchors == anchor)
        T_map_anchor = local_map.keyframes[anchor].T_map_camera
        turning = local_map.keyframes[anchor].turning
        position = landmarks.position[ids[rows]]
        depth = rigid.transform_points(rigid.inverse(T_map_anchor), position)[:, 2]
        depth = np.where(np.isfinite(depth), depth, _FAR_M)
        corners = landmarks.anchor_pixel[ids[rows]][:, None] + np.array(
            [[0.0, 0.0], [_STEP_PX, 0.0], [0.0, _STEP_PX]]
        )
        rays = lens.rays(lens.ideal(corners.reshape(-1, 2), turning)).reshape(-1, 3, 3)
        # A landmark need not lie exactly on its anchor's ray any more: its patch moves with it.
        points = rays * depth[:, None, None]
        offset = np.where(
            np.isfinite(position),
            rigid.transform_points(rigid.inverse(T_map_anchor), position) - points[:, 0],
            0.0,
        )
        points = points + offset[:, None]
        ahead = depth > 0.05
        T = T_camera_map @ T_map_anchor
        seen = lens.project(rigid.transform_points(T, points.reshape(-1, 3)))
        pixels[rows] = np.where(
            ahead[:, None, None], lens.recorded(seen, keyframe.turning).reshape(-1, 3, 2), np.nan
        )
    affine = (
        np.stack([pixels[:, 1] - pixels[:, 0], pixels[:, 2] - pixels[:, 0]], axis=2) / _STEP_PX
    )
    area = affine[:, 0, 0] * affine[:, 1, 1] - affine[:, 0, 1] * affine[:, 1, 0]
    with np.errstate(invalid="ignore"):
        usable = (area > 1.0 / _MOST_AREA) & (area < _MOST_AREA)
    warps = np.tile(np.eye(2), (len(ids), 1, 1))
    warps[usable] = np.linalg.inv(affine[usable])
    return PatchView(pixels[:, 0], warps, usable)
