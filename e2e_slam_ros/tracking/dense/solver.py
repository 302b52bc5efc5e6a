"""Normal equations of a six-dimensional motion, where some directions may be unknown."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.geometry.se3 import hat


@dataclass(frozen=True, eq=False)
class MotionStep:
    """The solution of B normal equations.

    Attributes:
        twist: (B, 6) ``[rho, phi]``, metres and radians.
        eigenvalues: (B, 6) information per unit of weight in ascending order, without unit:
            rotations are multiplied by the lever, so that both kinds of motion move points by
            metres.
        information: (B, 6, 6) the undamped matrix, in units of the twist.

    Example:
        >>> H = torch.diag(torch.tensor([4.0, 4.0, 4.0, 4.0, 4.0, 0.0]))[None]
        >>> one = torch.ones(1)
        >>> step = solve_motion(H, torch.ones(1, 6), lever=one, weight=4.0 * one, weakest=0.01)
        >>> (step.twist[0] + 0.0).tolist(), step.eigenvalues[0].tolist()
        ([-0.25, -0.25, -0.25, -0.25, -0.25, 0.0], [0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    """

    twist: torch.Tensor
    eigenvalues: torch.Tensor
    information: torch.Tensor


def solve_motion(
    information: torch.Tensor,
    gradient: torch.Tensor,
    lever: torch.Tensor,
    weight: torch.Tensor,
    weakest: float,
) -> MotionStep:
    """Solve ``H x = -g``, with directions damped that the residuals do not determine.

    The step along an eigenvector is taken in full above ``weakest``, not at all below half of it.
    The pose stays as predicted there (Zhang, Kaess and Singh, ICRA 2016, section IV).

    Args:
        information: (B, 6, 6) ``J^T W J``.
        gradient: (B, 6) ``J^T W r``.
        lever: (B,) typical distance of the points, metres.
        weight: (B,) sum of the weights.
        weakest: smallest eigenvalue that is trusted.
    """
    ones = torch.ones_like(lever)
    units = torch.stack([ones, ones, ones, lever, lever, lever], dim=1)
    scale = units * weight.clamp_min(1e-30).sqrt()[:, None]
    normal = (information / (scale[:, :, None] * scale[:, None, :])).double()
    bad = ~torch.isfinite(normal).all(2).all(1)
    normal = torch.where(bad[:, None, None], torch.zeros_like(normal), normal)
    eigenvalues, vectors = torch.linalg.eigh(normal)
    trusted = (2.0 * eigenvalues / weakest - 1.0).clamp(0.0, 1.0)
    gain = trusted / eigenvalues.clamp_min(0.25 * weakest)
    right = torch.where(bad[:, None], torch.zeros_like(gradient), gradient) / scale
    along = (vectors.transpose(1, 2) @ right.double()[..., None])[..., 0]
    solved = (vectors @ (gain * along)[..., None])[..., 0]
    return MotionStep(-(solved.to(scale) / scale), eigenvalues.to(scale), information)


def covariance(information: torch.Tensor, unknown: float = 1.0) -> torch.Tensor:
    """Return (B, 6, 6), the inverse of an information matrix in units of the twist.

    >>> covariance(torch.zeros(1, 6, 6))[0, 0, 0].item()
    1.0

    Args:
        information: (B, 6, 6).
        unknown: variance of a direction without information; m^2 and rad^2.
    """
    prior = torch.eye(6, dtype=torch.float64, device=information.device) / unknown
    return torch.linalg.inv(information.double() + prior)


def adjoint(transform: torch.Tensor) -> torch.Tensor:
    """Return (B, 6, 6) with ``T exp(x) T^-1 = exp(adjoint(T) x)`` (Barfoot 2017, 7.46).

    >>> adjoint(torch.eye(4)[None]).equal(torch.eye(6)[None])
    True
    """
    rotation = transform[:, :3, :3]
    top = torch.cat([rotation, hat(transform[:, :3, 3]) @ rotation], dim=2)
    return torch.cat([top, torch.cat([torch.zeros_like(rotation), rotation], dim=2)], dim=1)
