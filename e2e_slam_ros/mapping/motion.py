"""The motion of surfels whose keyframes got corrected poses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from e2e_slam_ros.geometry.se3 import check_corrections

# Surfels moved at a time: each one's transform is copied, and 5 million would take 0.5 GB.
_AT_ONCE = 1 << 18


@dataclass(frozen=True, eq=False)
class KeyframeMotion:
    """One similarity of the map frame for each of K keyframes.

    >>> T = torch.eye(4, dtype=torch.float64)
    >>> T[0, 3] = 2.0
    >>> motion = KeyframeMotion.of({7: T}, torch.device("cpu"))
    >>> row = motion.rows(torch.tensor([7, 3]))
    >>> row
    tensor([ 0, -1])
    >>> motion.points(torch.zeros(1, 3), row[:1])
    tensor([[2., 0., 0.]])

    Attributes:
        keyframes: (K,) int64, ascending.
        linear: (K, 3, 3) float64, rotation times scale.
        translation: (K, 3) float64, metres.
        scale: (K,) float64.
    """

    keyframes: torch.Tensor
    linear: torch.Tensor
    translation: torch.Tensor
    scale: torch.Tensor

    @staticmethod
    def of(T_new_old: Mapping[int, torch.Tensor], device: torch.device) -> KeyframeMotion:
        """Check the transforms and bring them on a device.

        Keyframe indices below 0 are left out: they name no keyframe of this run.

        Raises:
            PoseError: a transform is not a finite (4, 4) similarity.
        """
        indices = sorted(index for index in T_new_old if index >= 0)
        check_corrections(T_new_old)
        stacked = torch.empty((len(indices), 4, 4), dtype=torch.float64, device=device)
        for row, index in enumerate(indices):
            stacked[row] = T_new_old[index]
        linear = stacked[:, :3, :3]
        return KeyframeMotion(
            keyframes=torch.tensor(indices, dtype=torch.int64, device=device),
            linear=linear,
            translation=stacked[:, :3, 3],
            scale=torch.linalg.det(linear).abs().pow(1.0 / 3.0),
        )

    def rows(self, keyframe: torch.Tensor) -> torch.Tensor:
        """Return (N,) int64: the row of each of (N,) keyframe indices, -1 for one that stays."""
        if self.keyframes.numel() == 0:
            return torch.full_like(keyframe, -1, dtype=torch.int64)
        wanted = keyframe.long()
        row = torch.searchsorted(self.keyframes, wanted).clamp_max(self.keyframes.numel() - 1)
        return torch.where(self.keyframes[row] == wanted, row, -1)

    def points(
        self, points: torch.Tensor, row: torch.Tensor, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return (N, 3) points, moved by the transforms in (N,) ``row``.

        With (N,) ``weight`` the points are sums of weighted points, and so is the result.
        """
        moved = torch.empty_like(points)
        for part in torch.arange(row.numel(), device=row.device).split(_AT_ONCE):
            which = row[part]
            shift = self.translation[which]
            if weight is not None:
                shift = shift * weight[part, None]
            turned = self.linear[which] @ points[part, :, None].double()
            moved[part] = (turned.squeeze(2) + shift).to(points.dtype)
        return moved

    def directions(self, directions: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        """Return (N, 3) directions turned by the transforms in (N,) ``row``; lengths stay."""
        moved = torch.empty_like(directions)
        rotation = self.linear / self.scale[:, None, None]
        for part in torch.arange(row.numel(), device=row.device).split(_AT_ONCE):
            turned = rotation[row[part]] @ directions[part, :, None].double()
            moved[part] = turned.squeeze(2).to(directions.dtype)
        return moved
