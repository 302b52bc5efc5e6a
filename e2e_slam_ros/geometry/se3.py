"""Rigid motion: the SE(3) exponential map and its inverse.

Twists are ``xi = [rho (3), phi (3)]``: translation part first, rotation vector second, in metres
and radians. Equations: Barfoot, "State Estimation for Robotics", 2017, section 7.1.
Every function keeps dtype and device, takes any leading batch shape and can be differentiated
everywhere a derivative exists, including at the identity.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.geometry.full_precision import full_precision

# Below this theta^2 the closed forms lose digits to cancellation and the series below, cut after
# five terms, are exact to the last bit of a double.
_SERIES_BELOW = 0.05


def hat(vector: torch.Tensor) -> torch.Tensor:
    """Return the skew matrix of ``vector`` (..., 3) as (..., 3, 3): ``hat(a) b = a x b``."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    rows = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1)
    return rows.reshape(*vector.shape[:-1], 3, 3)


@full_precision
def exp(xi: torch.Tensor) -> torch.Tensor:
    """Return the motion of a twist.

    Args:
        xi: (..., 6), ``[rho, phi]``, metres and radians.

    Returns:
        (..., 4, 4) rigid matrices (Barfoot 7.84: rotation by Rodrigues, translation ``J rho``).
    """
    rho, phi = xi[..., :3], xi[..., 3:]
    a, b, c = _rotation_coefficients((phi * phi).sum(-1))
    skew = hat(phi)
    square = skew @ skew
    identity = torch.eye(3, dtype=xi.dtype, device=xi.device)
    rotation = identity + _lift(a) * skew + _lift(b) * square
    jacobian = identity + _lift(b) * skew + _lift(c) * square
    return assemble(rotation, (jacobian @ rho.unsqueeze(-1)).squeeze(-1))


@full_precision
def log(transform: torch.Tensor) -> torch.Tensor:
    """Return the twist of a motion; the inverse of `exp` for rotations below pi.

    The rotation vector is taken from the quaternion, not from the trace, so it stays accurate up
    to a half turn; at exactly pi one of the two possible signs is returned.

    Args:
        transform: (..., 4, 4) rigid.

    Returns:
        (..., 6), ``[rho, phi]`` with ``|phi| <= pi``.
    """
    vector, scalar = _half_angle_vector(transform[..., :3, :3])
    phi = vector * _angle_over_sine(vector, scalar).unsqueeze(-1)
    skew = hat(phi)
    identity = torch.eye(3, dtype=transform.dtype, device=transform.device)
    c = _lift(_inverse_jacobian_coefficient((phi * phi).sum(-1)))
    inverse_jacobian = identity - 0.5 * skew + c * (skew @ skew)
    rho = (inverse_jacobian @ transform[..., :3, 3:]).squeeze(-1)
    return torch.cat([rho, phi], dim=-1)


@full_precision
def inverse(transform: torch.Tensor) -> torch.Tensor:
    """Return the inverse of rigid matrices (..., 4, 4), exactly orthogonal where the input is."""
    rotation = transform[..., :3, :3].transpose(-1, -2)
    return assemble(rotation, -(rotation @ transform[..., :3, 3:]).squeeze(-1))


@full_precision
def compose(T_a_b: torch.Tensor, T_b_c: torch.Tensor) -> torch.Tensor:
    """Return T_a_c (..., 4, 4), in the precision of the motions also under `torch.autocast`."""
    return T_a_b @ T_b_c


def assemble(rotation: torch.Tensor, translation: torch.Tensor) -> torch.Tensor:
    """Return (..., 4, 4) from ``rotation`` (..., 3, 3) and ``translation`` (..., 3)."""
    top = torch.cat([rotation, translation.unsqueeze(-1)], dim=-1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 3] = 1.0
    return torch.cat([top, bottom], dim=-2)


