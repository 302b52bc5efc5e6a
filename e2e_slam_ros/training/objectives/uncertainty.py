"""The loss of the uncertainty head of a depth network (paper eq. 8)."""

from __future__ import annotations

import torch
from torch import nn

from e2e_slam_ros.losses.uncertainty import uncertainty_loss


def label_uncertainty(
    error: torch.Tensor, log_uncertainty: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """Return the uncertainty loss of labelled depth, a scalar.

    The head learns the absolute error of log depth that is left when each image's median error
    is taken away: one image does not tell its scale.

    Args:
        error: (B, 1, H, W), log depth less its label; it gets no gradient.
        log_uncertainty: (B, 1, H, W), logarithm of the predicted absolute error.
        valid: (B, 1, H, W) bool, where the label is known.
    """
    error = error.detach()
    known = torch.where(valid, error, torch.full_like(error, torch.nan))
    median = known.flatten(1).nanmedian(dim=1).values[:, None, None, None]
    left = torch.where(valid, error - median, torch.zeros_like(error))
    return uncertainty_loss(left.abs(), log_uncertainty, valid)


def detach_uncertainty_head(network: nn.Module) -> None:
    """Let the uncertainty loss teach its head alone, not the features that the head reads."""
    head = getattr(network, "log_uncertainty", None)
    if isinstance(head, nn.Module):
        head.register_forward_pre_hook(_detach_input)


def _detach_input(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(value.detach() for value in inputs)
