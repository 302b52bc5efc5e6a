"""How far labels from motion may be wrong, and what that means for a scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

# Neighbouring labels are wrong together: a fifth of the image's width counts as one label.
_BLOCKS_ACROSS = 5
# Mean evidence of a block that counts as half a label.
_HALF_A_LABEL = 0.002
# Least standard deviation of a label: a network's shape is never exact.
_LEAST_SPREAD = 0.03
# Differences of log depth are cut here, so that one block does not decide.
_MOST = 1.0


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """What is known of the errors of labels.

    Attributes:
        evidence: (1, 1, h, w) >= 0, the part of the labels' weight that chance does not explain.
        common: standard deviation of the error that all labels have in common, natural logarithm
            of depth: errors of the poses, mostly.

    Example:
        >>> errors = LabelErrors(torch.full((1, 1, 12, 20), 0.1), common=0.04)
        >>> ratio = torch.zeros(1, 1, 12, 20)
        >>> everywhere = errors.scale_sigma(ratio, torch.ones_like(ratio), 0.0)
        >>> corner = torch.zeros_like(ratio)
        >>> corner[..., :4, :4] = 0.1
        >>> few = LabelErrors(corner, common=0.04).scale_sigma(ratio, corner, 0.0)
        >>> 0.04 < everywhere < few
        True
    """

    evidence: torch.Tensor
    common: float

    def scale_sigma(self, ratio: torch.Tensor, weight: torch.Tensor, found: float) -> float:
        """Return the standard deviation of the logarithm of a scale.

        The labels of one block of the image have their errors in common, so each block with
        evidence counts as one label (the mean of clusters, Cochran 1977): the variance is the mean
        square of the ratios' distance from the scale over the number of blocks, plus the variance
        that all labels have in common. Labels that contradict each other, labels in one corner
        and labels of little evidence all give a large deviation.

        Args:
            ratio: (1, 1, h, w), logarithm of label over depth; any value where there is no label.
            weight: (1, 1, h, w) of the labels, 0 = no label.
            found: logarithm of the scale.
        """
        apart = torch.where(weight > 0, (ratio - found).clamp(-_MOST, _MOST), 0.0)
        total = _pooled(weight)
        square = _pooled(weight * apart.square()) / total.clamp_min(1e-12)
        evidence = _pooled(self.evidence * (weight > 0))
        share = torch.where(total > 0, evidence / (evidence + _HALF_A_LABEL), 0.0)
        count = float(share.sum())
        if count < 1e-3:
            return _MOST
        variance = float((share * square).sum()) / count + _LEAST_SPREAD**2
        return math.sqrt(self.common**2 + variance / count)


def _pooled(image: torch.Tensor) -> torch.Tensor:
    """Return the means of square blocks; those at the border may be smaller."""
    size = max(1, round(image.shape[-1] / _BLOCKS_ACROSS))
    return functional.avg_pool2d(image, size, ceil_mode=True, count_include_pad=False)