@full_precision
def transform_points(transform: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return ``T p`` for ``points`` (..., N, 3), metres, and ``transform`` (..., 4, 4)."""
    rotation = transform[..., :3, :3]
    return points @ rotation.transpose(-1, -2) + transform[..., None, :3, 3]


def check_rigid(transform: torch.Tensor, what: str = "pose", tolerance: float = 1e-3) -> None:
    """Refuse anything that is not (..., 4, 4) rigid motion.

    Args:
        transform: candidate matrices.
        what: what to call them in the message.
        tolerance: largest error of ``R R^T - I`` and of the bottom row.

    Raises:
        PoseError: wrong shape, values not finite, a reflection, a scaled or sheared rotation.
    """
    expected = "a rigid 4x4 matrix (finite, R R^T = I, det R = 1, last row 0 0 0 1)"
    matrix = _finite(transform, what, expected)
    _check_rotation(matrix[..., :3, :3], matrix[..., 3, :], what, expected, tolerance)


def check_similarity(
    transform: torch.Tensor, what: str = "transform", tolerance: float = 1e-3
) -> None:
    """Refuse anything that is not (..., 4, 4) rigid motion after a uniform scale, Sim(3).

    >>> check_similarity(torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0])))

    Args:
        transform: candidate matrices.
        what: what to call them in the message.
        tolerance: largest error of ``R R^T - I`` and of the bottom row.

    Raises:
        PoseError: wrong shape, values not finite, a reflection, a scale of 0 or not uniform.
    """
    expected = "a similarity 4x4 (finite, s R with R R^T = I and s > 0, last row 0 0 0 1)"
    matrix = _finite(transform, what, expected)
    # Rows of s R are s long; a matrix of zeros stays one and fails as no rotation.
    scale = matrix[..., :3, :3].square().sum((-1, -2)).div(3.0).sqrt().clamp_min(1e-12)
    rotation = matrix[..., :3, :3] / _lift(scale)
    _check_rotation(rotation, matrix[..., 3, :], what, expected, tolerance)


def check_corrections(T_new_old: Mapping[int, torch.Tensor]) -> None:
    """Refuse corrected poses of keyframes that are not one (4, 4) similarity each.

    The memory of keyframes and the map both call this, so that neither accepts a correction
    which the other refuses.

    >>> check_corrections({7: torch.eye(4)})

    Args:
        T_new_old: keyframe index -> transform from the old to the new map frame.

    Raises:
        PoseError: another shape, values that are not finite, or no similarity.
    """
    for index, transform in T_new_old.items():
        what = f"T_new_old of keyframe {index}"
        if transform.dim() != 2:
            raise PoseError.from_parts(
                what, f"shape {tuple(transform.shape)}", "(4, 4)", "give each keyframe one"
            )
        check_similarity(transform, what)


def similarity_scale(transform: torch.Tensor) -> float:
    """Return the scale of a (4, 4) similarity.

    >>> similarity_scale(torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0])))
    2.0
    """
    return float(torch.linalg.det(transform[:3, :3].double())) ** (1.0 / 3.0)


def _finite(transform: torch.Tensor, what: str, expected: str) -> torch.Tensor:
    do = "check where the pose comes from"
    if transform.shape[-2:] != (4, 4):
        raise PoseError.from_parts(what, f"shape {tuple(transform.shape)}", expected, do)
    matrix = transform.detach().double()
    if not bool(torch.isfinite(matrix).all()):
        raise PoseError.from_parts(what, "values that are not finite", expected, do)
    return matrix


def _check_rotation(
    rotation: torch.Tensor, last_row: torch.Tensor, what: str, expected: str, tolerance: float
) -> None:
    do = "check where the pose comes from"
    identity = torch.eye(4, dtype=rotation.dtype, device=rotation.device)
    error = (rotation @ rotation.transpose(-1, -2) - identity[:3, :3]).abs().amax()
    bottom = (last_row - identity[3]).abs().amax()
    if bool(torch.maximum(error, bottom) > tolerance):
        got = f"|R R^T - I| = {float(error):.2g}, last row off by {float(bottom):.2g}"
        raise PoseError.from_parts(what, got, expected, do)
    if bool((torch.linalg.det(rotation) < 0).any()):
        raise PoseError.from_parts(what, "a reflection (det R = -1)", expected, do)


def _lift(value: torch.Tensor) -> torch.Tensor:
    return value[..., None, None]


def _rotation_coefficients(
    square: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return sin t/t, (1 - cos t)/t^2 and (t - sin t)/t^3 of t^2."""
    small = square < _SERIES_BELOW
    # Both branches of torch.where are differentiated, so the unused one must be harmless.
    s = torch.where(small, square, torch.zeros_like(square))
    t = torch.where(small, torch.ones_like(square), square).sqrt()
    sine = torch.sin(t)
    a = 1 + s * (-1 / 6 + s * (1 / 120 + s * (-1 / 5040 + s * (1 / 362880 - s / 39916800))))
    b = 0.5 + s * (-1 / 24 + s * (1 / 720 + s * (-1 / 40320 + s * (1 / 3628800 - s / 479001600))))
    c = 1 / 6 + s * (
        -1 / 120 + s * (1 / 5040 + s * (-1 / 362880 + s * (1 / 39916800 - s / 6227020800)))
    )
    half = torch.sin(t / 2) / t
    return (
        torch.where(small, a, sine / t),
        torch.where(small, b, 2 * half * half),
        torch.where(small, c, (t - sine) / t**3),
    )


