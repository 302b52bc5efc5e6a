"""The recurrent optimiser of the poses: one step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.full_precision import full_precision
from e2e_slam_ros.multiview.dro.cost_map import cost_map, feature_distance, warped_features
from e2e_slam_ros.multiview.dro.gru import SeparableGRU
from e2e_slam_ros.multiview.dro.heads import PoseHead
from e2e_slam_ros.multiview.dro.optimiser import enlarged, pooled, projection
from e2e_slam_ros.multiview.dro.shape import DroShape

# Steps of a pose at which its cost is probed, in pixels of the features.
_PROBE_PX = 0.8
_PROBES = 12
# Longest step along a direction, in probes.
_LONGEST = 3.0
_DAMPING, _LEAST = 0.02, 1e-4


@dataclass(frozen=True, eq=False)
class PoseEvidence:
    """The cost of the pairs at and around their poses.

    Attributes:
        channels: (B N, C, h, w), what the recurrent unit is told.
        step: (B, N, 6), a twist that lowers the cost; 0 without probes.

    >>> PoseEvidence(torch.zeros(2, 14, 4, 4), torch.zeros(1, 2, 6)).step.shape
    torch.Size([1, 2, 6])
    """

    channels: torch.Tensor
    step: torch.Tensor


class PoseOptimiser(nn.Module):
    """One update of the poses, neighbour by neighbour: exp(Delta T) T.

    With probes (not in the paper) the cost is also evaluated at small steps along the six
    directions of motion. The differences of the features there give a damped Gauss-Newton step.
    The recurrent unit says how much each pixel counts in it, and adds to it what it has learnt.
    Nothing is differentiated to make a step. In training, gradients flow through the step to the
    features and weights that it was made of, so that both learn to make good steps.

    >>> from e2e_slam_ros.multiview.dro.shape import PAPER
    >>> pose = torch.eye(4).expand(1, 3, 4, 4)
    >>> features, k = torch.zeros(1, 4, 128, 4, 4), torch.eye(3).expand(1, 4, 3, 3)
    >>> state, log_depth = torch.zeros(3, 128, 4, 4), torch.zeros(1, 1, 4, 4)
    >>> PoseOptimiser(PAPER)(pose, state, state, features, log_depth, k)[1].shape
    torch.Size([1, 3, 4, 4])
    """

    steps: torch.Tensor

    def __init__(self, shape: DroShape) -> None:
        super().__init__()
        self._probed = shape.pose_probes
        more = _PROBES + 1 if shape.pose_probes else 0
        self.project_variable = projection(6, shape.projected)
        self.project_cost = projection(1 + more, shape.projected)
        self.gru = SeparableGRU(shape.hidden, 2 * shape.projected + shape.hidden)
        self.head = PoseHead(shape.hidden)
        if shape.pose_probes:
            self.gain = nn.Parameter(torch.ones(6))
            self.certainty = nn.Conv2d(shape.hidden, 1, 3, padding=1)
            # A new network gives all pixels the same weight.
            nn.init.zeros_(self.certainty.weight)
            assert self.certainty.bias is not None
            nn.init.zeros_(self.certainty.bias)
        self.register_buffer("steps", torch.cat([torch.eye(6), -torch.eye(6)]), False)

    def forward(
        self,
        T_i_0: torch.Tensor,
        state: torch.Tensor,
        context: torch.Tensor,
        features: torch.Tensor,
        log_depth: torch.Tensor,
        intrinsics: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the next state (B N, hidden, h, w) and the next poses (B, N, 4, 4).

        Args:
            T_i_0: (B, N, 4, 4).
            state, context: (B N, hidden, h, w), of the pairs.
            features: (B, V, C, ...), of the size of the state or finer.
            log_depth: (B, 1, h, w), held.
            intrinsics: (B, V, 3, 3), for images of the size of ``features``.
        """
        batch, neighbours = T_i_0.shape[:2]
        height, width = log_depth.shape[-2:]
        now = T_i_0.detach()
        finer = features.shape[-1] // width
        fine = enlarged(log_depth.detach(), finer).exp()
        share = None
        if self._probed:
            share = enlarged(2.0 * self.certainty(state).float().sigmoid(), finer)
        evidence = _evidence(now, features, fine, intrinsics, share, self.steps)
        cost = pooled(evidence.channels, finer)
        twist = se3.log(now.float()).reshape(-1, 6, 1, 1).expand(-1, -1, height, width)
        moved = torch.cat([self.project_variable(twist), self.project_cost(cost), context], 1)
        state = self.gru(state, moved)
        change = self.head(state).view(batch, neighbours, 6)
        if self._probed:
            change = change + self.gain * evidence.step
        return state, se3.compose(se3.exp(change), T_i_0)


