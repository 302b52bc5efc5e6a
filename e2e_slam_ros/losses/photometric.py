"""Photometric loss between a target view and warped source views (paper eq. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from e2e_slam_ros.geometry.warp import Warp
from e2e_slam_ros.losses.ssim import ssim


@dataclass(frozen=True)
class PhotometricWeights:
    """Weights of ``(1 - SSIM) / 2`` and of the absolute difference.

    The defaults 0.85 and 0.15 are those of eq. 3 and of the published code. The paper's text
    gives alpha = 0.15, which contradicts both.

    >>> PhotometricWeights()
    PhotometricWeights(ssim=0.85, absolute=0.15)
    """

    ssim: float = 0.85
    absolute: float = 0.15


@dataclass(frozen=True, eq=False)
class PhotometricResult:
    """The photometric loss and the share of the image it is based on.

    Attributes:
        loss: scalar; 0 with gradients 0 when no pixel counts.
        error: (B, 1, H, W), the smallest error of each pixel over the sources. It lies in [0, 1]
            for the default weights and is 0 where ``counted`` is false.
        counted: (B, 1, H, W) bool, the pixels that ``loss`` averages.
        in_view_share: scalar, share of all pixels that at least one source sees.
        valid_share: scalar, share of all pixels that count.
        enough: scalar bool, true if ``valid_share`` reaches ``min_valid_share``. Do not use the
            loss when it is false.

    >>> one = torch.ones(1, 1, 1, 1)
    >>> share = torch.tensor(1.0)
    >>> result = PhotometricResult(share, one, one > 0, share, share, share >= 0.1)
    >>> bool(result.enough)
    True
    """

    loss: torch.Tensor
    error: torch.Tensor
    counted: torch.Tensor
    in_view_share: torch.Tensor
    valid_share: torch.Tensor
    enough: torch.Tensor


def photometric_error(
    target: torch.Tensor, image: torch.Tensor, weights: PhotometricWeights
) -> torch.Tensor:
    """Return the photometric error of each pixel, (B, 1, H, W).

    The error is ``w_s (1 - SSIM) / 2 + w_a |target - image|``, averaged over the channels.

    Args:
        target, image: (B, C, H, W) in [0, 1].
        weights: weights w_s of SSIM and w_a of the absolute difference.

    >>> image = torch.full((1, 3, 4, 4), 0.5)
    >>> float(photometric_error(image, image, PhotometricWeights()).max())
    0.0
    """
    dissimilarity = (0.5 * (1 - ssim(target, image))).clamp(0, 1).mean(1, keepdim=True)
    difference = (target - image).abs().mean(1, keepdim=True)
    return weights.ssim * dissimilarity + weights.absolute * difference


def photometric_loss(
    target: torch.Tensor,
    warps: Sequence[Warp],
    sources: Sequence[torch.Tensor] | None = None,
    *,
    weights: PhotometricWeights | None = None,
    pixel_weights: Sequence[torch.Tensor] | None = None,
    domain: torch.Tensor | None = None,
    min_valid_share: float = 0.1,
) -> PhotometricResult:
    """Return the mean, over the counted pixels, of the smallest error over the sources.

    This is paper eq. 3 with the minimum of eq. 8. A pixel is valid for a source when its whole
    3x3 SSIM window is in view.

    **Stationary pixels.** With ``sources``, a pixel counts only where the warped source matches
    better than the unwarped source (auto-masking). A flat wall, a part of the robot or a camera
    at rest looks the same without a warp and holds no information about depth.

    **Fixed domain.** The counted pixels change with the depth, so losses of several steps are
    means over different pixels. To compare steps, pass the first step's ``counted`` as
    ``domain``. The loss is then always the mean over these pixels. A pixel that leaves the view
    costs the unwarped error, which is also the most that any pixel costs. An optimiser therefore
    cannot lower the loss by moving pixels out of view.

    Args:
        target: (B, C, H, W) in [0, 1].
        warps: one or more sources warped into the target.
        sources: the images (B, C, H, W) before the warp, for the mask of stationary pixels. None
            switches the mask off; a pixel of ``domain`` out of view then costs the largest error.
        weights: weights of SSIM and of the absolute difference.
        pixel_weights: (B, 1, H, W) for each source (SC-SfMLearner eq. 8). Each pixel takes the
            weight of the source with the smallest error. The weights get no gradient.
        domain: (B, 1, H, W) bool, the pixels to average.
        min_valid_share: share of pixels below which ``enough`` is false.
    """
    weights = weights or PhotometricWeights()
    errors = torch.stack([photometric_error(target, warp.image, weights) for warp in warps])
    valid = torch.stack([_whole_windows(warp.valid) for warp in warps])
    smallest, which = torch.where(valid, errors, torch.inf).min(0)
    in_view = valid.any(0)
    smallest = torch.where(in_view, smallest, torch.zeros_like(smallest))
    standing = _standing_error(target, sources, weights)

    counted = in_view if sources is None else in_view & (smallest < standing)
    error = smallest
    if domain is not None:
        # A pixel out of view, or with a warp that does not help, costs the unwarped error.
        error = torch.where(in_view, torch.minimum(smallest, standing), standing)
    if pixel_weights is not None:
        chosen = torch.stack(list(pixel_weights)).detach().gather(0, which.unsqueeze(0))[0]
        error = torch.where(in_view, chosen * error, error)

    averaged = counted if domain is None else domain
    error = torch.where(averaged, error, torch.zeros_like(error))
    share = counted.float().mean() if domain is None else (counted & domain).float().mean()
    return PhotometricResult(
        loss=error.sum() / averaged.sum().clamp_min(1),
        error=error,
        counted=averaged,
        in_view_share=in_view.float().mean(),
        valid_share=share,
        enough=share >= min_valid_share,
    )


@torch.no_grad()
def _standing_error(
    target: torch.Tensor, sources: Sequence[torch.Tensor] | None, weights: PhotometricWeights
) -> torch.Tensor:
    """Return the smallest error of the unwarped sources, (B, 1, H, W).

    Without ``sources`` it is the largest possible error. Sources have the size of the target, as
    all keyframes do.
    """
    if sources is None:
        return torch.full_like(target[:, :1], weights.ssim + weights.absolute)
    return torch.stack([photometric_error(target, s, weights) for s in sources]).amin(0)


def _whole_windows(valid: torch.Tensor) -> torch.Tensor:
    """Return where the whole 3x3 window is valid. The image is reflected at its border."""
    holes = F.pad((~valid).float(), (1, 1, 1, 1), mode="reflect")
    return F.max_pool2d(holes, 3, stride=1) == 0
