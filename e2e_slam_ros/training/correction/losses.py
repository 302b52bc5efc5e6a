"""The losses of the learned correction."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.refine.motion_evidence import resized, size_of
from e2e_slam_ros.training.correction.batch import CorrectionBatch

# True depth within this range is learned from, metres.
NEAREST_M, FARTHEST_M = 0.1, 8.0
# Larger errors, of log depth, teach no more than this one: they are mostly errors of the truth.
_LARGEST = 1.5
_LEVELS = 3
_WHOLE = 0.99


def log_error(change: torch.Tensor, batch: CorrectionBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the error of the corrected depth, and where it is known.

    Args:
        change: (B, 1, 2h, 2w), of log depth, the network's answer.

    Returns:
        The error of log depth, (B, 1, 2h, 2w), 0 where it is unknown; and 1.0 or 0.0.

    >>> coarse, fine = torch.zeros(1, 26, 2, 2), torch.zeros(1, 13, 4, 4)
    >>> depth = torch.full((1, 1, 4, 4), 2.0)
    >>> batch = CorrectionBatch(coarse, fine, depth, depth)
    >>> error, known = log_error(torch.full((1, 1, 4, 4), 0.1), batch)
    >>> round(float(error.mean()), 3), float(known.mean())
    (0.1, 1.0)
    """
    truth, depth = batch.truth, batch.depth
    known = ((truth > NEAREST_M) & (truth < FARTHEST_M) & (depth > 0)).float()
    log_truth = truth.clamp_min(NEAREST_M).log()
    error = (depth.clamp_min(1e-3).log() + change - log_truth) * known
    return error.clamp(-_LARGEST, _LARGEST), known


def depth_loss(error: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute error of log depth, a scalar.

    >>> float(depth_loss(torch.tensor([0.2, 0.0]), torch.tensor([1.0, 0.0])))
    0.2...
    """
    return error.abs().sum() / known.sum().clamp_min(1.0)


def gradient_loss(error: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute difference of neighbouring errors, at three scales; a scalar.

    An error that is the same everywhere costs nothing here: shapes count.

    Args:
        error, known: (B, 1, H, W), see `log_error`.

    >>> even = torch.full((1, 1, 8, 8), 0.3)
    >>> float(gradient_loss(even, torch.ones_like(even)))
    0.0
    """
    terms = []
    for _ in range(_LEVELS):
        for dim in (-1, -2):
            length = known.shape[dim] - 1
            both = known.narrow(dim, 1, length) * known.narrow(dim, 0, length)
            difference = (error.diff(dim=dim).abs() * both).sum()
            terms.append(difference / both.sum().clamp_min(1.0))
        share = functional.avg_pool2d(known, 2)
        error = functional.avg_pool2d(error * known, 2) / share.clamp_min(1e-3)
        known = (share > _WHOLE).float()
        error = error * known
    return torch.stack(terms).mean()


def likelihood_loss(
    stated: torch.Tensor, error: torch.Tensor, known: torch.Tensor
) -> torch.Tensor:
    """Return the negative log likelihood of the errors under Laplace's law, a scalar.

    The error is taken as it is: only the stated one learns.

    Args:
        stated: (B, 1, h, w), log of the mean absolute error, the network's answer.
        error, known: (B, 1, 2h, 2w), see `log_error`.

    >>> error, known = torch.full((1, 1, 4, 4), 0.1), torch.ones(1, 1, 4, 4)
    >>> right, wrong = (torch.full((1, 1, 2, 2), s).log() for s in (0.1, 0.3))
    >>> bool(likelihood_loss(right, error, known) < likelihood_loss(wrong, error, known))
    True
    """
    log_scale = resized(stated, size_of(error))
    each = error.detach().abs() * (-log_scale).exp() + log_scale
    return (each * known).sum() / known.sum().clamp_min(1.0)
