"""Loop closure: find a place seen before, verify its geometry, and correct the map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.absolute_pose import Sightings, find_pose
from e2e_slam_ros.tracking.corners import match
from e2e_slam_ros.tracking.height_scale import Stretch
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.pose_graph import RelativePose, optimise
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.tracking_keyframe import TrackingKeyframe

# A keyframe that shares this many landmarks with another is tied to it in the graph.
_STRONG = 40
_TIES = 4
# Under this the map's reuse finds its landmarks without a loop, in pixels.
_LEAST_SHIFT_PX = 12.0
_SCALE_LIMITS = (0.5, 2.0)


@dataclass(frozen=True, eq=False)
class Loop:
    """A verified loop.

    Attributes:
        old: index of the old keyframe of the same place.
        T_map_camera: (4, 4) pose of the new keyframe by the old landmarks.
        scale: metres of the old landmarks per metre of the new ones.
        matches: number of landmarks that agree.

    Example:
        >>> loop = Loop(old=3, T_map_camera=np.eye(4), scale=1.1, matches=40)
        >>> f"keyframe {loop.old} seen again, {loop.matches} landmarks agree"
        'keyframe 3 seen again, 40 landmarks agree'
    """

    old: int
    T_map_camera: Floats
    scale: float
    matches: int


@dataclass(frozen=True)
class ReusedLoop:
    """A loop that map reuse closed: `usual` and `oldest` of the old keyframes seen again.

    Example:
        >>> loop = ReusedLoop(usual=7, oldest=3)
        >>> loop.oldest
        3
    """

    usual: int
    oldest: int


def met_again(
    local_map: LocalMap, keyframe: TrackingKeyframe, min_gap: int, min_matches: int
) -> ReusedLoop | None:
    """Return the old keyframes that a keyframe has landmarks in common with; None for too few.

    After little drift, old landmarks project near enough to where they are to be found. The newest
    keyframes then hang on the old ones, and those between do not know of it.

    Args:
        local_map: keyframes and landmarks.
        keyframe: the newest, after map reuse.
        min_gap: a landmark counts when no keyframe of this many before saw it.
        min_matches: smallest number of such landmarks.
    """
    now, observers = keyframe.index, local_map.landmarks.observers
    others = [[k for k in observers(i) if k != now] for i in keyframe.seen.ids.tolist()]
    old = [ks for ks in others if ks and max(ks) <= now - min_gap]
    if len(old) < min_matches:
        return None
    return ReusedLoop(int(np.median([max(ks) for ks in old])), min(min(ks) for ks in old))


def verify(
    local_map: LocalMap,
    keyframe: TrackingKeyframe,
    candidates: list[int],
    lens: Lens,
    pixel_sigma: float,
    min_matches: int,
) -> Loop | None:
    """Return the loop to the first candidate that passes all checks; None if none does.

    Descriptors match the keyframe's own landmarks with the candidate's. One pose must project the
    candidate's landmarks onto the keyframe's pixels, and the depths of both must agree up to one
    scale.
    """
    landmarks = local_map.landmarks
    mine_known = landmarks.known(keyframe.described)
    mine = keyframe.described[mine_known]
    where = {int(i): row for row, i in enumerate(keyframe.seen.ids)}
    T_camera_map = rigid.inverse(keyframe.T_map_camera)
    for old in candidates:
        other = local_map.keyframes[old]
        theirs_known = landmarks.known(other.described)
        theirs = other.described[theirs_known]
        rows, columns = match(
            keyframe.descriptors[mine_known], other.descriptors[theirs_known], 0.75, 50
        )
        here = np.array([int(mine[row]) in where for row in rows], dtype=np.bool_)
        rows, columns = rows[here], columns[here]
        if len(rows) < min_matches:
            continue
        pixels = keyframe.seen.ideal[[where[int(mine[row])] for row in rows]]
        points = landmarks.position[theirs[columns]]
        nothing = np.full(len(rows), np.nan)
        pose = find_pose(Sightings(points, pixels, nothing, nothing), lens, 1.5 * pixel_sigma)
        if pose is None or pose.inliers.sum() < min_matches or pose.inliers.mean() < 0.35:
            continue
        chosen = pose.inliers
        new_depth = rigid.transform_points(T_camera_map, landmarks.position[mine[rows[chosen]]])
        old_depth = rigid.transform_points(pose.T_camera_map, points[chosen])
        ratios = old_depth[:, 2] / new_depth[:, 2]
        scale = float(np.median(ratios))
        agree = np.abs(np.log(np.maximum(ratios / scale, 1e-6))) < 0.25
        if not _SCALE_LIMITS[0] < scale < _SCALE_LIMITS[1] or agree.sum() < min_matches:
            continue
        return Loop(old, rigid.inverse(pose.T_camera_map), scale, int(chosen.sum()))
    return None


def shift_px(local_map: LocalMap, keyframe: TrackingKeyframe, loop: Loop, lens: Lens) -> float:
    """Return the median shift of old landmarks in the keyframe if the loop closes, pixels."""
    old = local_map.keyframes[loop.old]
    ids = old.seen.ids[local_map.landmarks.known(old.seen.ids)]
    points = local_map.landmarks.position[ids]
    now = lens.project(rigid.transform_points(rigid.inverse(keyframe.T_map_camera), points))
    then = lens.project(rigid.transform_points(rigid.inverse(loop.T_map_camera), points))
    distance = np.linalg.norm(now - then, axis=1)
    distance = np.where(np.isfinite(distance), distance, lens.camera.width)
    return float(np.median(distance)) if len(distance) else 0.0


def is_open(local_map: LocalMap, keyframe: TrackingKeyframe, loop: Loop, lens: Lens) -> bool:
    """Return whether the loop moves the map; if not, reuse connects its ends anyway."""
    return shift_px(local_map, keyframe, loop, lens) > _LEAST_SHIFT_PX


def corrected_poses(
    local_map: LocalMap, keyframe: TrackingKeyframe, loop: Loop, with_scale: bool
) -> tuple[Floats, Floats]:
    """Return poses (K, 4, 4) and scales (K,) of keyframes 0 to ``keyframe`` with a loop closed.

    Keyframes of a loaded map stay where they are.
    """
    keyframes = local_map.keyframes[: keyframe.index + 1]
    poses = np.stack([k.T_map_camera for k in keyframes])
    inverse = rigid.inverse(poses)
    pairs = {(k - 1, k) for k in range(1, len(keyframes))}
    for k in keyframes:
        others, counts = local_map.covisible(k.seen.ids)
        strong = [int(o) for o, c in zip(others, counts, strict=True) if c >= _STRONG]
        pairs |= {(o, k.index) for o in strong[:_TIES] if o < k.index}
    edges = []
    for a, b in sorted(pairs):
        relative = inverse[a] @ poses[b]
        sigma = 0.005 + 0.02 * float(np.linalg.norm(relative[:3, 3]))
        edges.append(RelativePose(a, b, relative, 1.0, sigma))
    T_old_new = inverse[loop.old] @ loop.T_map_camera
    # The new keyframe's metre is `scale` metres of the old one's.
    scale = loop.scale if with_scale else 1.0
    edges.append(RelativePose(loop.old, keyframe.index, T_old_new, scale, 0.005))
    if local_map.fixed > 1:
        return _optimise_new(poses, edges, local_map.fixed, with_scale)
    return optimise(poses, edges, 0, with_scale)


def _optimise_new(
    poses: Floats, edges: list[RelativePose], fixed: int, with_scale: bool
) -> tuple[Floats, Floats]:
    """Optimise the keyframes from ``fixed`` on; the others are one rigid node of the graph."""
    T_first = rigid.inverse(poses[0]) @ poses[:fixed]
    joined = []
    for edge in edges:
        if edge.second < fixed:
            continue
        T = edge.T_first_second
        if edge.first < fixed:
            T = T_first[edge.first] @ T
        first = max(0, edge.first - fixed + 1)
        second = edge.second - fixed + 1
        joined.append(RelativePose(first, second, T, edge.scale, edge.translation_sigma))
    nodes = np.concatenate([poses[:1], poses[fixed:]])
    moved, scales = optimise(nodes, joined, 0, with_scale)
    moved = np.concatenate([poses[:fixed], moved[1:]])
    return moved, np.concatenate([np.ones(fixed), scales[1:]])


def move(local_map: LocalMap, poses: Floats, scales: Floats) -> None:
    """Move keyframes to corrected poses, and each landmark with the keyframe that first saw it.

    Keyframes that are newer than the correction move along with its last one.
    """
    landmarks, last = local_map.landmarks, len(poses) - 1
    before = [k.T_map_camera for k in local_map.keyframes]
    after = list(poses)
    for k in range(last + 1, len(before)):
        relative = rigid.inverse(before[last]) @ before[k]
        relative[:3, 3] *= scales[last]
        after.append(poses[last] @ relative)
    every_scale = np.concatenate([scales, np.full(len(before) - len(scales), scales[last])])
    anchors = landmarks.anchor
    for k, (old, new) in enumerate(zip(before, after, strict=True)):
        if every_scale[k] == 1.0 and np.array_equal(old, new):
            continue  # not even rounding may change a loaded map
        rows = np.flatnonzero(anchors == k)
        local = rigid.transform_points(rigid.inverse(old), landmarks.position[rows])
        landmarks.position[rows] = rigid.transform_points(new, local * every_scale[k])
        local_map.keyframes[k].T_map_camera = new
        local_map.keyframes[k].scale *= float(every_scale[k])


def stretch(local_map: LocalMap, change: Stretch) -> None:
    """Change the scale of the map: of all of it, or evenly from one keyframe to another.

    The depths that keyframes were given change alike: they were given in the old metre.
    """
    if not local_map.keyframes or local_map.fixed:
        return
    before = np.stack([keyframe.T_map_camera for keyframe in local_map.keyframes])
    index = np.arange(len(before))
    share = np.ones(len(before))
    if change.first is not None and change.last is not None:
        share = np.clip((index - change.first) / max(1, change.last - change.first), 0.0, 1.0)
    scales = change.factor**share
    after = before.copy()
    for k in range(1, len(before)):
        relative = rigid.inverse(before[k - 1]) @ before[k]
        relative[:3, 3] *= np.sqrt(scales[k - 1] * scales[k])
        if scales[k] != 1.0:
            after[k] = rigid.orthonormal(after[k - 1] @ relative)
    move(local_map, after, scales)
    for keyframe, scale in zip(local_map.keyframes, scales, strict=True):
        keyframe.seen.inverse_depth = keyframe.seen.inverse_depth / scale
        keyframe.seen.inverse_depth_sigma = keyframe.seen.inverse_depth_sigma / scale
