"""Pose graph: keyframe poses that fit the relative poses between them, with or without scale.

Gauss-Newton over similarities (Strasdat et al., "Scale Drift-Aware Large Scale Monocular SLAM",
RSS 2010). Each keyframe has a rotation, a position and a scale. Where the scale is measured, it
stays 1 and the graph holds rigid motions only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.rigid import Floats

_STEPS = 20
_CONVERGED = 1e-8
_ROTATION_SIGMA = 0.005  # radians
_SCALE_SIGMA = 0.02


@dataclass(frozen=True, eq=False)
class RelativePose:
    """A measured similarity from one keyframe to another.

    Attributes:
        first, second: indices of the keyframes.
        T_first_second: (4, 4) rigid part.
        scale: length of a metre of ``second`` in metres of ``first``.
        translation_sigma: standard deviation of its translation, metres.

    Example:
        >>> T_first_second = np.eye(4)
        >>> T_first_second[0, 3] = 0.5
        >>> edges = [RelativePose(0, 1, T_first_second)]
        >>> poses, scales = optimise(np.stack([np.eye(4)] * 2), edges, fixed=0, with_scale=False)
        >>> poses[:, 0, 3].round(6).tolist(), scales.tolist()
        ([0.0, 0.5], [1.0, 1.0])
    """

    first: int
    second: int
    T_first_second: Floats
    scale: float = 1.0
    translation_sigma: float = 0.01


def optimise(
    T_map_keyframe: Floats, edges: list[RelativePose], fixed: int, with_scale: bool
) -> tuple[Floats, Floats]:
    """Return the poses (K, 4, 4) and scales (K,) that fit ``edges`` best.

    Args:
        T_map_keyframe: (K, 4, 4) poses to start from.
        edges: relative poses; they must connect every keyframe with ``fixed``.
        fixed: the keyframe that does not move, with scale 1.
        with_scale: let the scales vary.
    """
    poses, scales = T_map_keyframe.copy(), np.ones(len(T_map_keyframe))
    first = np.array([edge.first for edge in edges])
    second = np.array([edge.second for edge in edges])
    measured = rigid.inverse(np.stack([edge.T_first_second for edge in edges]))
    measured_scale = np.array([edge.scale for edge in edges])
    sigma = np.array([edge.translation_sigma for edge in edges])
    weight = np.ones((len(edges), 7))
    weight[:, :3] = 1.0 / sigma[:, None]
    weight[:, 3:6], weight[:, 6] = 1.0 / _ROTATION_SIGMA, 1.0 / _SCALE_SIGMA
    for _ in range(_STEPS):
        error, adjoint = _errors(poses, scales, first, second, measured, measured_scale)
        step = _solve(error, adjoint, weight, first, second, len(poses), fixed, with_scale)
        moved = rigid.exp(np.concatenate([np.zeros_like(step[:, :3]), step[:, 3:6]], axis=1))
        poses[:, :3, 3] += scales[:, None] * (poses[:, :3, :3] @ step[:, :3, None])[..., 0]
        poses[:, :3, :3] = poses[:, :3, :3] @ moved[:, :3, :3]
        scales = scales * np.exp(step[:, 6])
        if np.abs(step).max() < _CONVERGED:
            break
    return np.stack([rigid.orthonormal(pose) for pose in poses]), scales


def _errors(
    poses: Floats,
    scales: Floats,
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
    measured_inverse: Floats,
    measured_scale: Floats,
) -> tuple[Floats, Floats]:
    """Return errors (E, 7) ``[t, rotation vector, log scale]`` and Ad of second^-1 first."""
    R1, R2 = poses[first, :3, :3], poses[second, :3, :3]
    s1, s2 = scales[first], scales[second]
    R = np.swapaxes(R1, 1, 2) @ R2
    t = (np.swapaxes(R1, 1, 2) @ (poses[second, :3, 3] - poses[first, :3, 3])[..., None])[..., 0]
    t, s = t / s1[:, None], s2 / s1
    # E = M^-1 (first^-1 second) with M the measurement.
    RM = measured_inverse[:, :3, :3]
    tM = measured_inverse[:, :3, 3] / measured_scale[:, None]
    error_t = (RM @ t[..., None])[..., 0] / measured_scale[:, None] + tM
    error_R = RM @ R
    turn = np.stack([rigid.rotation_vector(rotation) for rotation in error_R])
    error = np.concatenate([error_t, turn, np.log(s / measured_scale)[:, None]], axis=1)
    back_R = np.swapaxes(R, 1, 2)
    back_s = 1.0 / s
    back_t = -back_s[:, None] * (back_R @ t[..., None])[..., 0]
    adjoint = np.zeros((len(first), 7, 7))
    adjoint[:, :3, :3] = back_s[:, None, None] * back_R
    adjoint[:, :3, 3:6] = rigid.hat(back_t) @ back_R
    adjoint[:, :3, 6] = -back_t
    adjoint[:, 3:6, 3:6] = back_R
    adjoint[:, 6, 6] = 1.0
    return error, adjoint


def _solve(
    error: Floats,
    adjoint: Floats,
    weight: Floats,
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
    count: int,
    fixed: int,
    with_scale: bool,
) -> Floats:
    """Return the Gauss-Newton step (K, 7)."""
    edges = len(error)
    size = 7 if with_scale else 6
    by_second = weight[:, :size, None] * np.eye(7)[None, :size, :size]
    by_first = -weight[:, :size, None] * adjoint[:, :size, :size]
    rows = np.arange(edges * size).reshape(edges, size, 1).repeat(size, axis=2)
    columns = np.arange(size)[None, None]
    parts = [(by_first, first), (by_second, second)]
    jacobian = coo_matrix(
        (
            np.concatenate([part.ravel() for part, _ in parts]),
            (
                np.concatenate([rows.ravel()] * 2),
                np.concatenate(
                    [
                        np.broadcast_to(node[:, None, None] * size + columns, rows.shape).ravel()
                        for _, node in parts
                    ]
                ),
            ),
        ),
        shape=(edges * size, count * size),
    ).tocsc()
    free = np.ones(count * size, np.bool_)
    free[fixed * size : (fixed + 1) * size] = False
    jacobian = jacobian[:, np.flatnonzero(free)]
    right = (weight * error)[:, :size].ravel()
    normal = (jacobian.T @ jacobian).tocsc()
    step = np.zeros(count * size)
    step[free] = -spsolve(normal, jacobian.T @ right)
    result = np.zeros((count, 7))
    result[:, :size] = step.reshape(count, size)
    return result
