"""Point-to-plane ICP with projective association.

Points are associated by projection (Blais and Levine 1995) and moved towards the planes of the
reference (Chen and Medioni 1992), as in KinectFusion (Newcombe et al. 2011, section 3.5). The
residual is divided by the depth, because the noise of depth grows at least with depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.normals import cross_product
from e2e_slam_ros.geometry.projection import project
from e2e_slam_ros.geometry.sampling import inside, sample_nearest
from e2e_slam_ros.tracking.dense.alignment import DenseAlignment, coarse_to_fine
from e2e_slam_ros.tracking.dense.robust import t_scale, t_weights
from e2e_slam_ros.tracking.dense.solver import adjoint, covariance, solve_motion
from e2e_slam_ros.tracking.dense.view import DenseView

# Largest distance of associated points over depth: at the finest level, and its growth by level.
_DISTANCE, _GROWTH = 0.04, 2.0
# Smallest cosine of the angle between the normals of associated points: 35 degrees.
_COSINE = 0.82
# Eigenvalue below which a direction counts as unknown. Noisy normals of a plane give .003.
_WEAKEST = 0.0005
# Pixels that err together: neighbours share the errors of a sensor's depth.
_CORRELATED = 100.0


@dataclass(frozen=True, eq=False)
class PlaneResiduals:
    """Point-to-plane residuals of B pairs of views, one a pixel of the view.

    Attributes:
        residual: (B, N) distance to the plane over depth; 0 where not associated.
        jacobian: (B, 6, N) derivative by the twist ``[rho, phi]`` that multiplies the pose
            from the left.
        mask: (B, N) 1 where associated, else 0.
        lever: (B,) typical distance of the points, metres.
        seen: (B,) number of points in sight of a plane of the reference.

    Example:
        >>> K = torch.tensor([[20.0, 0.0, 15.5], [0.0, 20.0, 11.5], [0.0, 0.0, 1.0]])
        >>> wall = torch.full((1, 1, 24, 32), 2.0)
        >>> view = DenseView.from_images(torch.zeros_like(wall), wall, K)
        >>> nearer = torch.eye(4)[None].clone()
        >>> nearer[0, 2, 3] = -0.02
        >>> found = plane_residuals(view, view, nearer, 0)
        >>> [round(r.item(), 4) for r in found.residual[found.mask > 0].aminmax()]
        [0.01, 0.01]
    """

    residual: torch.Tensor
    jacobian: torch.Tensor
    mask: torch.Tensor
    lever: torch.Tensor
    seen: torch.Tensor


def plane_residuals(
    view: DenseView, reference: DenseView, T_reference_camera: torch.Tensor, level: int
) -> PlaneResiduals:
    """Associate each point of a view with the reference, and return the residuals.

    Differentiable in the depths of both views and in the poses; the association itself is
    constant.

    Args:
        view, reference: B views each, of any sizes.
        T_reference_camera: (B, 4, 4).
        level: 0 is the finest; coarser ones allow larger distances.
    """
    batch = T_reference_camera.shape[0]
    rotation, translation = T_reference_camera[:, :3, :3], T_reference_camera[:, :3, 3:]
    points = rotation @ view.points.flatten(2) + translation
    turned = rotation @ view.normals.flatten(2)
    uv, z = project(points, reference.intrinsics)
    with torch.no_grad():
        height, width = reference.points.shape[-2:]
        seen = inside(uv, height, width) & (z > 0) & view.has_normal.flatten(2)
        place = torch.where(seen, uv, torch.zeros_like(uv))[:, :, None]
    target = sample_nearest(reference.surface.expand(batch, -1, -1, -1), place)[:, :, 0]
    planes, normals = target[:, :3], target[:, 3:]
    offset = points - planes
    depth = planes[:, 2]
    with torch.no_grad():
        farthest = _DISTANCE * _GROWTH**level * depth
        near = (offset * offset).sum(1) < farthest * farthest
        alike = (turned * normals).sum(1) > _COSINE
        in_sight = seen[:, 0] & (depth > 0)
        used = in_sight & near & alike
    safe = torch.where(used, depth, torch.ones_like(depth))
    residual = torch.where(used, (normals * offset).sum(1), 0.0) / safe
    rows = torch.cat([normals, cross_product(points, normals)], dim=1)
    jacobian = torch.where(used[:, None], rows, 0.0) / safe[:, None]
    mask = used.to(residual.dtype)
    lever = _mean(points[:, 2].detach(), mask).clamp_min(1e-3)
    return PlaneResiduals(residual, jacobian, mask, lever, in_sight.sum(1))


def icp(
    views: Sequence[DenseView], references: Sequence[DenseView], T_start: torch.Tensor
) -> DenseAlignment:
    """Align B views with B references by their depth, from coarse to fine.

    Args:
        views, references: pyramids, the finest first (`DenseView.pyramid`).
        T_start: (B, 4, 4) pose of each view relative to its reference, to start from.
    """
    with torch.no_grad():
        T = coarse_to_fine(views, references, T_start, _step)
        return result_of(views[0], references[0], T)


def result_of(view: DenseView, reference: DenseView, T: torch.Tensor) -> DenseAlignment:
    """Return poses with their covariance and what the finest level says of them."""
    with torch.no_grad():
        found = plane_residuals(view, reference, T, 0)
        information, _, total, scale = _normal_equations(found)
        step = solve_motion(
            information, torch.zeros_like(information[:, 0]), found.lever, total, _WEAKEST
        )
        to_camera = adjoint(se3.inverse(T)).double()
        whitened = information / (scale * scale * _CORRELATED)[:, None, None]
        spread = to_camera @ covariance(whitened) @ to_camera.transpose(1, 2)
        usable = view.has_normal.flatten(1).sum(1).clamp_min(1)
        agreeing = found.mask.sum(1)
        return DenseAlignment(
            T_reference_camera=T,
            covariance=spread,
            overlap=agreeing / usable,
            agreement=agreeing / found.seen.clamp_min(1),
            pixels=agreeing,
            weakest=step.eigenvalues[:, 0],
            residual=scale,
        )


def _step(
    view: DenseView, reference: DenseView, T: torch.Tensor, level: int
) -> tuple[torch.Tensor, torch.Tensor]:
    found = plane_residuals(view, reference, T, level)
    information, gradient, total, _ = _normal_equations(found)
    twist = solve_motion(information, gradient, found.lever, total, _WEAKEST).twist
    moved = (twist[:, :3].norm(dim=1) / found.lever).maximum(twist[:, 3:].norm(dim=1))
    return se3.exp(twist) @ T, moved


def _normal_equations(
    found: PlaneResiduals,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return J^T W J, J^T W r, the sum of the weights over squared depth, and the scale."""
    smallest = 10.0 * torch.finfo(found.residual.dtype).eps
    scale = t_scale(found.residual, found.mask, smallest)
    weight = t_weights(found.residual, scale) * found.mask
    weighted = found.jacobian * weight[:, None]
    information = weighted @ found.jacobian.transpose(1, 2)
    gradient = (weighted @ found.residual[..., None])[..., 0]
    # The squared normals sum to one, so this is the sum of weight / depth^2.
    total = information.diagonal(dim1=1, dim2=2)[:, :3].sum(1)
    return information, gradient, total, scale


def _mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (values * mask).sum(1) / mask.sum(1).clamp_min(1.0)
