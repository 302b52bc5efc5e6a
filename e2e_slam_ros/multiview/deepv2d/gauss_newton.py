"""One Gauss-Newton step of poses from residual flow (DeepV2D eq. 4-5 and 8-14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.projection import pixel_rays
from e2e_slam_ros.multiview.deepv2d.cholesky import solve_normal_equations
from e2e_slam_ros.multiview.deepv2d.reprojection import Reprojection, reproject

# Relative damping of the normal equations.
DAMPING = 1e-4


@dataclass(frozen=True, eq=False)
class FlowObservations:
    """Residual flow between pairs of frames: how far features are from where they should be.

    Attributes:
        pairs: P pairs (i, j) of frame numbers: flow of frame i's pixels in frame j.
        residual: (B, P, 2, h, w), r_k in pixels of the feature map.
        weight: (B, P, 2, h, w) in [0, 1], the confidence of each component.

    >>> FlowObservations([(0, 1)], torch.zeros(1, 1, 2, 4, 4), torch.ones(1, 1, 2, 4, 4)).pairs
    [(0, 1)]
    """

    pairs: Sequence[tuple[int, int]]
    residual: torch.Tensor
    weight: torch.Tensor


@dataclass(frozen=True, eq=False)
class PoseStep:
    """Poses after a step.

    Attributes:
        T_camera_map: (B, N, 4, 4). A pose whose equations could not be solved is unchanged.
        twist: (B, N, 6), the left twists of the step, metres and radians; 0 for frame 0.
        solved: (B, N) bool, whether the pose was determined; true for frame 0, which is held.

    >>> pose = torch.eye(4).expand(1, 2, 4, 4)
    >>> PoseStep(pose, torch.zeros(1, 2, 6), torch.ones(1, 2) > 0).solved
    tensor([[True, True]])
    """

    T_camera_map: torch.Tensor
    twist: torch.Tensor
    solved: torch.Tensor


def keyframe_pairs(count: int) -> list[tuple[int, int]]:
    """Return the pairs of the keyframe, frame 0, with each other one ("keyframe" optimisation).

    >>> keyframe_pairs(3)
    [(0, 1), (0, 2)]
    """
    return [(0, j) for j in range(1, count)]


def global_pairs(count: int) -> list[tuple[int, int]]:
    """Return all N (N - 1) ordered pairs of frames ("global" optimisation).

    >>> len(global_pairs(3))
    6
    """
    return [(i, j) for i in range(count) for j in range(count) if i != j]


def gauss_newton_step(
    observations: FlowObservations,
    depth: torch.Tensor,
    T_camera_map: torch.Tensor,
    intrinsics: torch.Tensor,
    damping: float = DAMPING,
) -> PoseStep:
    """Return the poses that explain the residual flow best, to first order; frame 0 is held.

    Where all pairs begin at the keyframe the normal equations fall apart into one 6x6 system for
    each other frame, and each is solved, or flagged, alone. Else all poses are solved jointly.

    Args:
        observations: at the size of ``depth``.
        depth: (B, M, h, w), metres, not above 0: unknown; of the keyframe alone (M = 1) or of
            every frame (M = N).
        T_camera_map: (B, N, 4, 4), the paper's G.
        intrinsics: (B, 3, 3), of the feature map.
        damping: relative; see `solve_normal_equations`.

    Example:
        >>> pose, k = torch.eye(4).expand(1, 2, 4, 4), torch.tensor([[[8.0, 0, 3.5], [0, 8, 3.5],
        ...                                                           [0, 0, 1]]])
        >>> flow = torch.zeros(1, 1, 2, 8, 8)
        >>> flow[:, :, 0] = 0.4  # all pixels at 2 m, shifted by 0.4 = 8 x 0.1 / 2
        >>> seen = FlowObservations([(0, 1)], flow, torch.ones_like(flow))
        >>> depth = 2.0 + torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> seen.residual[:, :, 0] *= 2.0 / depth
        >>> step = gauss_newton_step(seen, depth, pose, k)
        >>> round(float(step.twist[0, 1, 0]), 3)
        0.1
    """
    batch, frames = T_camera_map.shape[:2]
    first = torch.tensor([i for i, _ in observations.pairs], device=depth.device)
    second = torch.tensor([j for _, j in observations.pairs], device=depth.device)
    seen = _reprojections(depth, T_camera_map, intrinsics, first, second)
    weight = observations.weight.flatten(3).transpose(2, 3) * _as_pairs(seen.valid, batch)
    residual = observations.residual.flatten(3).transpose(2, 3)
    to_i = seen.to_i.reshape(batch, -1, *seen.to_i.shape[1:])
    to_j = seen.to_j.reshape(batch, -1, *seen.to_j.shape[1:])
    if bool((first == 0).all()) and len(set(second.tolist())) == len(second):
        solution, solved = _separate(to_j, residual, weight, damping)
        twist = solution.new_zeros(batch, frames, 6).index_copy(1, second, solution)
        flags = torch.zeros(batch, frames, dtype=torch.bool, device=depth.device)
        flags = flags.index_copy(1, second, solved)
    else:
        twist, flags = _joint(to_i, to_j, residual, weight, observations.pairs, frames, damping)
    held = torch.arange(frames, device=depth.device) == 0
    return PoseStep(se3.exp(twist) @ T_camera_map, twist, flags | held)


def _reprojections(
    depth: torch.Tensor,
    T_camera_map: torch.Tensor,
    intrinsics: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
) -> Reprojection:
    """Return the reprojections of all pairs, batch times pairs in the first dimension."""
    batch, pairs = len(depth), len(first)
    height, width = depth.shape[-2:]
    rays = pixel_rays(height, width, intrinsics.to(depth)).flatten(2).transpose(1, 2)
    rays = rays.expand(batch, -1, -1).repeat_interleave(pairs, 0)
    source = first if depth.shape[1] > 1 else torch.zeros_like(first)
    return reproject(
        rays,
        depth[:, source].flatten(0, 1).flatten(1),
        T_camera_map[:, first].flatten(0, 1),
        T_camera_map[:, second].flatten(0, 1),
        intrinsics.expand(batch, 3, 3).repeat_interleave(pairs, 0),
    )


def _as_pairs(valid: torch.Tensor, batch: int) -> torch.Tensor:
    return valid.reshape(batch, -1, valid.shape[-1], 1)


def _separate(
    jacobian: torch.Tensor, residual: torch.Tensor, weight: torch.Tensor, damping: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return twists (B, P, 6) and flags (B, P) of one 6x6 system for each pair."""
    weighted = jacobian * weight.unsqueeze(-1)
    h = torch.einsum("bpnca,bpncd->bpad", weighted, jacobian)
    g = torch.einsum("bpnca,bpnc->bpa", weighted, residual)
    x, solved = solve_normal_equations(h.flatten(0, 1), g.flatten(0, 1), damping)
    return x.reshape(g.shape), solved.reshape(g.shape[:2])


