"""Shadow maps of lamps. They are computed once, because neither lamps nor furniture move."""

from __future__ import annotations

from dataclasses import replace

import torch

from e2e_slam_ros.simulation.raycast import cast, view_table
from e2e_slam_ros.simulation.scene import Scene
from e2e_slam_ros.simulation.shading import face_rotations


def bake_shadows(scene: Scene, size: int = 256) -> Scene:
    """Return the scene with a depth cube map of ``size`` texels per face for every lamp."""
    lamps = scene.lamps
    count = lamps.position.shape[0]
    pose = torch.eye(4, device=scene.device).repeat(count * 6, 1, 1)
    pose[:, :3, :3] = face_rotations().to(scene.device).repeat(count, 1, 1)
    pose[:, :3, 3] = lamps.position.repeat_interleave(6, dim=0)
    # 90 degrees field of view, so that texel edges lie on the cube's edges.
    focal, centre = 0.5 * size, 0.5 * (size - 1)
    k = torch.tensor([[focal, 0.0, centre], [0.0, focal, centre], [0.0, 0.0, 1.0]])
    table = view_table([scene], pose)
    depth = cast(table, k.expand(count * 6, 3, 3), size, size).depth
    return replace(scene, lamps=replace(lamps, shadow=depth.reshape(count, 6, size, size)))
