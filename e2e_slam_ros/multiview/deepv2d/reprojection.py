"""Reprojected positions and their derivatives by the poses (DeepV2D eq. 2, 11-13)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.geometry import se3

# Points nearer to the camera's plane than this have no usable derivative, metres.
NEAREST_M = 0.05


@dataclass(frozen=True, eq=False)
class Reprojection:
    """Pixels of frame i seen in frame j.

    Attributes:
        uv: (P, N, 2) position in frame j, pixels.
        valid: (P, N) bool: the depth is known and the point is in front of camera j.
        to_i, to_j: (P, N, 2, 6) derivative of ``uv`` by the left twists xi_i and xi_j of
            G_i and G_j, pixels per metre and per radian.

    >>> k, pose = torch.eye(3)[None], torch.eye(4)[None]
    >>> rays = torch.tensor([[[0.0, 0.0, 1.0]]])
    >>> reproject(rays, torch.full((1, 1), 2.0), pose, pose, k).to_j[0, 0, 0]
    tensor([0.5000, 0.0000, 0.0000, 0.0000, 1.0000, 0.0000])
    """

    uv: torch.Tensor
    valid: torch.Tensor
    to_i: torch.Tensor
    to_j: torch.Tensor


def reproject(
    rays: torch.Tensor,
    depth: torch.Tensor,
    T_i_map: torch.Tensor,
    T_j_map: torch.Tensor,
    intrinsics: torch.Tensor,
) -> Reprojection:
    """Return where pixels of frame i appear in frame j, eq. 2, with both derivatives.

    DeepV2D's pose G maps points of the map to the camera; updates multiply from the left,
    e^xi G. The printed eq. 13 has signs that no rotation has; here de^xi X / dxi = [I, -X^].

    Args:
        rays: (P, N, 3), K^-1 (u, v, 1) of the pixels of frame i.
        depth: (P, N), z in frame i, metres; not above 0: unknown.
        T_i_map, T_j_map: (P, 4, 4), G_i and G_j.
        intrinsics: (P, 3, 3), of both frames.
    """
    known = torch.isfinite(depth) & (depth > 0)
    z = torch.where(known, depth, torch.ones_like(depth))
    point = z.unsqueeze(-1) * rays
    T_j_i = T_j_map @ se3.inverse(T_i_map)
    there = se3.transform_points(T_j_i, point)
    valid = known & (there[..., 2] > NEAREST_M)
    forward = torch.tensor([0.0, 0.0, 1.0], dtype=there.dtype, device=there.device)
    there = torch.where(valid.unsqueeze(-1), there, forward)
    focal = torch.stack([intrinsics[:, 0, 0], intrinsics[:, 1, 1]], dim=-1)[:, None]
    inverse_z = there[..., 2:].reciprocal()
    normalised = there[..., :2] * inverse_z
    uv = focal * normalised + intrinsics[:, None, :2, 2]
    by_point = _projection_jacobian(normalised, inverse_z, focal)
    to_j = by_point @ _twist_jacobian(there)
    to_i = -(by_point @ T_j_i[:, None, :3, :3]) @ _twist_jacobian(point)
    return Reprojection(uv, valid, to_i, to_j)


def _projection_jacobian(
    normalised: torch.Tensor, inverse_z: torch.Tensor, focal: torch.Tensor
) -> torch.Tensor:
    """Return (P, N, 2, 3): the derivative of a pixel by its point."""
    scale = focal * inverse_z
    rows = torch.diag_embed(scale)
    return torch.cat([rows, -(scale * normalised).unsqueeze(-1)], dim=-1)


def _twist_jacobian(point: torch.Tensor) -> torch.Tensor:
    """Return (P, N, 3, 6): the derivative of e^xi X by xi at 0 (eq. 13)."""
    identity = torch.eye(3, dtype=point.dtype, device=point.device)
    return torch.cat([identity.expand(*point.shape[:-1], 3, 3), -se3.hat(point)], dim=-1)