def _joint(
    to_i: torch.Tensor,
    to_j: torch.Tensor,
    residual: torch.Tensor,
    weight: torch.Tensor,
    pairs: Sequence[tuple[int, int]],
    frames: int,
    damping: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return twists (B, N, 6) and flags (B, N) of one system over all poses but the first."""
    both = torch.cat([to_i, to_j], dim=-1)  # (B, P, n, 2, 12)
    weighted = both * weight.unsqueeze(-1)
    h = torch.einsum("bpnca,bpncd->bpad", weighted, both)
    g = torch.einsum("bpnca,bpnc->bpa", weighted, residual)
    # Which of the 6 N unknowns each pair's 12 are: one matrix product places them all.
    place = residual.new_zeros(len(pairs), 6 * frames, 12)
    eye = torch.eye(6, dtype=residual.dtype, device=residual.device)
    for index, (i, j) in enumerate(pairs):
        place[index, 6 * i : 6 * i + 6, :6] = eye
        place[index, 6 * j : 6 * j + 6, 6:] = eye
    whole = torch.einsum("pxa,bpad,pyd->bxy", place, h, place)[:, 6:, 6:]
    right = torch.einsum("pxa,bpa->bx", place, g)[:, 6:]
    x, solved = solve_normal_equations(whole, right, damping)
    twist = torch.cat([torch.zeros_like(x[:, :6]), x], dim=1).reshape(len(x), frames, 6)
    return twist, solved[:, None].expand(-1, frames)
