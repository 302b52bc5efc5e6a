"""New keyframes while the tracker only localises: they join the loaded map, and are forgotten."""

from __future__ import annotations

import threading
from dataclasses import replace

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.back_end import BackEnd
from e2e_slam_ros.tracking.front_state import FrontState
from e2e_slam_ros.tracking.place_search import find_place, rejoin
from e2e_slam_ros.tracking.tracking_keyframe import TrackingKeyframe
from e2e_slam_ros.tracking.tracks import TrackedView

# New keyframes kept while localising; with so many the tracker goes back to the loaded ones.
_MOST_TEMPORARY, _MOST_WITHOUT_MAP = 60, 300


def rejoin_loaded(
    front: FrontState, keyframe: TrackingKeyframe, back_end: BackEnd, lock: threading.RLock
) -> None:
    """Recognise a new keyframe that sees few loaded landmarks; they may have drifted away.

    Args:
        front: with a loaded map.
        keyframe: the new one.
        back_end: that worked on it; where it is not the front end's any more, nothing happens.
        lock: the tracker's, held to write only.
    """
    config, lens = front.config, front.lens
    old = int((keyframe.seen.ids < front.map.fixed_landmarks).sum())
    if old >= 2 * config.min_inliers or lens is None:
        return
    view = TrackedView(keyframe.image, lens, None, config.adjustment.pixel_sigma)
    found = find_place(front.map, back_end.places, view, config)
    with lock:
        if found is not None and back_end is front.back_end:
            rejoin(front.map, keyframe, found, lens)


def forget_temporary(front: FrontState) -> bool:
    """Go back to the loaded keyframes once there are many new ones: memory stays bounded.

    Returns:
        Whether the pose was forgotten too, because hardly any loaded landmark is in sight.
    """
    count = len(front.map.keyframes) - front.map.fixed
    if front.last is None or front.pending or count <= _MOST_TEMPORARY:
        return False
    old = front.tracks.chosen(front.tracks.ids < front.map.fixed_landmarks)
    enough = len(old.ids) >= 2 * front.config.min_inliers
    if not enough and count <= _MOST_WITHOUT_MAP:
        return False  # out of sight of the loaded landmarks: they may come back
    T_map_camera = front.pose_of(front.last.keyframe, front.last.T_keyframe_camera)
    front.map.forget_new()
    front.updates.clear()
    if not enough:
        front.forget_pose()
        return True
    front.tracks, keyframe = old, front.map.keyframes[-1]
    relative = rigid.inverse(keyframe.T_map_camera) @ T_map_camera
    front.last = replace(front.last, keyframe=keyframe.index, T_keyframe_camera=relative)
    return False
