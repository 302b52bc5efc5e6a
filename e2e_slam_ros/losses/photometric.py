"""How well source views, warped into a target view, explain it (paper eq. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from e2e_slam_ros.geometry.warp import Warp
from e2e_slam_ros.losses.ssim import ssim


@dataclass(frozen=True)
class PhotometricWeights:
    """Weights of ``(1 - SSIM) / 2`` and of the absolute difference; 0.85 and 0.15 as published.

    The paper's text gives alpha = 0.15, against its own eq. 3 and its code.
    """

    ssim: float = 0.85
    absolute: float = 0.15


@dataclass(frozen=True, eq=False)
class PhotometricResult:
    """The photometric loss and how much of the image it speaks for.

    Attributes:
        loss: scalar; 0 with gradients 0 when not a single pixel counts.
        error: (B, 1, H, W), each pixel's smallest error over the sources, in [0, 1] for default
            weights; 0 where ``counted`` is false.
        counted: (B, 1, H, W) bool, the pixels that the loss is the mean of.
        in_view_share: scalar, share of all pixels that any source sees.
        valid_share: scalar, share of all pixels that count.
        enough: scalar bool, ``valid_share`` reaches the asked-for share. Where it does not, the
            loss is based on too little and must not be used.
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
    """Return (B, 1, H, W): ``w_s (1 - SSIM) / 2 + w_a |target - image|``, mean over channels.

    Args:
        target, image: (B, C, H, W) in [0, 1].
        weights: `PhotometricWeights`.
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
    """Return the mean, over the pixels that count, of the smallest error over the sources.

    Paper eq. 3 and the minimum of eq. 8. A pixel is valid for a source when its whole 3x3 SSIM
    window is. With ``sources`` a pixel counts only where warping explains it better than not
    warping: what stands still in the image (a flat wall, a part of the robot, a camera at rest)
    has nothing to say about depth.

    The mean is over the pixels that count, so pixels out of view lower nothing by their absence.
    They still choose which errors are averaged. Pass the first step's ``counted`` as ``domain``
    where losses of several steps are compared: the mean is then over these pixels always, one
    that is out of view costs what not warping costs, and no pixel ever costs more than that. So
    pushing pixels out of view cannot lower the loss.

    Args:
        target: (B, C, H, W) in [0, 1].
        warps: one or more sources warped into the target.
        sources: the images (B, C, H, W) that were warped, for the mask of stationary pixels;
            None leaves it out, and a pixel out of view then costs the largest error in `domain`.
        weights: of SSIM and difference.
        pixel_weights: (B, 1, H, W) for each source, taken from the source with the smallest
            error (SC-SfMLearner eq. 8); constants, no gradient.
        domain: (B, 1, H, W) bool, the pixels to average over.
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
        # A pixel that is out of view, or no better than unwarped, costs what standing still does.
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
    """Return (B, 1, H, W): the smallest error without any warp; the largest possible if unknown.

    The unwarped sources are those of the warps; they have the target's size, as keyframes do.
    """
    if sources is None:
        return torch.full_like(target[:, :1], weights.ssim + weights.absolute)
    return torch.stack([photometric_error(target, s, weights) for s in sources]).amin(0)


def _whole_windows(valid: torch.Tensor) -> torch.Tensor:
    """Return where all of the 3x3 window is valid; what lies outside the image is reflected."""
    holes = F.pad((~valid).float(), (1, 1, 1, 1), mode="reflect")
    return F.max_pool2d(holes, 3, stride=1) == 0
