"""How the patch of a landmark looks from another pose."""

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
    """Patches of landmarks as a pose should see them.

    Attributes:
        pixels: (N, 2) recorded pixels where each is expected; NaN behind the camera.
        warps: (N, 2, 2) motion in the anchor keyframe per motion in the image.
        usable: (N,) bool: in front of both cameras and not too different in size.
    """

    pixels: Floats
    warps: Floats
    usable: npt.NDArray[np.bool_]


def view_patches(
    local_map: LocalMap, ids: Ids, keyframe: TrackingKeyframe, lens: Lens
) -> PatchView:
    """Return how landmarks look in a keyframe.

    The patch is taken for a plane that faces the anchor keyframe's camera; a landmark without a
    position is taken to be far away.
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
