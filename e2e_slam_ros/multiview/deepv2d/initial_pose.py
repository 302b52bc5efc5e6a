"""First poses of a clip from the images alone (DeepV2D section 3.2, "Initialization")."""

from __future__ import annotations

import torch
from torch import nn

from e2e_slam_ros.geometry import se3

# Channels and kernels, each halving the size (the encoder of Zhou et al. 2017).
_LAYERS = ((16, 7), (32, 5), (64, 3), (96, 3), (128, 3), (128, 3))
# A fresh network says centimetres and tenths of degrees.
_STEP = 0.01
_MEAN, _DEVIATION = 0.45, 0.225


class InitialPoseNet(nn.Module):
    """A generic network: the keyframe and another frame to the motion between them.

    >>> InitialPoseNet()(torch.zeros(1, 3, 3, 48, 64)).shape
    torch.Size([1, 3, 4, 4])
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        coming = 6
        for channels, kernel in _LAYERS:
            layers += [nn.Conv2d(coming, channels, kernel, 2, padding=kernel // 2), nn.ReLU()]
            coming = channels
        self.encoder = nn.Sequential(*layers)
        self.twist = nn.Conv2d(coming, 6, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return T_camera_map (B, N, 4, 4) of images (B, N, 3, H, W); the map is frame 0."""
        batch, count = images.shape[:2]
        centred = (images - _MEAN) / _DEVIATION
        keyframe = centred[:, :1].expand(-1, count - 1, -1, -1, -1)
        joined = torch.cat([keyframe, centred[:, 1:]], dim=2).flatten(0, 1)
        twist = _STEP * self.twist(self.encoder(joined)).float().mean((2, 3))
        moved = se3.exp(twist).reshape(batch, count - 1, 4, 4)
        identity = torch.eye(4, dtype=moved.dtype, device=moved.device).expand(batch, 1, 4, 4)
        return torch.cat([identity, moved], dim=1)
