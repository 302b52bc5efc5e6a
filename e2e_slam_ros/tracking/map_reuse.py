"""Old landmarks found again in a new keyframe."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.tracking import MapReuseConfig
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.absolute_pose import Sightings, refine_pose
from e2e_slam_ros.tracking.landmarks import Ids
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.patches import align, image_levels
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.tracking_keyframe import Observations, TrackingKeyframe
from e2e_slam_ros.tracking.warp import view_patches

_MOST_CANDIDATES = 800
_BORDER_PX = 8.0
_CELL_PX = 24
_COARSEST = 2
# A tracked corner and an old landmark this near to each other are the same.
_SAME_PX = 1.5
_SAME_DEPTH = 1.3


@dataclass(frozen=True, eq=False)
class ReusedLandmarks:
    """Old landmarks found again in a keyframe.

    Attributes:
        ids: (N,) landmarks.
        pixels: (N, 2) their recorded pixels.
        ideal: (N, 2) the same without distortion.
        searched: number of landmarks looked for.

    Example:
        >>> pixels = np.array([[20.0, 20.0], [40.0, 20.0]])
        >>> found = ReusedLandmarks(np.array([4, 7]), pixels, pixels)
        >>> dict(zip(found.ids.tolist(), found.pixels.tolist()))
        {4: [20.0, 20.0], 7: [40.0, 20.0]}
    """

    ids: Ids
    pixels: Floats
    ideal: Floats
    searched: int = 0


def find_again(
    local_map: LocalMap,
    keyframe: TrackingKeyframe,
    lens: Lens,
    config: MapReuseConfig,
    pixel_sigma: float,
    before: int | None = None,
) -> ReusedLandmarks:
    """Return landmarks that a keyframe sees but that were not tracked into it.

    Each candidate's patch is aligned with the image around the landmark's projection. A candidate
    counts when three things hold: the patches correlate; it agrees with the pose that most found
    landmarks agree on; enough others of the same older keyframe were found too.

    Args:
        local_map: keyframes and landmarks.
        keyframe: the one to search.
        lens: of the camera.
        config: thresholds.
        pixel_sigma: standard deviation of a corner, pixels.
        before: only landmarks first seen by keyframes of a lower index.
    """
    ids = _candidates(local_map, keyframe, lens)
    if before is not None:
        ids = ids[local_map.landmarks.anchor[ids] < before]
    view = view_patches(local_map, ids, keyframe, lens)
    use = view.usable & lens.inside(view.pixels, _BORDER_PX)
    ids, expected, warps = ids[use], view.pixels[use], view.warps[use]
    ids, expected, warps = _spread(local_map, ids, expected, warps)
    empty = ReusedLandmarks(np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros((0, 2)))
    if len(ids) < config.min_matches:
        return empty
    anchors, which = np.unique(local_map.landmarks.anchor[ids], return_inverse=True)
    levels = [image_levels(local_map.keyframes[a].image, _COARSEST + 1) for a in anchors]
    found = align(
        levels,
        which,
        local_map.landmarks.anchor_pixel[ids],
        warps,
        image_levels(keyframe.image, _COARSEST + 1),
        expected,
        _COARSEST,
    )
    local_map.landmarks.searched[ids] += 1
    searched = len(ids)
    near = np.linalg.norm(found.pixels - expected, axis=1) < config.radius_px
    good = near & (found.similarity > config.min_similarity) & lens.inside(found.pixels, 4.0)
    ids, pixels = ids[good], found.pixels[good]
    if len(ids) < config.min_matches:
        return empty
    ideal = lens.ideal(pixels, keyframe.turning)
    nothing = np.full(len(ids), np.nan)
    sightings = Sightings(local_map.landmarks.position[ids], ideal, nothing, nothing)
    pose = refine_pose(sightings, lens, rigid.inverse(keyframe.T_map_camera), 2.0 * pixel_sigma)
    counts = np.bincount(local_map.landmarks.anchor[ids[pose.inliers]], minlength=1)
    anchors_of = local_map.landmarks.anchor[ids]
    enough = counts[np.minimum(anchors_of, len(counts) - 1)] >= config.min_matches
    keep = pose.inliers & enough
    local_map.landmarks.found[ids[keep]] += 1
    return ReusedLandmarks(ids[keep], pixels[keep], ideal[keep], searched)


def observe_again(
    local_map: LocalMap,
    keyframe: TrackingKeyframe,
    lens: Lens,
    config: MapReuseConfig,
    pixel_sigma: float,
    lock: threading.RLock,
) -> None:
    """Observe old landmarks again; merge those that are tracked under another id.

    Args:
        local_map, keyframe, lens, config, pixel_sigma: see `find_again`.
        lock: held during writes to the map only.
    """
    found = find_again(local_map, keyframe, lens, config, pixel_sigma)
    if not len(found.ids):
        return
    with lock:
        new = _merge_same(local_map, keyframe, found)
        local_map.see(
            keyframe,
            Observations.without_depth(found.ids[new], found.pixels[new], found.ideal[new]),
        )


def _merge_same(
    local_map: LocalMap, keyframe: TrackingKeyframe, found: ReusedLandmarks
) -> npt.NDArray[np.bool_]:
    """Merge tracks into old landmarks found at the same pixel; return a mask of the others."""
    landmarks, seen = local_map.landmarks, keyframe.seen
    left = np.ones(len(found.ids), np.bool_)
    if not len(seen.ids):
        return left
    T_camera_map = rigid.inverse(keyframe.T_map_camera)
    distance = np.linalg.norm(found.pixels[:, None] - seen.pixels[None], axis=2)
    nearest = distance.argmin(1)
    for i in np.flatnonzero(distance.min(1) < _SAME_PX):
        kept, other = int(found.ids[i]), int(seen.ids[nearest[i]])
        left[i] = False
        if not landmarks.alive[other] or not landmarks.alive[kept] or landmarks.edge[other]:
            continue
        points = landmarks.position[[kept, other]]
        depth = rigid.transform_points(T_camera_map, points)[:, 2]
        ratio = depth[0] / depth[1] if np.isfinite(depth[1]) else 1.0
        if 1.0 / _SAME_DEPTH < ratio < _SAME_DEPTH:
            local_map.merge(kept, other)
    return left


def _candidates(local_map: LocalMap, keyframe: TrackingKeyframe, lens: Lens) -> Ids:
    """Return the landmarks that project into the keyframe and are not tracked there."""
    landmarks = local_map.landmarks
    every = np.arange(len(landmarks))
    every = every[landmarks.known(every) & ~landmarks.edge]
    every = every[landmarks.observer_counts(every) > 1]
    every = every[~np.isin(every, keyframe.seen.ids)]
    local = rigid.transform_points(rigid.inverse(keyframe.T_map_camera), landmarks.position[every])
    ideal = lens.project(local)
    margin = 0.05 * lens.camera.width
    with np.errstate(invalid="ignore"):
        near = lens.inside(ideal, -margin) & (local[:, 2] > 0.05)
    return every[near]


def _spread(
    local_map: LocalMap, ids: Ids, pixels: Floats, warps: Floats
) -> tuple[Ids, Floats, Floats]:
    """Return at most 800 candidates, in each cell of the image first those found most often."""
    if len(ids) <= _MOST_CANDIDATES:
        return ids, pixels, warps
    landmarks = local_map.landmarks
    score = (landmarks.found[ids] + 1.0) / (landmarks.searched[ids] + 1.0)
    score = score + 0.05 * np.minimum(landmarks.observer_counts(ids), 10)
    cell = (pixels // _CELL_PX).astype(int) @ np.array([1, 1000])
    order = np.lexsort((ids, -score, cell))
    ordered = cell[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    rank = np.arange(len(ids)) - np.repeat(first, np.diff(np.r_[first, len(ids)]))
    chosen = order[np.lexsort((order, rank))][:_MOST_CANDIDATES]
    chosen.sort()
    return ids[chosen], pixels[chosen], warps[chosen]
