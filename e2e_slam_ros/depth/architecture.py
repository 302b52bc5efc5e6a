"""Interface of the depth networks: one image in, disparity out, and its conversion to depth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.config.errors import DepthError

# Encoders halve the image five times. Of 64 pixels, two are left for the last convolutions.
SIZE_STEP = 32
SIZE_MIN = 64


@dataclass(frozen=True, eq=False)
class Prediction:
    """Output of a depth network for a batch of images.

    Attributes:
        disparity: (B, 1, H, W), > 0; `depth_from_disparity` converts it to depth.
        log_uncertainty: (B, 1, H, W), natural logarithm of the expected absolute error of log
            depth (paper section 3.3). None for a network that does not predict it.
        features: (B, C, h, w), coarse, by which images can be compared; None: it gives none.

    >>> Prediction(torch.ones(1, 1, 64, 64), None).disparity.shape
    torch.Size([1, 1, 64, 64])
    """

    disparity: torch.Tensor
    log_uncertainty: torch.Tensor | None
    features: torch.Tensor | None = None


class DepthNetwork(nn.Module, ABC):
    """Base class of networks that predict disparity from one image.

    Attributes:
        focal_normalised: if true, depth is proportional to the camera's `relative_focal`. The
            network itself never sees the intrinsics.
        metric: if true, the network was trained to give depth in metres. If false, its depth is
            known only up to an unknown scale.
        shifted: its disparity is known only up to an unknown scale and an unknown shift.
        foreign: others made it. It resizes images itself: `predict` takes any size. Constant
            predictions are refused.
        adaptable: gradients flow through it, so that it can learn.
        licence: of its weights, "" where nobody says it.
        notices: sentences for the user when it is first used.

    >>> class Constant(DepthNetwork):
    ...     def predict(self, image: torch.Tensor) -> Prediction:
    ...         return Prediction(torch.full_like(image[:, :1], 0.5), None)
    >>> float(Constant()(torch.zeros(1, 3, 64, 64)).mean())
    0.5
    """

    focal_normalised: bool = False
    metric: bool = False
    shifted: bool = False
    foreign: bool = False
    adaptable: bool = True
    licence: str = ""
    notices: tuple[str, ...] = ()

    def fitted(self, image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Return the image at the size that `predict` takes.

        Args:
            image: (B, 3, H, W) in [0, 1].
            size: (height, width) of the network's input, as configured. A foreign network gets the
                image as it is.
        """
        if self.foreign or tuple(image.shape[-2:]) == size:
            return image
        return functional.interpolate(
            image, size, mode="bilinear", align_corners=False, antialias=True
        )

    @abstractmethod
    def predict(self, image: torch.Tensor) -> Prediction:
        """Return disparity and, if the network has an uncertainty head, uncertainty.

        Args:
            image: (B, 3, H, W) float in [0, 1], RGB; H and W multiples of 32, at least 64. Any
                size for a foreign network.

        Raises:
            DepthError: a size that the network does not support.
        """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return only the disparity (B, 1, H, W) of `predict`."""
        return self.predict(image).disparity


def relative_focal(intrinsics: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return the relative focal length sqrt(fx fy / (W H)) of (B, 3, 3) intrinsics, (B,).

    A resized copy of an image has the same value, even if x and y are resized by different
    factors.

    >>> k = torch.tensor([[[64.0, 0.0, 31.5], [0.0, 64.0, 31.5], [0.0, 0.0, 1.0]]])
    >>> relative_focal(k, 64, 64)
    tensor([1.])
    """
    return (intrinsics[:, 0, 0] * intrinsics[:, 1, 1] / (width * height)).sqrt()


def depth_from_disparity(
    disparity: torch.Tensor, intrinsics: torch.Tensor, *, focal_normalised: bool
) -> torch.Tensor:
    """Return depth (B, 1, H, W) for a network's disparity of the same size.

    A near object through a short lens and a far object through a long lens give the same image. A
    focal-normalised network therefore predicts depth at relative focal length 1. This function
    multiplies it by the camera's relative focal length.

    Args:
        disparity: (B, 1, H, W), > 0.
        intrinsics: (B, 3, 3) or (3, 3), for an image of the disparity's size.
        focal_normalised: as `DepthNetwork.focal_normalised`.

    >>> disparity = torch.full((1, 1, 1, 1), 0.5)
    >>> depth_from_disparity(disparity, torch.eye(3), focal_normalised=False)
    tensor([[[[2.]]]])
    """
    if not focal_normalised:
        return 1.0 / disparity
    k = intrinsics if intrinsics.dim() == 3 else intrinsics.unsqueeze(0)
    factor = relative_focal(k.to(disparity), disparity.shape[-2], disparity.shape[-1])
    return factor[:, None, None, None] / disparity


def check_size(width: int, height: int) -> None:
    """Raise if the networks do not support an input size in pixels.

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
