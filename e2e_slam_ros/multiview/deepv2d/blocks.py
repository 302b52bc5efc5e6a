"""Building blocks of DeepV2D in two and three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

_GROUP = 8
# torch takes its slow 3-D convolution for a single sample below this many B C D H.
_SLOW_BELOW = 20481


class Volume3d(nn.Conv3d):
    """A 3-D convolution that is fast for a single small sample on a CPU too.

    torch 2.13 gives oneDNN only batches and large samples. A second, equal sample costs less than
    the slow path: a third of the time at 32 channels of 16x24x32.

    >>> Volume3d(4, 4, 3, padding=1)(torch.zeros(1, 4, 2, 4, 4)).shape
    torch.Size([1, 4, 2, 4, 4])
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the convolution of (B, C, D, H, W)."""
        small = len(input) == 1 and input.shape[1:4].numel() < _SLOW_BELOW
        if small and input.device.type == "cpu":
            return super().forward(input.expand(2, -1, -1, -1, -1))[:1]
        return super().forward(input)


_CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: Volume3d}


class Pointwise(nn.Module):
    """A 1x1x1 convolution as a matrix product: torch's own is many times slower on a CPU.

    >>> Pointwise(3, 5)(torch.zeros(1, 3, 2, 4, 4)).shape
    torch.Size([1, 5, 2, 4, 4])
    """

    def __init__(self, coming: int, going: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(going, coming))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        self.bias = nn.Parameter(torch.zeros(going, 1)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, going, ...) of (B, coming, ...)."""
        product = self.weight @ x.flatten(2)
        if self.bias is not None:
            product = product + self.bias
        return product.reshape(len(x), -1, *x.shape[2:])


def conv(dims: int, coming: int, going: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    """Return a convolution that keeps the size (divided by ``stride``), with group norm.

    The paper does not say which normalisation it uses. Batches of one or two clips leave batch
    norm without statistics; group norm needs none.

    >>> conv(2, 3, 16, stride=2)(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 16, 4, 4])
    """
    layer: nn.Module
    if dims == 3 and kernel == 1:
        layer = Pointwise(coming, going, bias=False)
    else:
        layer = _CONV[dims](coming, going, kernel, stride, padding=kernel // 2, bias=False)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(layer, nn.GroupNorm(max(1, going // _GROUP), going))


class Residual(nn.Module):
    """Two 3x3 (3x3x3) convolutions beside a shortcut.

    >>> Residual(2, 8, 16)(torch.zeros(1, 8, 4, 4)).shape
    torch.Size([1, 16, 4, 4])
    """

    def __init__(self, dims: int, coming: int, going: int) -> None:
        super().__init__()
        self.first = conv(dims, coming, going)
        self.second = conv(dims, going, going)
        self.shortcut = nn.Identity() if coming == going else conv(dims, coming, going, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of the same size."""
        inner = self.second(functional.relu(self.first(x)))
        return functional.relu(inner + self.shortcut(x))


class Hourglass(nn.Module):
    """HG(n): a residual beside a coarser hourglass HG(n - 1) (Newell et al. 2016).

    Args:
        dims: 2 or 3.
        channels: of the levels, finest first; input and output have ``channels[0]``.

    >>> Hourglass(3, (8, 16))(torch.zeros(1, 8, 4, 6, 6)).shape
    torch.Size([1, 8, 4, 6, 6])
    """

    def __init__(self, dims: int, channels: Sequence[int]) -> None:
        super().__init__()
        fine, *coarse = channels
        self.across = Residual(dims, fine, fine)
        self.inner: nn.Module | None = None
        if coarse:
            self.down = conv(dims, fine, coarse[0], stride=2)
            self.inner = Hourglass(dims, coarse)
            self.up = conv(dims, coarse[0], fine, 1)
        self._mode = "bilinear" if dims == 2 else "trilinear"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of the same size; any size of at least 1 in each dimension."""
        across: torch.Tensor = self.across(x)
        if self.inner is None:
            return across
        below = self.up(self.inner(functional.relu(self.down(x))))
        back = functional.interpolate(below, x.shape[2:], mode=self._mode, align_corners=False)
        return functional.relu(across + back)
