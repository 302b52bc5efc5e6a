"""The motion between two images from their corners: the essential matrix."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.tracking.corners import Image, describe, detect_corners, match
from e2e_slam_ros.tracking.flow import follow
from e2e_slam_ros.tracking.rigid import Floats

_CORNERS, _DISTANCE_PX = 800, 4.0
_FEWEST = 20
_ERROR_PX = 0.5
_SURE = 0.999


def corner_motion(reference: Keyframe, other: Keyframe, depth: torch.Tensor) -> torch.Tensor:
    """Return T_other_reference (4, 4) float64; its length is in the unit of ``depth``.

    Corners are followed by flow, and matched by their descriptions. The
    five-point method with a robust count gives the motion (Nister, PAMI 2004). Its length is the
    median of ``depth`` over the depth of the triangulated corners.

    Args:
        depth: (1, 1, H, W) of the reference, > 0.

    Raises:
        PoseError: fewer than 20 corners agree on a motion.
    """
    before, now = _grey(reference), _grey(other)
    here = detect_corners(before, np.zeros((0, 2)), _CORNERS, _DISTANCE_PX)
    start, end = _matched(before, now, here)
    found = 0
    if len(start) >= _FEWEST:
        camera = reference.camera
        k = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])
        essential, mask = cv2.findEssentialMat(
            start, end, k, method=cv2.USAC_MAGSAC, prob=_SURE, threshold=_ERROR_PX
        )
        if essential is not None and essential.shape == (3, 3):
            found, rotation, shift, good, points = cv2.recoverPose(
                essential, start, end, k, distanceThresh=1e4, mask=mask
            )
    if found < _FEWEST:
        raise PoseError.from_parts(
            "motion between two images",
            f"{found} of {len(here)} corners agree",
            f"at least {_FEWEST}",
            "choose pairs that overlap more (--gap)",
        )
    T = np.eye(4)
    T[:3, :3] = rotation
    kept = np.asarray(good).reshape(-1) > 0
    z = points[2, kept] / points[3, kept]
    column, row = np.rint(start[kept]).astype(int).T
    known = depth[0, 0].cpu().numpy()[row, column]
    T[:3, 3] = shift[:, 0] * float(np.median(known / z))
    return torch.from_numpy(T)


def _grey(keyframe: Keyframe) -> Image:
    image = (255.0 * keyframe.image[0]).round().byte().permute(1, 2, 0).cpu().numpy()
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY))


def _matched(before: Image, now: Image, here: Floats) -> tuple[Floats, Floats]:
    """Return corners (N, 2) of the first image and where they are in the second.

    Flow loses corners that move far, descriptions those that look alike: both are asked.
    """
    if not len(here):
        return here, here
    there, good = follow(before, now, here, here)
    others = detect_corners(now, np.zeros((0, 2)), _CORNERS, _DISTANCE_PX)
    a, b = match(describe(before, here), describe(now, others))
    return np.concatenate([here[good], here[a]]), np.concatenate([there[good], others[b]])
