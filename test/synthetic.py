"""Closed-form scenes for tests: a camera in front of a plane."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, KeyframeDecision
from e2e_slam_ros.geometry.camera import PinholeCamera

CAMERA = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)


def pose(x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw_deg: float = 0.0) -> torch.Tensor:
    """T_map_camera (4, 4) float64: a turn about the camera's y axis, then a position."""
    angle = np.deg2rad(yaw_deg)
    T = torch.eye(4, dtype=torch.float64)
    T[0, 0] = T[2, 2] = float(np.cos(angle))
    T[0, 2], T[2, 0] = float(np.sin(angle)), -float(np.sin(angle))
    T[:3, 3] = torch.tensor([x, y, z], dtype=torch.float64)
    return T


def wall_depth(T_map_camera: torch.Tensor, wall_z: float = 2.0) -> torch.Tensor:
    """Exact depth (1, 1, H, W) of the plane z = wall_z of the map frame."""
    v, u = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    rays = torch.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, u * 0 + 1])
    along_z = torch.einsum("c,chw->hw", T_map_camera[2, :3].float(), rays)
    depth = (wall_z - float(T_map_camera[2, 3])) / along_z
    return torch.where(depth > 0, depth, 0.0)[None, None]


def keyframe(T_map_camera: torch.Tensor, index: int = 0, grey: float = 0.5) -> Keyframe:
    """A keyframe of uniform grey with the wall's exact depth as its sensor depth."""
    return Keyframe(
        index=index,
        frame_index=index,
        stamp_ns=index * 100_000_000,
        image=torch.full((1, 3, 48, 64), grey),
        camera=CAMERA,
        T_map_camera=T_map_camera,
        sensor_depth=wall_depth(T_map_camera),
        decision=KeyframeDecision(True, "test"),
    )


def estimate(depth: torch.Tensor, confidence: torch.Tensor | None = None) -> DepthEstimate:
    """Depth as a source would hand it over."""
    return DepthEstimate(depth, confidence, "sensor", "sensor")


def textured_image(seed: int = 0) -> npt.NDArray[np.uint8]:
    """(48, 64, 3) patches of three pixels: sharp, and no noise, which is taken for a fault."""
    patches = np.random.default_rng(seed).integers(0, 255, (16, 22, 3), dtype=np.uint8)
    return np.ascontiguousarray(patches.repeat(3, axis=0).repeat(3, axis=1)[:, :64])


def frame(index: int, T_map_camera: torch.Tensor, stamp_s: float | None = None) -> Frame:
    """A camera frame in front of the wall, ten a second unless told."""
    seconds = index * 0.1 if stamp_s is None else stamp_s
    return Frame(
        index=index,
        stamp_ns=round(seconds * 1e9),
        image=textured_image(),
        camera=CAMERA,
        depth=wall_depth(T_map_camera)[0, 0].numpy(),
        T_map_camera=T_map_camera.numpy(),
    )
