"""Sparsification curves: a measure of predicted uncertainty (Ilg et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e2e_slam_ros.config.errors import DepthError

_STEPS = 20


@dataclass(frozen=True)
class Sparsification:
    """Mean error of the pixels that remain when a growing share of them is removed.

    Attributes:
        removed: the shares, 0, 0.05, ..., 0.95.
        by_uncertainty: mean error when the most uncertain pixels go first.
        by_error: the same with the largest errors first: no uncertainty can do better.
        random: mean error when any pixels go: that of all pixels.

    >>> curves = Sparsification((0.0, 0.5), (0.2, 0.1), (0.2, 0.1), random=0.2)
    >>> curves.ause, round(curves.random_area, 3)
    (0.0, 0.025)
    """

    removed: tuple[float, ...]
    by_uncertainty: tuple[float, ...]
    by_error: tuple[float, ...]
    random: float

    @property
    def ause(self) -> float:
        """Area between the uncertainty's curve and the oracle's: 0 is perfect."""
        return self._area(self.by_uncertainty) - self._area(self.by_error)

    @property
    def random_area(self) -> float:
        """The same area for removal at random; a useful uncertainty has a smaller one."""
        return self._area([self.random] * len(self.removed)) - self._area(self.by_error)

    def _area(self, curve: Sequence[float]) -> float:
        steps = zip(self.removed, self.removed[1:], curve, curve[1:], strict=False)
        return sum((b - a) * (left + right) / 2.0 for a, b, left, right in steps)


def sparsification(error: torch.Tensor, uncertainty: torch.Tensor) -> Sparsification:
    """Return the curves of one image.

    Pixels of equal uncertainty share their mean error: what removing them in random order gives
    on average.

    Args:
        error, uncertainty: one value a pixel, any equal shape, at least one.

    Raises:
        DepthError: the shapes differ, there is no pixel, or a value is not finite.
    """
    if error.shape != uncertainty.shape or error.numel() == 0:
        raise DepthError.from_parts(
            "sparsification",
            f"errors {tuple(error.shape)} and uncertainties {tuple(uncertainty.shape)}",
            "one uncertainty for each error, at least one",
            "resize the uncertainty to the depth's size",
        )
    wrong, doubt = error.detach().double().flatten(), uncertainty.detach().double().flatten()
    if not bool((torch.isfinite(wrong) & torch.isfinite(doubt)).all()):
        raise DepthError.from_parts(
            "sparsification", "NaN or infinite values", "finite ones", "leave these pixels out"
        )
    groups, member, sizes = torch.unique(doubt, return_inverse=True, return_counts=True)
    shared = torch.zeros_like(groups).index_add(0, member, wrong) / sizes
    removed = [step / _STEPS for step in range(_STEPS)]
    kept = [max(1, round(wrong.numel() * (1.0 - share))) for share in removed]
    return Sparsification(
        removed=tuple(removed),
        by_uncertainty=_mean_of_first(shared[member][doubt.argsort()], kept),
        by_error=_mean_of_first(wrong.sort().values, kept),
        random=float(wrong.mean()),
    )


def mean_sparsification(each: Sequence[Sparsification]) -> Sparsification | None:
    """Average curves over images, each image counting alike; None when there are none."""
    if not each:
        return None
    return Sparsification(
        removed=each[0].removed,
        by_uncertainty=_mean([curves.by_uncertainty for curves in each]),
        by_error=_mean([curves.by_error for curves in each]),
        random=sum(curves.random for curves in each) / len(each),
    )


def _mean_of_first(sorted_errors: torch.Tensor, counts: Sequence[int]) -> tuple[float, ...]:
    sums = sorted_errors.cumsum(0)
    ends = torch.tensor(counts, device=sums.device)
    return tuple((sums[ends - 1] / ends).tolist())


def _mean(curves: Sequence[Sequence[float]]) -> tuple[float, ...]:
    return tuple(sum(values) / len(curves) for values in zip(*curves, strict=True))
