"""How a network's depth becomes metres: one scale, or scale and shift, for a whole keyframe."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.config.errors import DepthError

# Farther than this an aligned pixel has no use; keeps depth positive where a shift says beyond.
_FARTHEST_M = 1e3


@dataclass(frozen=True)
class Alignment:
    """A constant of one keyframe: numbers, so that no gradient can flow through it.

    With ``inverse`` a pixel's metric inverse depth is ``scale / d + shift``, otherwise its depth
    is ``scale * d + shift`` (paper B.2). Found once for each keyframe; a ratio recomputed at
    every step would undo whatever the losses do to the scale.

    Attributes:
        scale, shift: the two numbers.
        inverse: they apply to inverse depth.
        points: how many labels they rest on; 0 where none were needed.
        error: mean absolute difference of log depth that remained, over these.
    """

    scale: float = 1.0
    shift: float = 0.0
    inverse: bool = False
    points: int = 0
    error: float = 0.0

    def __call__(self, depth: torch.Tensor) -> torch.Tensor:
        """Return metric depth; differentiable in ``depth``, any shape, > 0."""
        if self.inverse:
            least = 1.0 / _FARTHEST_M
            return (self.scale / depth + self.shift).clamp_min(least).reciprocal()
        aligned = self.scale * depth
        return aligned if self.shift == 0.0 else (aligned + self.shift).clamp_min(1e-3)

    def after(self, factor: float) -> Alignment:
        """Return what does to a depth what this does to ``factor`` times it."""
        scale = self.scale / factor if self.inverse else self.scale * factor
        return replace(self, scale=scale)

    def to_tensor(self) -> torch.Tensor:
        """Return (3,) float64: scale, shift, and 1 where they apply to inverse depth."""
        values = [self.scale, self.shift, float(self.inverse)]
        return torch.tensor(values, dtype=torch.float64)

    @staticmethod
    def from_tensor(values: torch.Tensor) -> Alignment:
        """Return what `to_tensor` was made from, labels apart.

        Raises:
            DepthError: it is none.
        """
        sound = tuple(values.shape) == (3,) and bool(torch.isfinite(values).all())
        if not sound or float(values[0]) <= 0:
            raise DepthError.from_parts(
                "saved alignment",
                values.tolist(),
                "scale > 0, shift, 0 or 1",
                "use an earlier file",
            )
        scale, shift, inverse = values.tolist()
        return Alignment(scale, shift, bool(inverse))
