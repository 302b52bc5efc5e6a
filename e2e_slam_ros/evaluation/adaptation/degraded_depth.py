"""A deliberately poor depth source: a start for refinement that needs no weights."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import KeyframeViews
from e2e_slam_ros.depth.gate import gate_depth
from e2e_slam_ros.depth.source import DepthTraits, DepthUnit
from e2e_slam_ros.geometry.masks import known, or_one
from e2e_slam_ros.multiview.fill import fill

# Pixels averaged into one: edges and everything small are gone.
_BLUR = 16
# Deviation of the logarithm of the distortion, and the places it is drawn at.
_DISTORTION, _ROWS, _COLUMNS = 0.2, 3, 4


def degraded_depth(truth: torch.Tensor, seed: int) -> torch.Tensor:
    """Return the truth blurred and stretched unevenly, like the depth of a poor network.

    Args:
        truth: (1, 1, H, W) metres, 0 = unknown; unknown pixels are filled first.
        seed: seed of the distortion, which is about 20 % over an image.

    Returns:
        (1, 1, H, W) metres, dense.
    """
    known_depth = known(truth)
    inverse, _ = fill(or_one(truth, known_depth).reciprocal() * known_depth, known_depth.float())
    size = (truth.shape[-2], truth.shape[-1])
    coarse = (max(2, size[0] // _BLUR), max(2, size[1] // _BLUR))
    small = functional.interpolate(inverse, coarse, mode="area")
    blurred = functional.interpolate(small, size, mode="bicubic", align_corners=False)
    # Drawn on the CPU, so that every device sees the same distortion.
    generator = torch.Generator().manual_seed(seed)
    noise = _DISTORTION * torch.randn((1, 1, _ROWS, _COLUMNS), generator=generator)
    stretch = functional.interpolate(
        noise.to(truth.device), size, mode="bicubic", align_corners=True
    ).exp()
    return (blurred.clamp_min(0.1) * stretch).reciprocal()


class DegradedDepth:
    """A depth source made from the truth of each keyframe; for evaluations only.

    The same keyframe gets the same depth each time.

    >>> DegradedDepth(DepthConfig()).traits.name
    'poor'
    """

    traits = DepthTraits("poor", DepthUnit.ROUGH_METRES)
    network = None

    def __init__(self, config: DepthConfig) -> None:
        self._config = config
        self._truth: dict[int, torch.Tensor] = {}

    def show(self, keyframe: Keyframe, truth: torch.Tensor) -> None:
        """Set the truth of the keyframe that is asked for next, (1, 1, H, W) metres.

        It is not part of the keyframe: the refinement gets the keyframe and must not see it.
        """
        self._truth = {keyframe.stamp_ns: truth}

    @torch.inference_mode()
    def estimate(self, keyframe: Keyframe, views: KeyframeViews) -> RawDepth:
        """Return the truth, blurred and distorted.

        Raises:
            DepthError: the keyframe's truth was not shown.
        """
        truth = self._truth.get(keyframe.stamp_ns)
        if truth is None:
            raise DepthError.from_parts(
                f"depth of keyframe {keyframe.index}",
                "no truth to distort",
                "a keyframe with measured depth",
                "choose other frames, or another start than poor",
            )
        depth = gate_depth(degraded_depth(truth, keyframe.frame_index), self._config)
        return RawDepth(depth, None, self.traits.name, "distorted truth")
