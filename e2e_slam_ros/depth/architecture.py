"""What every depth network is: an image in, disparity out, and what its disparity means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from e2e_slam_ros.config.errors import DepthError

# Encoders halve the image five times; at 64 pixels two are left to convolve over.
SIZE_STEP = 32
SIZE_MIN = 64


@dataclass(frozen=True, eq=False)
class Prediction:
    """A depth network's answer for a batch of images.

    Attributes:
        disparity: (B, 1, H, W), > 0; `depth_from_disparity` says how it becomes depth.
        log_uncertainty: (B, 1, H, W), the logarithm of the expected absolute error of log depth
            (paper section 3.3), or None for networks that do not predict it.
    """

    disparity: torch.Tensor
    log_uncertainty: torch.Tensor | None


class DepthNetwork(nn.Module, ABC):
    """A network that predicts disparity from one image.

    Attributes:
        focal_normalised: depth is proportional to the camera's `relative_focal`; the network
            itself never sees the intrinsics.
        metric: trained so that depth comes out in metres; else it is up to one unknown factor.
    """

    focal_normalised: ClassVar[bool] = False
    metric: ClassVar[bool] = False

    @abstractmethod
    def predict(self, image: torch.Tensor) -> Prediction:
        """Return disparity and, where the network has it, uncertainty.

        Args:
            image: (B, 3, H, W) float in [0, 1], RGB; H and W multiples of 32, at least 64.

        Raises:
            DepthError: a size the network cannot take.
        """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the disparity (B, 1, H, W) alone; otherwise as `predict`."""
        return self.predict(image).disparity


def relative_focal(intrinsics: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return sqrt(fx fy / (W H)) of (B, 3, 3) intrinsics, (B,).

    The same for an image and its resized copy, even one resized by different factors in x and y.
    """
    return (intrinsics[:, 0, 0] * intrinsics[:, 1, 1] / (width * height)).sqrt()


def depth_from_disparity(
    disparity: torch.Tensor, intrinsics: torch.Tensor, *, focal_normalised: bool
) -> torch.Tensor:
    """Return depth (B, 1, H, W) of a network's disparity of the same size.

    An image does not tell a near object through a short lens from a far one through a long lens:
    a focal-normalised network says what the depth would be at relative focal length 1.

    Args:
        disparity: (B, 1, H, W), > 0.
        intrinsics: (B, 3, 3) or (3, 3), of an image of the disparity's size.
        focal_normalised: as `DepthNetwork.focal_normalised`.
    """
    if not focal_normalised:
        return 1.0 / disparity
    k = intrinsics if intrinsics.dim() == 3 else intrinsics.unsqueeze(0)
    factor = relative_focal(k.to(disparity), disparity.shape[-2], disparity.shape[-1])
    return factor[:, None, None, None] / disparity


def check_size(width: int, height: int) -> None:
    """Refuse an input size, in pixels, that the networks cannot take.

    Raises:
        DepthError: not a multiple of 32, or below 64.
    """
    if width % SIZE_STEP or height % SIZE_STEP or min(width, height) < SIZE_MIN:
        raise DepthError.from_parts(
            "size of the depth network's input",
            f"{width}x{height}",
            f"multiples of {SIZE_STEP}, at least {SIZE_MIN}",
            "choose depth.network.width and depth.network.height accordingly, e.g. 320x256",
        )
