"""A textured wall seen by a camera that moves as it is told: images, depth and poses are exact."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking import rigid

CAMERA = PinholeCamera(width=320, height=240, fx=280.0, fy=280.0, cx=159.5, cy=119.5)
WALL_M = 2.0
_TEXELS_PER_M = 150.0
_TEXELS = 1536
Pose = npt.NDArray[np.float64]


def texture(seed: int = 0) -> npt.NDArray[np.uint8]:
    """A wall of blurred rectangles and noise: corners everywhere."""
    generator = np.random.default_rng(seed)
    wall = np.full((_TEXELS, _TEXELS), 128, np.uint8)
    for _ in range(2500):
        x, y = (int(v) for v in generator.integers(0, _TEXELS, 2))
        w, h = (int(v) for v in generator.integers(8, 60, 2))
        cv2.rectangle(wall, (x, y), (x + w, y + h), int(generator.integers(20, 235)), -1)
    return np.asarray(cv2.GaussianBlur(wall, (0, 0), 1.2), dtype=np.uint8)


def pose(
    x: float = 0.0, y: float = 0.0, z: float = 0.0, turn: tuple[float, ...] = (0, 0, 0)
) -> Pose:
    """T_map_camera: a rotation vector in degrees and a position in metres."""
    T = rigid.exp(np.concatenate([np.zeros(3), np.radians(np.asarray(turn, dtype=np.float64))]))
    T[:3, 3] = x, y, z
    return T


def view(
    wall: npt.NDArray[np.uint8], T_map_camera: Pose, camera: PinholeCamera = CAMERA
) -> npt.NDArray[np.uint8]:
    """The grey image (H, W) of the wall z = WALL_M of the map, its centre at x = y = 0."""
    T = rigid.inverse(T_map_camera)
    K = camera.undistorted().matrix().double().numpy()
    scale = 1.0 / _TEXELS_PER_M
    half = 0.5 * _TEXELS * scale
    to_map = np.array([[scale, 0.0, -half], [0.0, scale, -half], [0.0, 0.0, 1.0]])
    plane = np.stack([T[:3, 0], T[:3, 1], T[:3, 2] * WALL_M + T[:3, 3]], axis=1)
    return np.asarray(
        cv2.warpPerspective(
            wall, K @ plane @ to_map, (camera.width, camera.height), flags=cv2.INTER_LINEAR
        ),
        dtype=np.uint8,
    )


def depth(T_map_camera: Pose, camera: PinholeCamera = CAMERA) -> npt.NDArray[np.float32]:
    """The exact depth (H, W) of the wall."""
    v, u = np.indices((camera.height, camera.width), dtype=np.float64)
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, u * 0 + 1], axis=-1)
    along = rays @ T_map_camera[2, :3]
    z = (WALL_M - T_map_camera[2, 3]) / along
    return np.where(z > 0, z, 0.0).astype(np.float32)


def frame(
    wall: npt.NDArray[np.uint8],
    index: int,
    T_map_camera: Pose,
    *,
    with_depth: bool = True,
    rate_hz: float = 30.0,
    camera: PinholeCamera = CAMERA,
) -> Frame:
    """One frame of a recording that starts at 10 s."""
    grey = view(wall, T_map_camera, camera)
    return Frame(
        index=index,
        stamp_ns=10_000_000_000 + round(index * 1e9 / rate_hz),
        image=np.repeat(grey[..., None], 3, axis=2),
        camera=camera,
        depth=depth(T_map_camera, camera) if with_depth else None,
        T_map_camera=T_map_camera,
    )


def walk(count: int) -> list[Pose]:
    """A smooth path before the wall that starts at the origin, with turns of up to 6 degrees."""
    t = np.linspace(0.0, 2.0 * np.pi, count)
    return [
        pose(
            0.35 * np.sin(a),
            0.2 * np.sin(2 * a),
            0.15 * (1 - np.cos(a)),
            (4 * np.sin(a), 6 * np.sin(a), 5 * np.sin(2 * a)),
        )
        for a in t
    ]
