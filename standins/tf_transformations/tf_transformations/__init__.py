"""Stand-in for the common functions of tf_transformations, on SciPy.

Quaternions are (x, y, z, w), matrices are homogeneous (4, 4), angles are in radians. `axes` starts
with "s" (rotations about static axes) or "r" (about rotating axes). Three letters follow, as in
"sxyz" and "rzyx".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation, Slerp

Array = NDArray[np.float64]

__all__ = [
    "concatenate_matrices",
    "euler_from_matrix",
    "euler_from_quaternion",
    "euler_matrix",
    "identity_matrix",
    "inverse_matrix",
    "quaternion_about_axis",
    "quaternion_conjugate",
    "quaternion_from_euler",
    "quaternion_from_matrix",
    "quaternion_inverse",
    "quaternion_matrix",
    "quaternion_multiply",
    "quaternion_slerp",
    "rotation_matrix",
    "translation_from_matrix",
    "translation_matrix",
    "unit_vector",
]


def identity_matrix() -> Array:
    """Return the identity (4, 4)."""
    return np.eye(4)


def translation_matrix(direction: ArrayLike) -> Array:
    """Return the translation by `direction` (3,) as (4, 4)."""
    matrix = np.eye(4)
    matrix[:3, 3] = np.asarray(direction, dtype=float)[:3]
    return matrix


def translation_from_matrix(matrix: ArrayLike) -> Array:
    """Return the translation (3,) of a motion."""
    return np.array(matrix, dtype=float)[:3, 3].copy()


def inverse_matrix(matrix: ArrayLike) -> Array:
    """Return the inverse of a square matrix."""
    return np.linalg.inv(np.asarray(matrix, dtype=float))


def concatenate_matrices(*matrices: ArrayLike) -> Array:
    """Return the product of the matrices in the given order."""
    result = np.eye(4)
    for matrix in matrices:
        result = result @ np.asarray(matrix, dtype=float)
    return result


def unit_vector(data: ArrayLike) -> Array:
    """Return `data` (n,) divided by its length."""
    vector = np.asarray(data, dtype=float)
    return vector / np.linalg.norm(vector)


def rotation_matrix(angle: float, direction: ArrayLike) -> Array:
    """Return the rotation by `angle` about `direction`, (4, 4)."""
    return _homogeneous(Rotation.from_rotvec(angle * unit_vector(np.asarray(direction)[:3])))


def euler_matrix(ai: float, aj: float, ak: float, axes: str = "sxyz") -> Array:
    """Return the rotation of three Euler angles, (4, 4)."""
    return _homogeneous(_from_euler(ai, aj, ak, axes))


def euler_from_matrix(matrix: ArrayLike, axes: str = "sxyz") -> tuple[float, float, float]:
    """Return the Euler angles about `axes` of a rotation (3, 3) or motion (4, 4)."""
    return _to_euler(Rotation.from_matrix(np.asarray(matrix, dtype=float)[:3, :3]), axes)


def euler_from_quaternion(quaternion: ArrayLike, axes: str = "sxyz") -> tuple[float, float, float]:
    """Return the Euler angles about `axes` of a quaternion."""
    return _to_euler(Rotation.from_quat(np.asarray(quaternion, dtype=float)), axes)


def quaternion_from_euler(ai: float, aj: float, ak: float, axes: str = "sxyz") -> Array:
    """Return the quaternion (4,) of three Euler angles."""
    return _quaternion(_from_euler(ai, aj, ak, axes))


def quaternion_from_matrix(matrix: ArrayLike) -> Array:
    """Return the quaternion (4,), with w >= 0, of a rotation (3, 3) or motion (4, 4)."""
    quaternion = _quaternion(Rotation.from_matrix(np.asarray(matrix, dtype=float)[:3, :3]))
    return -quaternion if quaternion[3] < 0 else quaternion


def quaternion_matrix(quaternion: ArrayLike) -> Array:
    """Return the rotation (4, 4) of a quaternion."""
    return _homogeneous(Rotation.from_quat(np.asarray(quaternion, dtype=float)))


def quaternion_about_axis(angle: float, axis: ArrayLike) -> Array:
    """Return the quaternion (4,) of a rotation by `angle` about `axis`."""
    vector = unit_vector(axis) * np.sin(angle / 2)
    return np.array([*vector, np.cos(angle / 2)])


def quaternion_multiply(quaternion1: ArrayLike, quaternion0: ArrayLike) -> Array:
    """Return the Hamilton product: the rotation of `quaternion0`, then that of `quaternion1`."""
    left, right = (np.asarray(q, dtype=float) for q in (quaternion1, quaternion0))
    scalar = left[3] * right[3] - left[:3] @ right[:3]
    vector = left[3] * right[:3] + right[3] * left[:3] + np.cross(left[:3], right[:3])
    return np.array([*vector, scalar])


def quaternion_conjugate(quaternion: ArrayLike) -> Array:
    """Return the quaternion with its vector part negated."""
    return np.asarray(quaternion, dtype=float) * np.array([-1.0, -1.0, -1.0, 1.0])


def quaternion_inverse(quaternion: ArrayLike) -> Array:
    """Return the inverse of a quaternion."""
    values = np.asarray(quaternion, dtype=float)
    return quaternion_conjugate(values) / (values @ values)


def quaternion_slerp(
    quat0: ArrayLike, quat1: ArrayLike, fraction: float, spin: int = 0, shortestpath: bool = True
) -> Array:
    """Return the quaternion (4,) at `fraction` of the shorter way from `quat0` to `quat1`."""
    if spin != 0 or not shortestpath:
        raise NotImplementedError("the stand-in only goes the shortest way, without extra turns")
    ends = Rotation.from_quat(np.array([quat0, quat1], dtype=float))
    quaternion = _quaternion(Slerp([0.0, 1.0], ends)(fraction))
    return quaternion if quaternion @ np.asarray(quat0, dtype=float) >= 0 else -quaternion


def _scipy_axes(axes: str) -> str:
    """Return SciPy's notation: lower case for static axes, capitals for rotating axes."""
    if len(axes) != 4 or axes[0] not in "sr":
        raise ValueError(f"got: axes {axes!r}, expected: e.g. 'sxyz' or 'rzyx'")
    return axes[1:] if axes[0] == "s" else axes[1:].upper()


def _from_euler(ai: float, aj: float, ak: float, axes: str) -> Rotation:
    return Rotation.from_euler(_scipy_axes(axes), [ai, aj, ak])


def _to_euler(rotation: Rotation, axes: str) -> tuple[float, float, float]:
    first, second, third = rotation.as_euler(_scipy_axes(axes))
    return float(first), float(second), float(third)


def _quaternion(rotation: Rotation) -> Array:
    return np.asarray(rotation.as_quat(), dtype=float)


def _homogeneous(rotation: Rotation) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation.as_matrix()
    return matrix
