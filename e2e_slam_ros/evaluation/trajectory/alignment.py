"""Least-squares alignment of two point sets (Umeyama 1991)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import PoseError

Array = npt.NDArray[np.float64]

# A singular value below this share of the largest possible one counts as zero.
_RANK_TOLERANCE = 1e-9
# Points that differ by less than this share of their coordinates are one point: rounding.
_SAME_POINT = 1e-12


@dataclass(frozen=True, eq=False)
class Similarity:
    """The map ``x -> scale * rotation @ x + translation``.

    Attributes:
        scale: positive; 1 for a rigid motion.
        rotation: (3, 3) float64, determinant 1.
        translation: (3,) float64, in the unit of the target points.

    >>> twice = Similarity(2.0, np.eye(3), np.array([1.0, 0.0, 0.0]))
    >>> twice.apply(np.array([[1.0, 2.0, 3.0]])).tolist()
    [[3.0, 4.0, 6.0]]
    """

    scale: float
    rotation: Array
    translation: Array

    def apply(self, points: Array) -> Array:
        """Return (N, 3) mapped points."""
        mapped: Array = self.scale * points @ self.rotation.T + self.translation
        return mapped


def umeyama(estimated: Array, true: Array, with_scale: bool) -> Similarity:
    """Return the similarity that maps ``estimated`` onto ``true`` with the least squared error.

    S. Umeyama, "Least-squares estimation of transformation parameters between two point
    patterns", PAMI 1991, equations 34 to 43. The result is a minimiser for every input:

    * one point, or one set without extent: rotation identity and scale 1;
    * points on a line (two points always are): the smallest rotation that turns one line into
      the other;
    * points in a plane: the proper rotation, never a reflection.

    Args:
        estimated, true: (N, 3) corresponding points, N at least 1, finite.
        with_scale: also estimate the scale; otherwise it is 1.

    Raises:
        PoseError: the shapes differ, there is no point, or a value is not finite.

    >>> estimated = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> found = umeyama(estimated, 2.0 * estimated + 3.0, with_scale=True)
    >>> round(found.scale, 6), found.translation.round(6).tolist()
    (2.0, [3.0, 3.0, 3.0])
    """
    source, target = _points(estimated, true)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    x, y = source - source_mean, target - target_mean
    variance, target_variance = ((part**2).sum() / len(x) for part in (x, y))
    U, singular, Vt = np.linalg.svd(y.T @ x / len(x))
    rank = int((singular > _RANK_TOLERANCE * np.sqrt(variance * target_variance)).sum())
    if _is_one_point(source, x) or _is_one_point(target, y):
        rank = 0
    if rank == 0:
        rotation, scale = np.eye(3), 1.0
    elif rank == 1:
        rotation, scale = _smallest_rotation(Vt[0], U[:, 0]), float(singular[0] / variance)
    else:
        signs = np.array([1.0, 1.0, np.sign(np.linalg.det(U) * np.linalg.det(Vt))])
        rotation, scale = U * signs @ Vt, float((singular * signs).sum() / variance)
    scale = scale if with_scale else 1.0
    return Similarity(scale, rotation, target_mean - scale * rotation @ source_mean)


def _is_one_point(points: Array, centred: Array) -> bool:
    return bool(np.abs(centred).max() <= _SAME_POINT * np.abs(points).max())


def _smallest_rotation(start: Array, end: Array) -> Array:
    """Return the rotation about ``start x end`` that turns unit ``start`` into unit ``end``."""
    cosine = float(start @ end)
    if cosine < -1.0 + 1e-12:  # opposite: half a turn about any perpendicular axis
        axis = np.cross(start, np.eye(3)[np.argmin(np.abs(start))])
        axis /= np.linalg.norm(axis)
        half_turn: Array = 2.0 * np.outer(axis, axis) - np.eye(3)
        return half_turn
    a, b, c = np.cross(start, end)
    skew = np.array([[0.0, -c, b], [c, 0.0, -a], [-b, a, 0.0]])
    rotation: Array = np.eye(3) + skew + skew @ skew / (1.0 + cosine)
    return rotation


def _points(estimated: Array, true: Array) -> tuple[Array, Array]:
    source, target = np.asarray(estimated, np.float64), np.asarray(true, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3 or not len(source):
        raise PoseError.from_parts(
            "points to align",
            f"shapes {source.shape} and {target.shape}",
            "two arrays (N, 3), N at least 1",
            "associate the trajectories first",
        )
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise PoseError.from_parts(
            "points to align", "NaN or infinite values", "finite ones", "leave these poses out"
        )
    return source, target
