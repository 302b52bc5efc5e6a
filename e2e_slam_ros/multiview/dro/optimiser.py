"""The recurrent optimiser of the depth: one step."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.multiview.dro.cost_map import cost_map
from e2e_slam_ros.multiview.dro.gru import SeparableGRU
from e2e_slam_ros.multiview.dro.heads import DepthHead
from e2e_slam_ros.multiview.dro.shape import DroShape

# Side of the windows in which costs are averaged, in pixels of the features.
_WINDOW = 7
# Channels of a guide relative to the present depth.
GUIDE_CHANNELS = 3


class DepthOptimiser(nn.Module):
    """One update of the depth: D + Delta D, in the logarithm of depth.

    >>> from e2e_slam_ros.multiview.dro.shape import PAPER
    >>> step = DepthOptimiser(PAPER)
    >>> features, k = torch.zeros(1, 2, 128, 4, 4), torch.eye(3).expand(1, 2, 3, 3)
    >>> state = torch.zeros(1, 128, 4, 4)
    >>> log_depth, pose = torch.zeros(1, 1, 4, 4), torch.eye(4).expand(1, 1, 4, 4)
    >>> step(log_depth, state, state, features, pose, k, None)[1].abs().max()  # untrained
    tensor(0., grad_fn=<MaxBackward1>)
    """

    probes: torch.Tensor

    def __init__(self, shape: DroShape) -> None:
        super().__init__()
        probes = len(shape.probes) + 1
        self.register_buffer("probes", torch.tensor([0.0, *shape.probes]).sort().values, False)
        self._probed, self._guided = bool(shape.probes), shape.guided
        variable = 1 + (GUIDE_CHANNELS if shape.guided else 0)
        cost = probes + (probes + 3 if shape.probes else 0)
        # Sharpness of the choice between probes; 4 times e^0 suits new features.
        if shape.probes:
            self.log_sharpness = nn.Parameter(torch.zeros(2))
        self._finer = shape.stride // shape.cost_stride
        self.project_variable = projection(variable, shape.projected)
        self.project_cost = projection(cost, shape.projected)
        self.gru = SeparableGRU(shape.hidden, 2 * shape.projected + shape.hidden)
        self.head = DepthHead(shape.hidden)

    def forward(
        self,
        log_depth: torch.Tensor,
        state: torch.Tensor,
        context: torch.Tensor,
        features: torch.Tensor,
        T_i_0: torch.Tensor,
        intrinsics: torch.Tensor,
        guide: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the next state and the change of log depth.

        Args:
            log_depth: (B, 1, h, w), of metres.
            state, context: (B, hidden, h, w).
            features: (B, V, C, ...), at the stride of the cost.
            T_i_0: (B, N, 4, 4).
            intrinsics: (B, V, 3, 3), for images of the size of ``features``.
            guide: (B, 3, h, w): log depth of the image alone, log depth and weight of motion
                stereo; None for a network without guides, or where there are none.
        """
        now = log_depth.detach()
        fine = enlarged(now, self._finer)
        candidates = (fine + torch.log1p(self.probes).view(1, -1, 1, 1)).exp()
        costs = cost_map(features, candidates, T_i_0, intrinsics)
        mean, seen = costs.mean()
        parts = [mean]
        if self._probed:
            parts += [seen, costs.parallax(), *self._suggested(mean)]
        moved = torch.cat(
            [
                self.project_variable(self._variable(now, guide)),
                self.project_cost(pooled(torch.cat(parts, 1), self._finer)),
                context,
            ],
            1,
        )
        state = self.gru(state, moved)
        return state, self.head(state)

    def _suggested(self, cost: torch.Tensor) -> list[torch.Tensor]:
        """Return the mean change of log depth, weighted by low cost: of pixels, and of windows.

        It tells the unit in which direction the cost falls, and saves it from learning that.
        """
        windows = functional.avg_pool2d(cost, _WINDOW, 1, _WINDOW // 2, count_include_pad=False)
        steps = torch.log1p(self.probes).view(1, -1, 1, 1)
        sharpness = 4.0 * self.log_sharpness.exp()
        return [
            10.0 * ((-sharp * costs).softmax(1) * steps).sum(1, keepdim=True)
            for sharp, costs in zip(sharpness, (cost, windows), strict=True)
        ]

    def _variable(self, log_depth: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
        if not self._guided:
            return log_depth
        # Only differences of log depth: they are the same in metres and in feet.
        shape = log_depth - log_depth.mean((2, 3), keepdim=True)
        if guide is None:
            nothing = torch.zeros_like(log_depth).expand(-1, GUIDE_CHANNELS, -1, -1)
            return torch.cat([shape, nothing], 1)
        weight = guide[:, 2:]
        single = (guide[:, :1] - log_depth).clamp(-1.0, 1.0)
        stereo = (guide[:, 1:2] - log_depth).clamp(-1.0, 1.0) * (weight > 0)
        return torch.cat([shape, single, stereo, weight], 1)


def projection(channels_in: int, channels_out: int) -> nn.Sequential:
    """Return P_v or P_c: two convolutions into the feature space."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels_out, channels_out, 3, padding=1),
        nn.ReLU(inplace=True),
    )


def pooled(image: torch.Tensor, stride: int) -> torch.Tensor:
    """Return (B, C, H / stride, W / stride): means over squares of pixels."""
    return image if stride == 1 else functional.avg_pool2d(image, stride)


def enlarged(image: torch.Tensor, factor: int) -> torch.Tensor:
    """Return (B, C, factor H, factor W) by bilinear interpolation."""
    if factor == 1:
        return image
    return functional.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=False)
