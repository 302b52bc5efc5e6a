"""Depth and its standard deviation, by a network that has learned the errors of the correction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn import functional

from e2e_slam_ros.refine.learned_correction.features import CorrectionFeatures
from e2e_slam_ros.refine.learned_correction.network import CorrectionNet
from e2e_slam_ros.refine.motion_evidence import resized, size_of

# The network halves the size of the sweep this often.
_MULTIPLE = 16
# Depth changes by a factor of 2 at most.
_MOST = 0.7
# Share of the change of an image's scale that is left out. In rooms that the network has not seen,
# motion knows the scale better: where there is little texture the network makes all depth larger.
_SCALE_LEFT_OUT = 0.5


@dataclass(frozen=True, eq=False)
class LearnedDepth:
    """The answer of a learned correction.

    Attributes:
        depth: (1, 1, H, W) metres.
        sigma: (1, 1, H, W), its relative standard deviation; None: unknown.

    Example:
        >>> LearnedDepth(torch.ones(1, 1, 2, 2), None).sigma is None
        True
    """

    depth: torch.Tensor
    sigma: torch.Tensor | None


class LearnedStep(Protocol):
    """Corrects depth by a keyframe's features."""

    def __call__(self, features: CorrectionFeatures, depth: torch.Tensor) -> LearnedDepth:
        """Return the corrected depth.

        Args:
            features: of the keyframe.
            depth: (1, 1, H, W) metres > 0, corrected so far.
        """
        ...


class LearnedCorrection:
    """Applies the network to a keyframe.

    Args:
        network: with its weights, on the device of the keyframes.

    Example:
        >>> learned = LearnedCorrection(CorrectionNet().eval())
        >>> features = CorrectionFeatures(torch.zeros(1, 26, 10, 20), torch.zeros(1, 13, 20, 40))
        >>> learned(features, torch.full((1, 1, 30, 60), 2.0)).depth.shape
        torch.Size([1, 1, 30, 60])
    """

    def __init__(self, network: CorrectionNet) -> None:
        self._network = network

    @torch.inference_mode()
    def __call__(self, features: CorrectionFeatures, depth: torch.Tensor) -> LearnedDepth:
        """Return the corrected depth with its standard deviation.

        The network states the mean absolute error. With the agreement of other keyframes
        (`confirmed`), 76 % of the errors lie within that, and 97 % within twice of it.
        """
        height, width = size_of(features.coarse)
        below, right = -height % _MULTIPLE, -width % _MULTIPLE
        coarse = _padded(features.coarse, below, right)
        change, log_sigma = self._network(coarse, _padded(features.fine, 2 * below, 2 * right))
        change = change[..., : 2 * height, : 2 * width]
        change = (change - _SCALE_LEFT_OUT * change.median()).clamp(-_MOST, _MOST)
        sigma = log_sigma[..., :height, :width].exp()
        native = size_of(depth)
        return LearnedDepth(depth * resized(change, native).exp(), resized(sigma, native))


def _padded(image: torch.Tensor, below: int, right: int) -> torch.Tensor:
    """Return an image with its border repeated; the network needs multiples of 16."""
    padded = functional.pad(image, (0, right, 0, below), mode="replicate")
    return padded.contiguous(memory_format=torch.channels_last)
