"""Batches of the evidence of keyframes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.training.data.batch import moved


@dataclass(frozen=True, eq=False)
class CorrectionBatch:
    """B keyframes, or parts of them; all float32.

    Attributes:
        coarse: (B, 26, h, w), see `CorrectionFeatures`.
        fine: (B, 13, 2h, 2w), likewise.
        depth: (B, 1, 2h, 2w) metres, before the learned correction.
        truth: (B, 1, 2h, 2w) metres, 0 = unknown.

    >>> depth = torch.ones(2, 1, 12, 16)
    >>> len(CorrectionBatch(torch.zeros(2, 26, 6, 8), torch.zeros(2, 13, 12, 16), depth, depth))
    2
    """

    coarse: torch.Tensor
    fine: torch.Tensor
    depth: torch.Tensor
    truth: torch.Tensor

    def __len__(self) -> int:
        return len(self.coarse)

    def to(self, device: torch.device | str) -> CorrectionBatch:
        """Return the batch on another device."""
        return moved(self, device)
