"""Loss of the uncertainty head, which predicts the photometric error (paper eq. 8)."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.masks import masked_mean, or_one

# exp(-7) is a quarter of a grey level. An 8-bit image cannot show a smaller error.
_LEAST_LOG_U = -7.0
_MOST_LOG_U = 7.0


def uncertainty_loss(
    error: torch.Tensor, log_uncertainty: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """Return the mean over ``valid`` of ``e / u + log u``, a scalar (Laplace, paper eq. 8).

    The minimum is 1 + log e, at u = e. The network predicts log u. It is clamped to [-7, 7] here,
    because the loss has no lower bound where the error is exactly 0 (a black image).

    Args:
        error: (B, 1, H, W) >= 0, the smallest photometric error over the sources.
        log_uncertainty: (B, 1, H, W), log u.
        valid: (B, 1, H, W) bool. The loss is 0 with gradients 0 when no pixel is valid.

    >>> one = torch.ones(1, 1, 2, 2)
    >>> float(uncertainty_loss(one, torch.zeros_like(one), one > 0))  # u = e = 1
    1.0
    """
    error, log_u = or_one(error, valid), or_one(log_uncertainty, valid)
    log_u = log_u.clamp(_LEAST_LOG_U, _MOST_LOG_U)
    return masked_mean(error * torch.exp(-log_u) + log_u, valid)
