"""ICP whose steps can be differentiated: gradSLAM's Levenberg-Marquardt.

Levenberg-Marquardt accepts or rejects a step and raises or lowers its damping: choices without a
derivative. gradSLAM (Jatavallabhula et al. 2020, section on differentiable solvers) replaces both
by logistic functions of the change of the error. Here the change is relative to the error, so that
the unit of the residuals does not matter, and the step fades out where the error would rise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.tracking.dense.alignment import DenseAlignment
from e2e_slam_ros.tracking.dense.icp import plane_residuals, result_of
from e2e_slam_ros.tracking.dense.view import DenseView

_STEPS = (6, 5, 4)
# Added to the diagonal, relative: no direction is ever without any information.
_RIDGE = 1e-9
# Errors below this (relative depth, squared) are equal.
_LEAST_ERROR = 1e-16


@dataclass(frozen=True)
class SmoothDamping:
    """The two logistic functions that replace the choices of Levenberg-Marquardt.

    With ``c`` the relative change of the error by the undamped step, damping is
    ``low + (high - low) / (1 + offset exp(-steep c))``, and the share of a step that is taken is
    ``(1 + exp(gate c))^(-1 / root)``.

    Args:
        low, high: range of the damping, relative to the diagonal.
        offset, steep: position and steepness of its rise.
        gate, root: steepness and root of the share of a step.

    Example:
        >>> change = torch.tensor([-0.9, 0.0, 2.0])
        >>> [round(float(v), 3) for v in SmoothDamping().damping(change)]
        [0.0, 0.002, 0.997]
        >>> [round(float(v), 3) for v in SmoothDamping().share(change)]
        [1.0, 0.917, 0.007]
    """

    low: float = 1e-6
    high: float = 1.0
    offset: float = 500.0
    steep: float = 6.0
    gate: float = 20.0
    root: float = 8.0

    def damping(self, change: torch.Tensor) -> torch.Tensor:
        """Return the damping for a relative change of the error."""
        rise = torch.exp(-self.steep * change.clamp(-5.0, 5.0))
        return self.low + (self.high - self.low) / (1.0 + self.offset * rise)

    def share(self, change: torch.Tensor) -> torch.Tensor:
        """Return the share of a step that is taken, 0 to 1."""
        return torch.exp(-torch.nn.functional.softplus(self.gate * change) / self.root)


def gradicp(
    views: Sequence[DenseView],
    references: Sequence[DenseView],
    T_start: torch.Tensor,
    damping: SmoothDamping | None = None,
    sigma: float = 0.02,
    steps: Sequence[int] = _STEPS,
) -> torch.Tensor:
    """Return poses T_reference_camera (B, 4, 4), differentiable in depths and in ``T_start``.

    >>> K = torch.tensor([[20.0, 0.0, 15.5], [0.0, 20.0, 11.5], [0.0, 0.0, 1.0]])
    >>> depth = torch.full((1, 1, 24, 32), 2.0, requires_grad=True)
    >>> view = DenseView.from_images(torch.zeros(1, 1, 24, 32), depth, K)
    >>> wall = DenseView.from_images(torch.zeros(1, 1, 24, 32), torch.full_like(depth, 2.02), K)
    >>> T = gradicp([view], [wall], torch.eye(4)[None])
    >>> round(T[0, 2, 3].item(), 3)
    0.02
    >>> T[0, 2, 3].backward()
    >>> round(float(depth.grad.sum()), 2)
    -1.0

    Args:
        views, references: pyramids, the finest first.
        T_start: (B, 4, 4).
        damping: None: the default.
        sigma: residual over depth at which a point counts a quarter (Geman and McClure 1985).
        steps: number of steps from the coarsest level on.
    """
    rule = damping or SmoothDamping()
    T = T_start
    levels = min(len(views), len(references))
    for index, level in enumerate(range(levels - 1, -1, -1)):
        view, reference = views[level], references[level]
        for _ in range(steps[min(index, len(steps) - 1)]):
            T = _smooth_step(view, reference, T, level, rule, sigma)
    return T


def gradicp_alignment(
    views: Sequence[DenseView], references: Sequence[DenseView], T_start: torch.Tensor
) -> DenseAlignment:
    """Return the poses of `gradicp` with covariance and overlap, without gradients."""
    with torch.no_grad():
        T = gradicp(views, references, T_start)
        return result_of(views[0], references[0], T)


def _smooth_step(
    view: DenseView,
    reference: DenseView,
    T: torch.Tensor,
    level: int,
    rule: SmoothDamping,
    sigma: float,
) -> torch.Tensor:
    found = plane_residuals(view, reference, T, level)
    weight = _weights(found.residual, sigma) * found.mask
    weighted = found.jacobian * weight[:, None]
    normal = weighted @ found.jacobian.transpose(1, 2)
    gradient = (weighted @ found.residual[..., None])[..., 0]
    error = _error(found.residual, found.mask, sigma)
    # Look ahead: the error that the step with the least damping would give.
    ahead = _solved(normal, gradient, torch.full_like(error, rule.low))
    there = plane_residuals(view, reference, se3.exp(ahead) @ T, level)
    change = _error(there.residual, there.mask, sigma) / error - 1.0
    twist = _solved(normal, gradient, rule.damping(change)) * rule.share(change)[:, None]
    return se3.exp(twist) @ T


def _weights(residual: torch.Tensor, sigma: float) -> torch.Tensor:
    return (1.0 + (residual / sigma) ** 2) ** -2


def _error(residual: torch.Tensor, mask: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return (B,) the mean robust error; points that lost their partner count as outliers do."""
    square = (residual / sigma) ** 2
    total = (mask * square / (1.0 + square)).sum(1) * sigma**2
    return total / mask.sum(1).clamp_min(1.0) + _LEAST_ERROR


def _solved(normal: torch.Tensor, gradient: torch.Tensor, damping: torch.Tensor) -> torch.Tensor:
    diagonal = normal.diagonal(dim1=1, dim2=2)
    ridge = _RIDGE * diagonal.sum(1, keepdim=True) + 1e-30
    damped = normal + torch.diag_embed(diagonal * damping[:, None] + ridge)
    return -torch.linalg.solve(damped.double(), gradient.double()).to(gradient)
