"""Camera poses from a position and viewing angles."""

from __future__ import annotations

import torch


def look_along(
    position: torch.Tensor, yaw: torch.Tensor, pitch: torch.Tensor, roll: torch.Tensor
) -> torch.Tensor:
    """Return T_map_camera of cameras that look along a heading.

    Args:
        position: (N, 3), metres; the map's z axis points up.
        yaw: (N,), radians from the map's x axis, counter-clockwise from above.
        pitch: (N,), radians above the horizon.
        roll: (N,), radians, positive turns the camera clockwise as seen by itself.

    Returns:
        (N, 4, 4): camera optical frame (x right, y down, z forward) to map.
    """
    cy, sy, cp, sp = yaw.cos(), yaw.sin(), pitch.cos(), pitch.sin()
    forward = torch.stack([cp * cy, cp * sy, sp], dim=-1)
    level = torch.stack([sy, -cy, torch.zeros_like(yaw)], dim=-1)
    below = torch.linalg.cross(forward, level)
    cr, sr = roll.cos()[:, None], roll.sin()[:, None]
    pose = torch.zeros(len(yaw), 4, 4, dtype=position.dtype, device=position.device)
    pose[:, :3, 0] = cr * level + sr * below
    pose[:, :3, 1] = cr * below - sr * level
    pose[:, :3, 2] = forward
    pose[:, :3, 3] = position
    pose[:, 3, 3] = 1.0
    return pose
