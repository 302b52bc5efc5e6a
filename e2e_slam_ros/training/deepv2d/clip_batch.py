"""Batches of clips, the keyframe first."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.training.data.batch import moved


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """Clips of rooms, float32 and bool on one device; frame 0 is the keyframe.

    Attributes:
        image: (B, N, 3, H, W) in [0, 1].
        depth: (B, N, 1, H, W), z in metres, exact.
        intrinsics: (B, 3, 3).
        T_camera_map: (B, N, 4, 4), metres; the map is the keyframe.
        moving: (B, N, 1, H, W) bool, the pixel shows something that moves in the room.
        noise: (B, N, 6), normal with deviation 1, for whatever a loss disturbs. It comes with the
            data, so that a resumed run disturbs alike.

    >>> image, one = torch.zeros(2, 3, 3, 4, 4), torch.ones(2, 3, 1, 4, 4)
    >>> poses = torch.eye(4).expand(2, 3, 4, 4)
    >>> len(ClipBatch(image, one, torch.eye(3).expand(2, 3, 3), poses, one < 0, one))
    2
    """

    image: torch.Tensor
    depth: torch.Tensor
    intrinsics: torch.Tensor
    T_camera_map: torch.Tensor
    moving: torch.Tensor
    noise: torch.Tensor

    def __len__(self) -> int:
        return len(self.image)

    def to(self, device: torch.device | str) -> ClipBatch:
        """Return the batch on another device."""
        return moved(self, device)
