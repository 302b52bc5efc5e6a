"""Batches of groups of views."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.multiview.dro.views import DroViews
from e2e_slam_ros.training.data.batch import moved


@dataclass(frozen=True, eq=False)
class DroBatch:
    """B groups of V views; view 0 is the reference, N = V - 1.

    Attributes:
        image: (B, V, 3, H, W) in [0, 1].
        intrinsics: (B, V, 3, 3).
        depth: (B, 1, H, W), metres, exact; 0 = unknown.
        T_i_0: (B, N, 4, 4), exact.
        T_given: (B, N, 4, 4), with the errors of a tracker.
        single, stereo, weight: (B, 1, H, W), as in `depth_guide`.
        draw: (B, 2) in [0, 1), the random numbers of choices that are made for the whole batch.

    >>> one, T = torch.ones(2, 1, 32, 32), torch.eye(4).expand(2, 1, 4, 4)
    >>> image, k = torch.zeros(2, 2, 3, 32, 32), torch.eye(3).expand(2, 2, 3, 3)
    >>> len(DroBatch(image, k, one, T, T, one, one, one, torch.zeros(2, 2)))
    2
    """

    image: torch.Tensor
    intrinsics: torch.Tensor
    depth: torch.Tensor
    T_i_0: torch.Tensor
    T_given: torch.Tensor
    single: torch.Tensor
    stereo: torch.Tensor
    weight: torch.Tensor
    draw: torch.Tensor

    def __len__(self) -> int:
        return len(self.image)

    @property
    def views(self) -> DroViews:
        """The images and intrinsics, as the network takes them."""
        return DroViews(self.image, self.intrinsics)

    def first(self, count: int) -> DroBatch:
        """Return the batch with the first ``count`` neighbours of each group."""
        return replace(
            self,
            image=self.image[:, : count + 1],
            intrinsics=self.intrinsics[:, : count + 1],
            T_i_0=self.T_i_0[:, :count],
            T_given=self.T_given[:, :count],
        )

    def to(self, device: torch.device | str) -> DroBatch:
        """Return the batch on another device."""
        return moved(self, device)