def _inverse_jacobian_coefficient(square: torch.Tensor) -> torch.Tensor:
    """Return (1 - t/2 cot(t/2)) / t^2 of t^2."""
    small = square < _SERIES_BELOW
    s = torch.where(small, square, torch.zeros_like(square))
    t = torch.where(small, torch.ones_like(square), square).sqrt()
    series = 1 / 12 + s * (
        1 / 720
        + s * (1 / 30240 + s * (1 / 1209600 + s * (1 / 47900160 + s * 691 / 1307674368000)))
    )
    closed = (1 - t / 2 * torch.cos(t / 2) / torch.sin(t / 2)) / (t * t)
    return torch.where(small, series, closed)


def _half_angle_vector(rotation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the unit quaternion of ``rotation`` (..., 3, 3) as (vector (..., 3), scalar >= 0).

    Four expressions give the quaternion up to scale, each linear in the matrix; the one with the
    largest leading component is far from zero for every rotation (Shepperd, 1978).
    """
    m = [[rotation[..., i, j] for j in range(3)] for i in range(3)]
    d0, d1, d2 = m[0][0], m[1][1], m[2][2]
    x, y, z = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    xy, xz, yz = m[1][0] + m[0][1], m[0][2] + m[2][0], m[2][1] + m[1][2]
    candidates = torch.stack(
        [
            torch.stack([1 + d0 - d1 - d2, xy, xz, x], dim=-1),
            torch.stack([xy, 1 - d0 + d1 - d2, yz, y], dim=-1),
            torch.stack([xz, yz, 1 - d0 - d1 + d2, z], dim=-1),
            torch.stack([x, y, z, 1 + d0 + d1 + d2], dim=-1),
        ],
        dim=-2,
    )
    best = candidates.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)
    index = best[..., None, None].expand(*best.shape, 1, 4)
    chosen = candidates.gather(-2, index).squeeze(-2)
    quaternion = chosen / chosen.norm(dim=-1, keepdim=True)
    sign = torch.where(quaternion[..., 3:] < 0, -1.0, 1.0).to(quaternion.dtype)
    quaternion = quaternion * sign
    return quaternion[..., :3], quaternion[..., 3]


def _angle_over_sine(vector: torch.Tensor, scalar: torch.Tensor) -> torch.Tensor:
    """Return theta / sin(theta/2) from vector = sin(theta/2) axis and scalar = cos(theta/2)."""
    square = (vector * vector).sum(-1)
    small = square < 1e-4
    s = torch.where(small, square, torch.zeros_like(square))
    n = torch.where(small, torch.ones_like(square), square).sqrt()
    w = torch.where(small, scalar, torch.ones_like(scalar))
    ratio = s / (w * w)
    # 2 atan(x) / x, x = sin/cos of the half angle
    series = 2 / w * (1 + ratio * (-1 / 3 + ratio * (1 / 5 + ratio * (-1 / 7 + ratio / 9))))
    return torch.where(small, series, 2 * torch.atan2(n, scalar) / n)
