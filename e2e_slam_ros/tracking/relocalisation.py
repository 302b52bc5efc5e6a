"""The pose of an image from its appearance, without a previous pose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.tracking.absolute_pose import PoseEstimate, Sightings, find_pose
from e2e_slam_ros.tracking.corners import Descriptors, describe, detect_corners, match
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.place_index import PlaceIndex
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.tracks import Followed, TrackedView, Tracks

# Keyframes that may be compared: the newest, and those that look most alike.
_NEWEST, _ALIKE = 3, 5
# Of these so many are compared where the camera is lost.
_COMPARED = 3


@dataclass(frozen=True, eq=False)
class Relocation:
    """The result of relocalisation.

    Attributes:
        keyframe: index of the recognised keyframe.
        pose: of the image.
        followed: the matched landmarks, as tracks in the image.

    Example:
        >>> tracks, agree = Tracks(np.array([4]), np.array([[20.0, 20.0]])), np.ones(1, np.bool_)
        >>> pose = PoseEstimate(np.eye(4), np.eye(6), agree)
        >>> relocation = Relocation(keyframe=2, pose=pose, followed=Followed(tracks, agree, pose))
        >>> relocation.keyframe, relocation.followed.inliers
        (2, 1)
    """

    keyframe: int
    pose: PoseEstimate
    followed: Followed


def recognise(
    local_map: LocalMap,
    places: PlaceIndex,
    view: TrackedView,
    config: TrackingConfig,
    lost: bool = False,
) -> Relocation | None:
    """Return the pose of an image from its corners alone; None at an unknown place.

    The newest keyframes are compared first, or those that look alike where the camera is ``lost``.
    """
    none = np.zeros((0, 2))
    # Corners found anew seldom fall on those that were tracked: twice as many, closer together.
    pixels = detect_corners(view.image, none, 2 * config.corners, config.corner_distance_px / 2.0)
    descriptors = describe(view.image, pixels)
    return relocalise(
        local_map,
        _candidates(places, descriptors, lost),
        pixels,
        descriptors,
        view.lens,
        view.pixel_sigma,
        config.min_inliers,
    )


def _candidates(places: PlaceIndex, descriptors: Descriptors, lost: bool) -> Iterator[int]:
    """Yield the keyframes to compare with, in order; the index is asked when it is needed."""
    count = len(places)
    newest = list(range(count - 1, max(-1, count - 1 - _NEWEST), -1))
    if not lost:
        yield from newest
    alike = places.query(descriptors, _ALIKE)
    if not lost:
        yield from (k for k in alike if k not in newest)
        return
    yield from alike[:1]
    others = alike[1:] + [k for k in newest if k not in alike]
    yield from places.most_alike(descriptors, others, _COMPARED - 1)


def relocalise(
    local_map: LocalMap,
    candidates: Iterable[int],
    pixels: Floats,
    descriptors: Descriptors,
    lens: Lens,
    pixel_sigma: float,
    min_matches: int,
) -> Relocation | None:
    """Return the pose that fits the landmarks of one candidate; None if none fits.

    Args:
        local_map: keyframes and landmarks.
        candidates: keyframes to compare with, in order; the first that fits counts.
        pixels: (N, 2) corners in the image, as recorded.
        descriptors: (N, 32) of them.
        lens: of the image.
        pixel_sigma: standard deviation of a corner, pixels.
        min_matches: corners that must agree with the pose.
    """
    ideal = lens.ideal(pixels)
    for index in candidates:
        keyframe = local_map.keyframes[index]
        known = local_map.landmarks.known(keyframe.described)
        ids = keyframe.described[known]
        rows, columns = match(descriptors, keyframe.descriptors[known])
        use = np.isfinite(ideal[rows]).all(1)
        rows, columns = rows[use], columns[use]
        if len(rows) < min_matches:
            continue
        nothing = np.full(len(rows), np.nan)
        sightings = Sightings(
            local_map.landmarks.position[ids[columns]], ideal[rows], nothing, nothing
        )
        # Corners are found anew and lie up to a pixel off those that were tracked.
        pose = find_pose(sightings, lens, 2.0 * pixel_sigma)
        if pose is not None and int(pose.inliers.sum()) >= min_matches:
            tracks = Tracks(ids[columns], pixels[rows])
            return Relocation(index, pose, Followed(tracks, np.ones(len(rows), np.bool_), pose))
    return None
