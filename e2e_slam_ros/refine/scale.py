"""The scale of a keyframe's depth: the map from a source's unit to metres."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.config.errors import DepthError

# A scaled pixel farther than this is of no use. The bound keeps depth positive if a shift makes
# its inverse negative.
_FARTHEST_M = 1e3


@dataclass(frozen=True)
class Scale:
    """A scale, or scale and shift, for all pixels of one keyframe.

    With ``inverse`` the metric inverse depth of a pixel is ``factor / d + shift``; otherwise its
    depth is ``factor * d + shift`` (paper B.2). The values are plain numbers, found once for each
    keyframe, and no gradient flows through them. A ratio that is computed again at every step
    would cancel any change of scale that a loss asks for.

    Attributes:
        factor, shift: the two numbers.
        inverse: whether they apply to inverse depth.
        points: number of labels that they were fitted to; 0 if none were needed.
        error: mean absolute difference of log depth at these labels, after the fit.
        sigma: standard deviation of the natural logarithm of the factor; 0: exact, or unknown.

    Example:
        >>> Scale(2.0)(torch.tensor([1.0, 3.0]))
        tensor([2., 6.])
    """

    factor: float = 1.0
    shift: float = 0.0
    inverse: bool = False
    points: int = 0
    error: float = 0.0
    sigma: float = 0.0

    def __call__(self, depth: torch.Tensor) -> torch.Tensor:
        """Return metric depth; differentiable in ``depth``, any shape, > 0."""
        if self.inverse:
            least = 1.0 / _FARTHEST_M
            return (self.factor / depth + self.shift).clamp_min(least).reciprocal()
        scaled = self.factor * depth
        return scaled if self.shift == 0.0 else (scaled + self.shift).clamp_min(1e-3)

    def of_larger(self, ratio: float) -> Scale:
        """Return the scale that gives the same metres of depth that is ``ratio`` times as large.

        >>> Scale(3.0).of_larger(1.5)(torch.tensor([3.0]))  # of [2.0] before
        tensor([6.])
        """
        changed = self.factor * ratio if self.inverse else self.factor / ratio
        return replace(self, factor=changed)

    def to_tensor(self) -> torch.Tensor:
        """Return (3,) float64: factor, shift, and 1 where they apply to inverse depth."""
        values = [self.factor, self.shift, float(self.inverse)]
        return torch.tensor(values, dtype=torch.float64)

    @staticmethod
    def from_tensor(values: torch.Tensor) -> Scale:
        """Return the scale that `to_tensor` wrote, without points, error and sigma.

        Raises:
            DepthError: the values are no scale.
        """
        sound = tuple(values.shape) == (3,) and bool(torch.isfinite(values).all())
        if not sound or float(values[0]) <= 0:
            raise DepthError.from_parts(
                "saved scale",
                values.tolist(),
                "factor > 0, shift, 0 or 1",
                "use an earlier file",
            )
        factor, shift, inverse = values.tolist()
        return Scale(factor, shift, bool(inverse))
