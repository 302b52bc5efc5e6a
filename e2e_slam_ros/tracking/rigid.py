"""Rigid motions as NumPy matrices, at camera rate.

The functions compute the same as `geometry.se3` (twists ``[rho, phi]``; Barfoot, "State Estimation
for Robotics", 2017, section 7.1). NumPy has less cost per call than a tensor library, and here
that cost exceeds the arithmetic.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

_SMALL = 1e-4


def hat(vectors: Floats) -> Floats:
    """Return the skew matrices (..., 3, 3) of ``vectors`` (..., 3)."""
    result = np.zeros((*vectors.shape, 3))
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    result[..., 0, 1], result[..., 0, 2], result[..., 1, 2] = -z, y, -x
    result[..., 1, 0], result[..., 2, 0], result[..., 2, 1] = z, -y, x
    return result


def exp(twists: Floats) -> Floats:
    """Return the motions (..., 4, 4) of ``twists`` (..., 6), metres and radians."""
    rho, phi = twists[..., :3], twists[..., 3:]
    square = (phi * phi).sum(-1)
    small = square < _SMALL**2
    angle = np.sqrt(np.where(small, 1.0, square))
    a = np.where(small, 1.0 - square / 6.0, np.sin(angle) / angle)
    b = np.where(small, 0.5 - square / 24.0, 2.0 * (np.sin(angle / 2.0) / angle) ** 2)
    c = np.where(small, 1.0 / 6.0 - square / 120.0, (angle - np.sin(angle)) / angle**3)
    skew = hat(phi)
    squared = skew @ skew
    identity = np.eye(3)
    result = np.zeros((*twists.shape[:-1], 4, 4))
    result[..., :3, :3] = identity + a[..., None, None] * skew + b[..., None, None] * squared
    jacobian = identity + b[..., None, None] * skew + c[..., None, None] * squared
    result[..., :3, 3] = (jacobian @ rho[..., None])[..., 0]
    result[..., 3, 3] = 1.0
    return result


def rotation_vector(rotation: Floats) -> Floats:
    """Return the rotation vector (3,), at most pi long, of one rotation (3, 3)."""
    twist = np.array(
        [
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        ]
    )
    sine, cosine = 0.5 * np.linalg.norm(twist), 0.5 * (np.trace(rotation) - 1.0)
    angle = float(np.arctan2(sine, cosine))
    if sine > 1e-7:
        return np.asarray(twist * (0.5 * angle / sine))
    if cosine > 0.0:
        return np.asarray(0.5 * twist)
    # A half turn: R + I = 2 n n^T, whose longest column is a multiple of the axis.
    outer = 0.5 * (rotation + np.eye(3))
    axis = outer[:, int(np.argmax(np.diag(outer)))]
    return np.asarray(np.pi * axis / np.linalg.norm(axis))


def log(transform: Floats) -> Floats:
    """Return the twist (6,) of one motion (4, 4)."""
    phi = rotation_vector(transform[:3, :3])
    square = float(phi @ phi)
    skew = hat(phi)
    if square < _SMALL**2:
        c = 1.0 / 12.0
    else:
        half = 0.5 * np.sqrt(square)
        c = (1.0 - half / np.tan(half)) / square
    inverse_jacobian = np.eye(3) - 0.5 * skew + c * (skew @ skew)
    return np.concatenate([inverse_jacobian @ transform[:3, 3], phi])


def inverse(transforms: Floats) -> Floats:
    """Return the inverse motions (..., 4, 4)."""
    result = np.zeros_like(transforms)
    rotation = np.swapaxes(transforms[..., :3, :3], -1, -2)
    result[..., :3, :3] = rotation
    result[..., :3, 3] = -(rotation @ transforms[..., :3, 3:])[..., 0]
    result[..., 3, 3] = 1.0
    return result


def transform_points(transform: Floats, points: Floats) -> Floats:
    """Return ``T p`` for ``points`` (N, 3) and one motion (4, 4)."""
    return np.asarray(points @ transform[:3, :3].T + transform[:3, 3])


def adjoint(transforms: Floats) -> Floats:
    """Return the adjoints (N, 6, 6) of motions (N, 4, 4) for twists ``[rho, phi]``.

    ``T exp(twist) = exp(adjoint(T) twist) T`` (Barfoot, "State Estimation for Robotics", 7.1).

    >>> shift = np.eye(4)
    >>> shift[0, 3] = 2.0
    >>> turn_about_z = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.1])
    >>> (adjoint(shift[None])[0] @ turn_about_z).round(1).tolist()
    [0.0, -0.2, 0.0, 0.0, 0.0, 0.1]
    """
    rotation = transforms[:, :3, :3]
    result = np.zeros((len(transforms), 6, 6))
    result[:, :3, :3] = result[:, 3:, 3:] = rotation
    result[:, :3, 3:] = hat(transforms[:, :3, 3]) @ rotation
    return result


def angle_deg(transform: Floats) -> float:
    """Return the rotation angle of one motion, degrees."""
    return float(np.degrees(np.linalg.norm(rotation_vector(transform[:3, :3]))))


def orthonormal(transform: Floats) -> Floats:
    """Return the rigid motion nearest to ``transform`` (4, 4), to undo accumulated rounding."""
    u, _, vt = np.linalg.svd(transform[:3, :3])
    result = transform.copy()
    result[:3, :3] = u @ vt
    return result