@full_precision
def _evidence(
    T_i_0: torch.Tensor,
    features: torch.Tensor,
    depth: torch.Tensor,
    intrinsics: torch.Tensor,
    share: torch.Tensor | None,
    steps: torch.Tensor,
) -> PoseEvidence:
    """Compare the features at the poses and, with ``share``, at steps beside them.

    Args:
        share: (B N, 1, h, w) in [0, 2], how much each pixel counts; None: no probes.
        steps: (12, 6) twists.
    """
    here = cost_map(features, depth, T_i_0, intrinsics)
    channels = here.cost.flatten(0, 1)
    if share is None:
        return PoseEvidence(channels, T_i_0.new_zeros(*T_i_0.shape[:2], 6))
    # A step of translation moves the image by about the same at any depth.
    scale = torch.ones(len(depth), 6, device=depth.device)
    scale[:, :3] = depth.flatten(1).median(1).values[:, None]
    scale = scale * (_PROBE_PX / intrinsics[:, 0, 0, 0])[:, None]
    moves = se3.exp(steps * scale[:, None])
    tried = (moves[:, None] @ T_i_0[:, :, None]).flatten(1, 2)
    many, k = _repeated(features, _PROBES), _repeated(intrinsics, _PROBES)
    warped, inside, _ = warped_features(many, depth, tried, k)
    size = (-1, _PROBES, *warped.shape[2:3], *depth.shape[-2:])
    warped, inside = warped.reshape(size), inside.view(-1, _PROBES, *depth.shape[-2:])
    reference = features[:, 0].repeat_interleave(T_i_0.shape[1], 0)
    cost, seen = here.cost.flatten(0, 1)[:, 0], here.inside.flatten(0, 1)[:, 0]
    residual = warped - reference[:, None]
    # A point that leaves the image costs what it cost before: it says nothing.
    rise = (feature_distance(residual, 2) - cost[:, None]) * inside * seen[:, None]
    counted = inside.amin(1) * seen
    step = _newton_step(residual[:, :6], residual[:, 6:], cost, counted, share[:, 0])
    step = step.view(*T_i_0.shape[:2], 6)
    parts = [channels, rise, here.inside.flatten(0, 1)]
    return PoseEvidence(torch.cat(parts, 1), step * scale[:, None])


def _newton_step(
    forward: torch.Tensor,
    back: torch.Tensor,
    cost: torch.Tensor,
    seen: torch.Tensor,
    share: torch.Tensor,
) -> torch.Tensor:
    """Return (M, 6), in probes: the damped Gauss-Newton step of M pairs.

    Its Jacobian is a difference of features. A pixel counts less the larger its cost is.

    Args:
        forward, back: (M, 6, C, h, w), differences of features after a probe along each direction.
        cost: (M, h, w).
        seen: (M, h, w), 1 where the point is in view after every probe.
        share: (M, h, w), at least 0, how much the network lets a pixel count.
    """
    slope = 0.5 * (forward - back).flatten(2)
    # The mean of both is the present difference, but for curvature.
    residual = 0.5 * (forward + back).mean(1).flatten(1)
    level = (cost * seen).sum((1, 2), True) / seen.sum((1, 2), True).clamp_min(1.0)
    weight = share * seen / (cost + 0.1 * level + 1e-3)
    weighted = slope * weight[:, None, None].expand_as(forward[:, :1]).flatten(2)
    normal = weighted @ slope.transpose(1, 2)
    diagonal = normal.diagonal(dim1=1, dim2=2)
    ridge = _DAMPING * diagonal + 0.1 * _DAMPING * diagonal.mean(1, True) + _LEAST
    step = -torch.linalg.solve(normal + torch.diag_embed(ridge), weighted @ residual[..., None])
    return torch.nan_to_num(step[..., 0]).clamp(-_LONGEST, _LONGEST)


def _repeated(values: torch.Tensor, count: int) -> torch.Tensor:
    """Return view 0 and every other view ``count`` times."""
    return torch.cat([values[:, :1], values[:, 1:].repeat_interleave(count, 1)], 1)
