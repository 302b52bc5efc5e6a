"""Tracks of a new keyframe: aligned with their first patches, and triangulated."""

from __future__ import annotations

import threading

import numpy as np

from e2e_slam_ros.tracking.landmarks import Ids
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.patches import align, image_levels
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.tracking_keyframe import TrackingKeyframe
from e2e_slam_ros.tracking.triangulation import triangulate
from e2e_slam_ros.tracking.warp import view_patches

# Correlation with its first patch under which a track has slid onto something else.
_LEAST_SIMILARITY = 0.6
_REFINED_SIMILARITY = 0.8
_MOST_DRIFT_PX = 2.5


def refine_tracks(
    local_map: LocalMap, keyframe: TrackingKeyframe, lens: Lens, lock: threading.RLock
) -> None:
    """Align each track with its first patch, because flow from image to image drifts.

    Tracks that have slid onto something else are dropped.

    Args:
        local_map: with the keyframe.
        keyframe: the new one.
        lens: of the camera.
        lock: held during writes to the map only.
    """
    seen, landmarks = keyframe.seen, local_map.landmarks
    rows = np.flatnonzero(
        (landmarks.anchor[seen.ids] != keyframe.index) & landmarks.known(seen.ids)
    )
    if not len(rows):
        return
    ids = seen.ids[rows]
    view = view_patches(local_map, ids, keyframe, lens)
    rows, ids, warps = rows[view.usable], ids[view.usable], view.warps[view.usable]
    anchors, which = np.unique(landmarks.anchor[ids], return_inverse=True)
    levels = [image_levels(local_map.keyframes[a].image, 1) for a in anchors]
    found = align(
        levels,
        which,
        landmarks.anchor_pixel[ids],
        warps,
        image_levels(keyframe.image, 1),
        seen.pixels[rows],
        0,
        landmarks.edge[ids],
    )
    drift = np.linalg.norm(found.pixels - seen.pixels[rows], axis=1)
    better = (found.similarity > _REFINED_SIMILARITY) & (drift < _MOST_DRIFT_PX)
    slid = np.zeros(len(seen.ids), np.bool_)
    slid[rows] = found.similarity < _LEAST_SIMILARITY
    with lock:
        seen.pixels[rows[better]] = found.pixels[better]
        seen.ideal[rows[better]] = lens.ideal(found.pixels[better], keyframe.turning)
        local_map.unsee(keyframe, slid)


def triangulate_tracks(
    local_map: LocalMap, keyframe: TrackingKeyframe, lens: Lens, lock: threading.RLock
) -> None:
    """Give a position to tracks without depth that two distant enough keyframes see.

    Args:
        local_map: with the keyframe.
        keyframe: the new one.
        lens: of the camera.
        lock: held during writes to the map only.
    """
    landmarks, seen = local_map.landmarks, keyframe.seen
    unknown = landmarks.alive[seen.ids] & ~landmarks.known(seen.ids) & ~landmarks.edge[seen.ids]
    rows = np.flatnonzero(unknown & (landmarks.anchor[seen.ids] != keyframe.index))
    if not len(rows):
        return
    ids = seen.ids[rows]
    first, poses = _first_sightings(local_map, ids, lens)
    points, good = triangulate(first, seen.ideal[rows], poses, keyframe.T_map_camera, lens)
    with lock:
        landmarks.position[ids[good]] = points[good]


def _first_sightings(local_map: LocalMap, ids: Ids, lens: Lens) -> tuple[Floats, Floats]:
    """Return ideal pixels (N, 2) and poses (N, 4, 4) of the keyframes that first saw landmarks."""
    landmarks = local_map.landmarks
    anchors, which = np.unique(landmarks.anchor[ids], return_inverse=True)
    pixels = np.empty((len(ids), 2))
    for number, anchor in enumerate(anchors.tolist()):
        rows = which == number
        turning = local_map.keyframes[anchor].turning
        pixels[rows] = lens.ideal(landmarks.anchor_pixel[ids[rows]], turning)
    poses = np.stack([local_map.keyframes[anchor].T_map_camera for anchor in anchors.tolist()])
    return pixels, poses[which]
