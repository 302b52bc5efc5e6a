"""Bundle adjustment of every keyframe around a loop, after the pose graph has closed it."""

from __future__ import annotations

import threading

import numpy as np

from e2e_slam_ros.config.tracking import AdjustmentConfig
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.bundle import adjust
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.loop_closure import move
from e2e_slam_ros.tracking.rigid import Floats

# Landmarks used of each keyframe, keyframes at most, and steps: together they bound the time.
_PER_KEYFRAME = 80
_MOST_KEYFRAMES = 500
_STEPS = 6
_FEWEST_RATIOS = 10


def adjust_all(
    local_map: LocalMap,
    first: int,
    last: int,
    lens: Lens,
    settings: AdjustmentConfig,
    with_scale: bool,
    lock: threading.RLock,
) -> bool:
    """Adjust keyframes ``first`` to ``last`` in one problem; return whether the map changed.

    The lock is held to read and to write, never during the computation. What the problem leaves
    out (newer keyframes, landmarks seen once or less often than others) moves with its keyframe.

    Args:
        local_map: the map.
        first, last: keyframe indices; more than 500 are left alone.
        lens: of all keyframes.
        settings: standard deviations.
        with_scale: depth is not measured, so keyframes may change their scale.
        lock: guards the map.
    """
    # Where poses are given the first is as noisy as any other: all of them hold the map.
    held = 0 if local_map.keyframes[0].given is not None else 1
    moving = list(range(max(first, held), last + 1))
    if not moving or len(moving) > _MOST_KEYFRAMES:
        return False
    with lock:
        posed = local_map.problem(
            moving, settings.fixed, lens, settings.pixel_sigma, per_keyframe=_PER_KEYFRAME
        )
        before = np.stack([k.T_map_camera for k in local_map.keyframes[: last + 1]])
    if posed is None:
        return False
    problem, cameras, ids = posed
    solution = adjust(problem, _STEPS)
    if not solution.steps:
        return False
    poses, scales = before.copy(), np.ones(len(before))
    for position, k in enumerate(cameras):
        if not max(first, local_map.fixed) <= k <= last:
            continue
        poses[k] = rigid.orthonormal(rigid.inverse(solution.T_camera_map[position]))
        if with_scale:
            rows = problem.point_of[problem.camera_of == position]
            scales[k] = _depth_ratio(
                problem.T_camera_map[position],
                problem.points[rows],
                solution.T_camera_map[position],
                solution.points[rows],
            )
    with lock:
        move(local_map, poses, scales)
        free = ids >= local_map.fixed_landmarks
        local_map.landmarks.position[ids[free]] = solution.points[free]
        local_map.drop_outliers(problem, solution, cameras, ids)
    return True


def _depth_ratio(T_old: Floats, old: Floats, T_new: Floats, new: Floats) -> float:
    """Return the median of the depths (N,) after over those before; 1 with too few."""
    if len(old) < _FEWEST_RATIOS:
        return 1.0
    z_old = rigid.transform_points(T_old, old)[:, 2]
    z_new = rigid.transform_points(T_new, new)[:, 2]
    good = (z_old > 0.0) & (z_new > 0.0)
    return float(np.median(z_new[good] / z_old[good])) if good.sum() >= _FEWEST_RATIOS else 1.0
