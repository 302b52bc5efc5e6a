"""DRO's network: encoders, heads, and the alternation of depth and pose updates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.multiview.dro.encoder import build_base, build_encoder
from e2e_slam_ros.multiview.dro.heads import ConvexUpsampling, PoseHead, first_depth_head
from e2e_slam_ros.multiview.dro.optimiser import DepthOptimiser, pooled
from e2e_slam_ros.multiview.dro.pose_optimiser import PoseOptimiser
from e2e_slam_ros.multiview.dro.pose_search import search_rotations
from e2e_slam_ros.multiview.dro.shape import DroShape
from e2e_slam_ros.multiview.dro.views import (
    FARTHEST_M,
    NEAREST_M,
    DepthGuide,
    DroViews,
    check_poses,
)

_LOG_RANGE = (math.log(NEAREST_M), math.log(FARTHEST_M))


@dataclass(frozen=True, eq=False)
class DroStage:
    """Depth and poses after one stage; stage 0 is the start.

    Attributes:
        log_depth: (B, 1, H, W), logarithm of metres, of the reference at the images' size.
        T_i_0: (B, N, 4, 4), points of the reference camera to neighbour i.

    >>> DroStage(torch.zeros(1, 1, 8, 8), torch.eye(4).expand(1, 2, 4, 4)).depth.mean()
    tensor(1.)
    """

    log_depth: torch.Tensor
    T_i_0: torch.Tensor

    @property
    def depth(self) -> torch.Tensor:
        """Metres, (B, 1, H, W)."""
        return self.log_depth.exp()


class DroNetwork(nn.Module):
    """From a reference image and its neighbours to depth and poses.

    >>> from e2e_slam_ros.multiview.dro.shape import LIGHT
    >>> k = torch.tensor([[64.0, 0, 31.5], [0, 64, 23.5], [0, 0, 1]])
    >>> views = DroViews(torch.rand(1, 3, 3, 48, 64), k.expand(1, 3, 3, 3))
    >>> with torch.inference_mode():
    ...     stages = DroNetwork(LIGHT)(views, iterations=8)
    >>> len(stages), stages[-1].depth.shape, stages[-1].T_i_0.shape
    (3, torch.Size([1, 1, 48, 64]), torch.Size([1, 2, 4, 4]))
    """

    def __init__(self, shape: DroShape) -> None:
        super().__init__()
        self.shape = shape
        self.base = build_base(shape)
        self.context = build_encoder(shape, 1, 2 * shape.hidden)
        self.pair_context = build_encoder(shape, 2, 2 * shape.hidden)
        self.depth_head = first_depth_head(shape.features)
        self.pose_head = PoseHead(2 * shape.features)
        self.depth_optimiser = DepthOptimiser(shape)
        self.pose_optimiser = PoseOptimiser(shape)
        self.upsampling = ConvexUpsampling(shape.hidden, shape.stride)

    def forward(
        self,
        views: DroViews,
        iterations: int = 12,
        T_i_0: torch.Tensor | None = None,
        guide: DepthGuide | None = None,
        least_change: float = 0.0,
    ) -> list[DroStage]:
        """Return the start and the result of every stage.

        Args:
            iterations: updates of the depth, and of the poses unless they are known.
            T_i_0: (B, N, 4, 4), known poses, which are held; None: they are estimated.
            guide: depth to start from; None: the depth head's.
            least_change: end after a stage whose last update changed depth by less, as a mean
                share; 0 never.

        Raises:
            DepthError: the views, intrinsics, poses or guide cannot be used, or the number of
                iterations is negative.
            PoseError: a known pose is no rigid motion.
        """
        self._check(views, iterations, T_i_0)
        run = _Run(self, views, T_i_0, guide.checked() if guide is not None else None)
        stages, done = [run.stage()], 0
        while done < iterations:
            updates = min(self.shape.updates, iterations - done)
            change = run.advance(updates)
            done += updates
            stages.append(run.stage())
            if least_change > 0 and float(change) < least_change:
                break
        return stages

    def _check(self, views: DroViews, iterations: int, T_i_0: torch.Tensor | None) -> None:
        if iterations < 0:
            raise DepthError.from_parts(
                "DRO's iterations", iterations, "0 or more", "0 gives the depth it starts from"
            )
        views.check()
        if T_i_0 is not None:
            check_poses(T_i_0, views)


class _Run:
    """The state of one optimisation."""

    def __init__(
        self,
        net: DroNetwork,
        views: DroViews,
        T_i_0: torch.Tensor | None,
        guide: DepthGuide | None,
    ) -> None:
        self._net, self._held, stride = net, T_i_0 is not None, net.shape.stride
        batch, count = views.image.shape[:2]
        self._k = _scaled(views.intrinsics, net.shape.cost_stride)
        features = net.base(views.image.flatten(0, 1))
        self._features = features.view(batch, count, *features.shape[1:]).float()
        state, context = net.context(views.image[:, 0]).chunk(2, 1)
        self._state, self._context = state.float().tanh(), context.relu()
        self._guide: torch.Tensor | None = None
        if guide is None:
            self._log_depth = net.depth_head(self._coarse(self._features[:, 0])).clamp(*_LOG_RANGE)
        else:
            self._log_depth = pooled(guide.start.log(), stride)
            parts = [guide.single.log(), guide.stereo.log(), guide.weight]
            self._guide = pooled(torch.cat(parts, 1), stride)
        self._T_i_0 = self._first_poses() if T_i_0 is None else T_i_0.to(self._features)
        self._pair: tuple[torch.Tensor, torch.Tensor] | None = None
        self._image = views.image

    def advance(self, updates: int) -> torch.Tensor:
        """Run one stage. Return the mean change of log depth in its last update."""
        first = self._net.shape.poses_first
        if not self._held and first:
            self._advance_poses(updates * self._net.shape.pose_updates)
        change = self._log_depth
        for _ in range(updates):
            self._state, change = self._net.depth_optimiser(
                self._log_depth,
                self._state,
                self._context,
                self._features,
                self._T_i_0,
                self._k,
                self._guide,
            )
            self._log_depth = (self._log_depth + change).clamp(*_LOG_RANGE)
        if not self._held and not first:
            self._advance_poses(updates * self._net.shape.pose_updates)
        return change.detach().abs().mean()

    def stage(self) -> DroStage:
        """Return what has been reached, at the images' size."""
        return DroStage(self._net.upsampling(self._log_depth, self._state), self._T_i_0)

    def _coarse(self, features: torch.Tensor) -> torch.Tensor:
        shape = self._net.shape
        return pooled(features, shape.stride // shape.cost_stride)

    def _advance_poses(self, updates: int) -> None:
        features, k = self._features, self._k
        if self._pair is None and self._net.shape.pose_search:
            # Coarse features see farther: the poses of the search are degrees off.
            features = self._coarse(features.flatten(0, 1)).view(
                *features.shape[:3], *self._log_depth.shape[-2:]
            )
            k = _scaled(k, self._net.shape.stride // self._net.shape.cost_stride)
        state, context = self._pair or self._first_pair()
        for _ in range(updates):
            state, self._T_i_0 = self._net.pose_optimiser(
                self._T_i_0, state, context, features, self._log_depth, k
            )
        self._pair = (state, context)

    def _first_poses(self) -> torch.Tensor:
        """Return the pose head's poses of the concatenated features, or those of a search."""
        shape = self._net.shape
        if shape.pose_search:
            coarse = 2 * shape.stride // shape.cost_stride
            features = pooled(self._features.detach().flatten(0, 1), coarse)
            return search_rotations(
                features.view(*self._features.shape[:3], *features.shape[-2:]),
                pooled(self._log_depth.detach(), 2).exp(),
                _scaled(self._k, coarse),
            )
        first = self._features[:, :1].expand_as(self._features[:, 1:])
        pairs = torch.cat([first, self._features[:, 1:]], 2)
        twist = self._net.pose_head(self._coarse(pairs.flatten(0, 1)))
        return se3.exp(twist).view(*pairs.shape[:2], 4, 4)

    def _first_pair(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return state and context of the image pairs."""
        first = self._image[:, :1].expand_as(self._image[:, 1:])
        pairs = torch.cat([first, self._image[:, 1:]], 2).flatten(0, 1)
        state, context = self._net.pair_context(pairs).chunk(2, 1)
        return state.float().tanh(), context.relu()


def _scaled(intrinsics: torch.Tensor, stride: int) -> torch.Tensor:
    """Return intrinsics of the image reduced by ``stride``."""
    k = intrinsics.clone()
    k[..., :2, :2] /= stride
    k[..., :2, 2] = (k[..., :2, 2] + 0.5) / stride - 0.5
    return k
