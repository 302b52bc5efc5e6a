"""The depth that known motion gives a keyframe: its metres, and shapes where images agree."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.geometry.masks import without_gaps
from e2e_slam_ros.multiview.fill import evidence_around, fill
from e2e_slam_ros.refine.label_errors import LabelErrors
from e2e_slam_ros.refine.ratio_field import ratio_field
from e2e_slam_ros.refine.views import SparseLabels

# Images agree by chance up to here: the best of many planes, in windows of 7x7 noisy pixels.
_CHANCE = 0.2
# A chosen plane of this weight is a label.
_LABEL = _CHANCE**2
# Share of motion's own error that all labels have in common. Of the scales that this gives, 72 %
# lie within one standard deviation and 97 % within two (docs/adaptation.md).
_COMMON = 0.8
# Mean weight beyond chance at which half the correction is believed.
_HALF_BELIEVED = 0.002
# Smoothing is at most this multiple of the mean weight beyond chance.
_SMOOTHEST = 0.25
_FEWEST_LABELS = 50
# Standard deviation of planes without evidence; evidence nearby at which half of it is left.
_BLIND, _HALF_NEARBY = 0.15, 0.003
# Relative standard deviation of a network's depth of which nothing is known.
_USUAL_SIGMA = 0.14
# Evidence at which a depth deserves half the confidence.
_HALF_SURE = 0.01
# Confidence where only the network gives a depth.
_LEAST_CONFIDENCE = 0.1
# Inverse depth of the farthest surface, 1/m.
_FARTHEST = 1e-3
# Depth changes by a factor of 2.7 at most.
_MOST = 1.0


@dataclass(frozen=True, eq=False)
class MotionEvidence:
    """The planes chosen for a keyframe's pixels, with the weight of their evidence.

    Attributes:
        depth: (1, 1, h, w) metres, known everywhere, at the size of the sweep.
        weight: (1, 1, h, w) >= 0, square of the images' agreement, plus the agreement with other
            keyframes' depth.
        smoothing, own_error: see `MotionEvidenceConfig`.
        by_chance: (1, 1, h, w), the part of `weight` that images without texture reach too; None:
            none.

    Example:
        >>> depth, weight = torch.full((1, 1, 10, 10), 2.0), torch.full((1, 1, 10, 10), 0.5)
        >>> evidence = MotionEvidence(depth, weight, smoothing=0.05, own_error=0.0)
        >>> evidence.enough
        True
        >>> corrected, _ = evidence.complete(torch.full((1, 1, 20, 20), 2.2))
        >>> round(float(corrected.mean()), 2)
        2.0
    """

    depth: torch.Tensor
    weight: torch.Tensor
    smoothing: float
    own_error: float
    by_chance: torch.Tensor | None = None

    @property
    def enough(self) -> bool:
        """Whether there are enough labels to find a scale."""
        return int((self.weight >= _LABEL).sum()) >= _FEWEST_LABELS

    def labels(self, height: int, width: int) -> SparseLabels:
        """Return the pixels that motion alone is sure of, at a keyframe's size."""
        sure = self.weight >= _LABEL
        all_three = [self.depth * sure, self.weight * sure, self.beyond_chance * sure]
        enlarged = functional.interpolate(
            torch.cat(all_three, dim=1), (height, width), mode="nearest-exact"
        )
        depth, weight, evidence = enlarged.split(1, dim=1)
        return SparseLabels(depth, weight, LabelErrors(evidence, _COMMON * self.own_error))

    @property
    def beyond_chance(self) -> torch.Tensor:
        """The part of the weight that chance does not explain, (1, 1, h, w)."""
        return self.weight if self.by_chance is None else self.weight - self.by_chance

    def weight_at(self, height: int, width: int) -> torch.Tensor:
        """Return `weight` at a keyframe's size."""
        return resized(self.weight, (height, width))

    def at_size(self, depth: torch.Tensor) -> torch.Tensor:
        """Return depth (1, 1, H, W), 0 = unknown, at the size of the sweep, known everywhere."""
        return resized(without_gaps(depth).reciprocal(), size_of(self.depth)).reciprocal()

    def expected(self, network_depth: torch.Tensor, share: float) -> torch.Tensor:
        """Return the depth to expect everywhere, (1, 1, h, w) metres.

        Between the pixels that motion is sure of there are two guesses: the network's shape, made
        metric by a smooth field, and smooth inverse depth. Both are equally good on average, and
        wrong in different places.

        Args:
            network_depth: (1, 1, H, W) metres or the network's units, 0 = unknown.
            share: weight of the network in the mean of the two logarithms, in [0, 1].
        """
        small = self.at_size(network_depth)
        field = ratio_field(small, SparseLabels(self.depth, self.weight), _FEWEST_LABELS)
        shaped = (small * field.scale).log() + field.logarithm
        smooth, _ = fill(self.depth.reciprocal(), self.weight)
        return torch.lerp(-smooth.clamp_min(_FARTHEST).log(), shaped, share).exp()

    @torch.no_grad()
    def complete(
        self, depth: torch.Tensor, network_sigma: torch.Tensor | float = _USUAL_SIGMA
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return depth with the planes' large shapes and the network's small ones.

        The ratio of the two depths is filled in, not the depth itself. Where images do not agree,
        the network's shape therefore remains.

        Args:
            depth: (1, 1, H, W) metres, a network's; 0 = unknown.
            network_sigma: its relative standard deviation, (1, 1, H, W) or one for all pixels.

        Returns:
            Depth (1, 1, H, W) in metres, known everywhere, and confidence in [0, 1].
        """
        depth = without_gaps(depth)
        native = size_of(depth)
        small = self.at_size(depth)
        ratio = (self.depth / small).log().clamp(-_MOST, _MOST)
        # Planes that agree no better than by chance are noise, however many there are.
        beyond = self.beyond_chance
        believed = beyond.mean()
        smoothing = (_SMOOTHEST * believed + 1e-6).clamp_max(self.smoothing)
        field, _ = fill(ratio, beyond + smoothing)
        field = field * believed / (believed + _HALF_BELIEVED)
        field = field * self._share(field, network_sigma)
        evidence = resized(evidence_around(self.weight), native)
        share = evidence / (evidence + _HALF_SURE)
        confidence = _LEAST_CONFIDENCE + (1.0 - _LEAST_CONFIDENCE) * share
        return depth * resized(field, native).exp(), confidence

    def _share(self, field: torch.Tensor, network_sigma: torch.Tensor | float) -> torch.Tensor:
        """Return the share of a correction that is believed, in [0, 1] (Wiener 1949).

        It is the variance of the network's error over that and the variance of motion's. A network
        that fits as well as motion can tell is left alone, most of all where the planes around a
        pixel have no evidence. Where the whole correction is larger than the network's deviation,
        the network is worse than it was.
        """
        sigma = _at_size(network_sigma, size_of(self.depth))
        network = field.abs().mean().square().clamp_min(1e-12).expand_as(field)
        network = torch.maximum(network, torch.as_tensor(sigma).to(field).square())
        nearby = evidence_around(self.beyond_chance)
        blind = _BLIND * _HALF_NEARBY / (nearby + _HALF_NEARBY)
        return network / (network + self.own_error**2 + blind.square())


def _at_size(sigma: torch.Tensor | float, size: tuple[int, int]) -> torch.Tensor | float:
    return resized(sigma, size) if isinstance(sigma, torch.Tensor) else sigma


def chance(agreement: torch.Tensor) -> torch.Tensor:
    """Return the part of a squared agreement of images that chance alone explains."""
    return agreement.square() - (agreement - _CHANCE).clamp_min(0.0).square()


def size_of(image: torch.Tensor) -> tuple[int, int]:
    """Return height and width."""
    return image.shape[-2], image.shape[-1]


def resized(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return (B, C, H, W) at another size, bilinear."""
    return functional.interpolate(image, size, mode="bilinear", align_corners=False)
