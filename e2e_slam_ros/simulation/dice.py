"""Random choices from one `torch.Generator`. A seed gives the same scene on every device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch

T = TypeVar("T")


class Dice:
    """A random number generator on the CPU. The same seed gives the same draws.

    Args:
        seed: any integer, reduced to 63 bits.
        stream: separates independent uses of one seed (layout, textures, trajectory, noise).

    >>> Dice(7).uniform(0.0, 1.0) == Dice(7).uniform(0.0, 1.0)
    True
    """

    def __init__(self, seed: int, stream: int = 0) -> None:
        mixed = (seed * 0x9E3779B97F4A7C15 + stream * 0xD1B54A32D192ED03) % (1 << 63)
        self.generator = torch.Generator().manual_seed(mixed)

    def uniform(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def integer(self, low: int, high: int) -> int:
        """Return an integer in [low, high], both included."""
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def chance(self, probability: float) -> bool:
        """Return True with ``probability``."""
        return self.uniform(0.0, 1.0) < probability

    def choice(self, options: Sequence[T]) -> T:
        """Return one of ``options``, all equally likely."""
        return options[self.integer(0, len(options) - 1)]

    def color(self, low: float = 0.1, high: float = 0.9) -> tuple[float, float, float]:
        """Return an sRGB colour of random lightness and moderate saturation, in [0, 1]."""
        level = self.uniform(low, high)
        # Squared, because homes have more pale colours than saturated ones.
        spread = 0.4 * self.uniform(0.0, 1.0) ** 2
        red, green, blue = (
            min(max(level + spread * self.uniform(-1.0, 1.0), 0.03), 0.97) for _ in range(3)
        )
        return red, green, blue

    def rand(self, *shape: int) -> torch.Tensor:
        """Return uniform numbers in [0, 1), float32."""
        return torch.rand(shape, generator=self.generator)

    def randn(self, *shape: int) -> torch.Tensor:
        """Return normal numbers, float32."""
        return torch.randn(shape, generator=self.generator)
