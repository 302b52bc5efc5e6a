"""The 3-D matching network: volumes of several views to depths (DeepV2D section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from e2e_slam_ros.multiview.deepv2d.architecture import DeepV2DArchitecture
from e2e_slam_ros.multiview.deepv2d.blocks import Hourglass, Pointwise, Residual, conv

# Weight of a view at a sample outside its image, over that inside. Where no view sees the sample,
# all count alike.
_UNSEEN = 1e-3
# Least sum of weights that is divided by.
_LEAST_WEIGHT = 1e-12


class MatchingNetwork(nn.Module):
    """Convolutions of each view's volume, their mean over the views, stacked 3-D hourglasses.

    The mean is a weighted one where the architecture says so: the weight of a view at a sample
    comes from the network, and is nearly 0 where the sample is outside the view's image.

    Args:
        architecture: sizes.

    >>> from e2e_slam_ros.multiview.deepv2d.architecture import LIGHT
    >>> network = MatchingNetwork(LIGHT)
    >>> volume = torch.zeros(1, network.coming, 32, 12, 16)
    >>> [logits.shape for logits in network([lambda: volume, lambda: volume])]
    [torch.Size([1, 32, 12, 16]), torch.Size([1, 32, 12, 16])]
    """

    def __init__(self, architecture: DeepV2DArchitecture) -> None:
        super().__init__()
        joined = 2 * architecture.features
        # One more channel: whether the neighbour sees the sample at all.
        self.coming = (architecture.correlation_groups or joined) + 1
        narrow, wide = architecture.matching, architecture.volume[0]
        self.each_view = nn.Sequential(
            conv(3, self.coming, narrow, 1), nn.ReLU(), Residual(3, narrow, narrow)
        )
        self.view_weight: Pointwise | None = None
        if architecture.weighted_views:
            # A new network gives all views the same weight.
            self.view_weight = Pointwise(narrow, 1)
            nn.init.zeros_(self.view_weight.weight)
        self.pooled = Residual(3, narrow, wide)
        self.hourglasses = nn.ModuleList(
            Hourglass(3, architecture.volume) for _ in range(architecture.volumes)
        )
        self.heads = nn.ModuleList(
            nn.Sequential(conv(3, wide, wide), nn.ReLU(), Pointwise(wide, 1))
            for _ in range(architecture.volumes)
        )

    def forward(self, volumes: Iterable[Callable[[], torch.Tensor]]) -> list[torch.Tensor]:
        """Return logits (B, D, h, w) over the planes, one for each hourglass.

        Args:
            volumes: makers of the views' volumes (B, `coming`, D, h, w). Each volume is made,
                added to the mean and forgotten, so that memory does not grow with the views.
                With gradients it is made again in the backward pass (Chen et al. 2016).
        """
        total: torch.Tensor | None = None
        count = 0
        for volume in volumes:
            matched = self._matched(volume)
            total = matched if total is None else total + matched
            count += 1
        if total is None:
            raise ValueError("no volumes")
        if self.view_weight is not None:
            mean = total[:, :-1] / total[:, -1:].clamp_min(_LEAST_WEIGHT)
        else:
            mean = total / count
        x = self.pooled(mean)
        logits = []
        for hourglass, head in zip(self.hourglasses, self.heads, strict=True):
            x = hourglass(x)
            logits.append(head(x).squeeze(1))
        return logits

    def _matched(self, volume: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Return a view's summand of the mean; its backward pass calculates it a second time."""
        if not torch.is_grad_enabled():
            return self._weighted(volume)
        again: torch.Tensor = checkpoint(self._weighted, volume, use_reentrant=False)
        return again

    def _weighted(self, volume: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Return (B, narrow, D, h, w); weighted, and with the weight as one more channel."""
        samples = volume()
        matched: torch.Tensor = self.each_view(samples)
        seen = samples[:, -1:]
        if self.view_weight is None:
            return matched
        weight = self.view_weight(matched).float().sigmoid() * seen.float().clamp_min(_UNSEEN)
        return torch.cat([weight * matched, weight], dim=1)


def soft_argmax(logits: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return the expectation of ``values`` under softmax, (B, 1, h, w) (Kendall et al. 2017).

    Args:
        logits: (B, D, h, w).
        values: (D,).

    >>> logits = torch.tensor([0.0, 50.0, 0.0]).view(1, 3, 1, 1)
    >>> float(soft_argmax(logits, torch.tensor([1.0, 2.0, 4.0])))
    2.0
    """
    probability = functional.softmax(logits, dim=1)
    return (probability * values.to(logits)[:, None, None]).sum(1, keepdim=True)
