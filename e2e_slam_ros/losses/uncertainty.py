"""What the network thinks its error will be (paper eq. 8)."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.masks import masked_mean, or_one

# A quarter of a grey level: an image of 8 bits says nothing about smaller errors.
_LEAST_LOG_U = -7.0
_MOST_LOG_U = 7.0


def uncertainty_loss(
    error: torch.Tensor, log_uncertainty: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """Return the mean over ``valid`` of ``e / u + log u``, a scalar (Laplace, paper eq. 8).

    The least value is 1 + log e, at u = e. The network predicts log u, which is limited to
    [-7, 7] here: where the error is exactly 0 (a black image) the loss would have no bottom.

    Args:
        error: (B, 1, H, W) >= 0, the smallest photometric error over the sources.
        log_uncertainty: (B, 1, H, W), log u.
        valid: (B, 1, H, W) bool; 0 with gradients 0 when empty.
    """
    error, log_u = or_one(error, valid), or_one(log_uncertainty, valid)
    log_u = log_u.clamp(_LEAST_LOG_U, _MOST_LOG_U)
    return masked_mean(error * torch.exp(-log_u) + log_u, valid)
