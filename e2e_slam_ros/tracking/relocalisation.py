"""The pose of an image by what it shows, without knowing where the camera was before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from e2e_slam_ros.tracking.absolute_pose import PoseEstimate, Sightings, find_pose
from e2e_slam_ros.tracking.corners import Descriptors, match
from e2e_slam_ros.tracking.landmarks import Ids
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.rigid import Floats


@dataclass(frozen=True, eq=False)
class Relocation:
    """A place recognised.

    Attributes:
        keyframe: the one that was recognised.
        pose: of the image.
        rows: (N,) corners of the image that agree.
        ids: (N,) the landmarks they are.
    """

    keyframe: int
    pose: PoseEstimate
    rows: Ids
    ids: Ids


def relocalise(
    local_map: LocalMap,
    candidates: Sequence[int],
    ideal: Floats,
    descriptors: Descriptors,
    lens: Lens,
    pixel_sigma: float,
    min_matches: int,
) -> Relocation | None:
    """Return the pose that fits the landmarks of one of some keyframes; None if none does.

    Args:
        local_map: keyframes and landmarks.
        candidates: keyframes to compare with; the first that fits well is taken.
        ideal: (N, 2) ideal pixels of corners in the image.
        descriptors: (N, 32) of them.
        lens: of the image.
        pixel_sigma: standard deviation of a corner, pixels.
        min_matches: corners that must agree with the pose.
    """
    for index in candidates:
        keyframe = local_map.keyframes[index]
        known = local_map.landmarks.known(keyframe.described)
        ids = keyframe.described[known]
        rows, columns = match(descriptors, keyframe.descriptors[known])
        if len(rows) < min_matches:
            continue
        nothing = np.full(len(rows), np.nan)
        sightings = Sightings(
            local_map.landmarks.position[ids[columns]], ideal[rows], nothing, nothing
        )
        # Corners are found anew and lie up to a pixel off those that were tracked.
        pose = find_pose(sightings, lens, 2.0 * pixel_sigma)
        if pose is not None and int(pose.inliers.sum()) >= min_matches:
            return Relocation(index, pose, rows[pose.inliers], ids[columns[pose.inliers]])
    return None
