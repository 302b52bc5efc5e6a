"""Automatic exposure of a room's camera."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from e2e_slam_ros.simulation.builder import Vector
from e2e_slam_ros.simulation.camera_pose import look_along
from e2e_slam_ros.simulation.renderer import Renderer
from e2e_slam_ros.simulation.scene import Scene

_TARGET = 0.45
_STEPS = 6


def expose(scene: Scene, at: Vector = (0.0, 0.0, 1.4)) -> Scene:
    """Return the scene with an exposure that gives views all around a mean brightness of 0.45.

    ``at`` is where the views are taken, metres in the map.
    """
    device = scene.device
    yaw = torch.arange(6, device=device) * (math.pi / 3)
    position = torch.tensor(at, device=device).expand(6, 3)
    pose = look_along(position, yaw, torch.full_like(yaw, -0.15), torch.zeros_like(yaw))
    k = torch.tensor([[24.0, 0.0, 23.5], [0.0, 24.0, 17.5], [0.0, 0.0, 1.0]], device=device)
    image = Renderer([replace(scene, exposure=torch.ones_like(scene.exposure))])(
        pose, k.expand(6, 3, 3), 36, 48
    ).image
    # A response y becomes sqrt(1 - (1 - y^2)^e) when the exposure is multiplied by e.
    dark = (1.0 - image.square()).clamp_min(1e-6).log()
    low, high = torch.full((), 0.05, device=device), torch.full((), 50.0, device=device)
    exposure = (low * high).sqrt()
    for _ in range(4 * _STEPS):
        bright = (1.0 - torch.exp(dark * exposure)).sqrt().mean()
        low = torch.where(bright < _TARGET, exposure, low)
        high = torch.where(bright < _TARGET, high, exposure)
        exposure = (low * high).sqrt()
    return replace(scene, exposure=exposure)
