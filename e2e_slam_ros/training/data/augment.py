"""Random virtual cameras: the same pair of views through another lens, turned a little."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from e2e_slam_ros.geometry.projection import MIN_Z_M
from e2e_slam_ros.training.data.config import AugmentConfig
from e2e_slam_ros.training.data.turned_view import resampled, turned_pixels
from e2e_slam_ros.training.data.views import ViewPair

# Where the share of the view that lies outside the image is measured, and how it is brought down.
_PROBES = 9
_CLOSER, _MOST_CLOSER = 1.06, 12
# The centre moves by up to this share of the image's size.
_SHIFT = 0.05


@dataclass(frozen=True, eq=False)
class VirtualCamera:
    """A camera at the recorded camera's centre, turned and with another lens.

    Attributes:
        rotation: (3, 3), from the recorded camera's frame to the virtual one's.
        intrinsics: (3, 3) of the virtual image, before mirroring.
        mirrored: the virtual image is mirrored left to right afterwards.

    >>> VirtualCamera(torch.eye(3), torch.eye(3), mirrored=True).mirrored
    True
    """

    rotation: torch.Tensor
    intrinsics: torch.Tensor
    mirrored: bool


def draw_camera(
    pair: ViewPair, config: AugmentConfig, height: int, width: int, generator: torch.Generator
) -> VirtualCamera:
    """Return a random virtual camera with an image of ``height`` x ``width`` pixels."""
    draw = 2.0 * torch.rand(9, generator=generator, dtype=torch.float64) - 1.0
    chance = torch.rand(2, generator=generator).tolist()
    roll = config.roll_deg * float(draw[0]) if chance[0] < config.roll_share else 0.0
    rotation = _rotation(config.tilt_deg * float(draw[1]), config.tilt_deg * float(draw[2]), roll)
    zoom = _between(config.zoom_min, config.zoom_max, float(draw[3]))
    aspect = math.sqrt(_between(config.aspect_min, config.aspect_max, float(draw[4])))
    shift = (_SHIFT * width * float(draw[5]), _SHIFT * height * float(draw[6]))
    moved = config.zoom_min < config.zoom_max
    intrinsics = resized(pair.intrinsics, pair.image.shape[-2:], height, width).clone()
    intrinsics[0, 0] *= zoom / aspect
    intrinsics[1, 1] *= zoom * aspect
    if moved:
        intrinsics[0, 2] += shift[0]
        intrinsics[1, 2] += shift[1]
    camera = VirtualCamera(rotation, intrinsics, chance[1] < config.mirror)
    for _ in range(_MOST_CLOSER):
        if _outside(pair, camera, height, width) <= config.max_outside:
            break
        intrinsics[0, 0] *= _CLOSER
        intrinsics[1, 1] *= _CLOSER
    return camera


def look_through(pair: ViewPair, camera: VirtualCamera, height: int, width: int) -> ViewPair:
    """Return the pair as the virtual camera sees it; images become float32 in [0, 1].

    A camera that turns about its centre sees the same rays: its image is a homography of the
    recorded one, exact at any depth. A point p of the recorded camera is R p in the virtual one,
    so z becomes z (R p)_z / p_z and T_source_target becomes R T R^-1. Where the recorded image
    ends it is continued by reflection, without depth and not as ``seen``.
    """
    views = 2 if pair.has_source else 1
    uv, z = turned_pixels(height, width, camera.intrinsics, camera.rotation.mT, pair.intrinsics)
    images, depths, seen = resampled(
        torch.stack([pair.image, pair.source][:views]).float() / 255.0,
        torch.stack([pair.depth, pair.source_depth][:views]),
        torch.stack(pair.seen_masks()[:views]),
        uv,
        z,
        "reflection",
    )
    images = images.clamp(0.0, 1.0)
    T = torch.eye(4)
    T[:3, :3] = camera.rotation
    motion = T @ pair.T_source_target @ T.mT
    intrinsics = camera.intrinsics
    if camera.mirrored:
        images, depths, seen = images.flip(-1), depths.flip(-1), seen.flip(-1)
        intrinsics = intrinsics.clone()
        intrinsics[0, 2] = width - 1 - intrinsics[0, 2]
        mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0]))
        motion = mirror @ motion @ mirror
    return ViewPair(
        images[0], images[-1], depths[0], depths[-1], intrinsics, motion,
        pair.has_source, pair.has_pose, pair.has_depth, seen[0], seen[-1],
    )  # fmt: skip


def resized(
    intrinsics: torch.Tensor, size: torch.Size | tuple[int, int], height: int, width: int
) -> torch.Tensor:
    """Return (3, 3) intrinsics of an image of ``size`` (H, W) enlarged to height x width."""
    across, down = width / size[1], height / size[0]
    k = intrinsics.clone()
    k[0] *= across
    k[1] *= down
    # Pixel centres are at integers: the image begins half a pixel before the first one.
    k[0, 2] += 0.5 * across - 0.5
    k[1, 2] += 0.5 * down - 0.5
    return k


def _outside(pair: ViewPair, camera: VirtualCamera, height: int, width: int) -> float:
    """Return the share of the virtual view that the recorded image does not show."""
    k = resized(camera.intrinsics, (height, width), _PROBES, _PROBES)
    uv, z = turned_pixels(_PROBES, _PROBES, k, camera.rotation.mT, pair.intrinsics)
    size = torch.tensor([pair.image.shape[-1], pair.image.shape[-2]])
    seen = ((uv > -0.5) & (uv < size - 0.5)).all(-1) & (z > MIN_Z_M)
    return 1.0 - float(seen.float().mean())


def _rotation(pitch: float, yaw: float, roll: float) -> torch.Tensor:
    """Return (3, 3) of angles in degrees: about x (right), y (down) and z (forward)."""
    angles = torch.deg2rad(torch.tensor([pitch, yaw, roll], dtype=torch.float64))
    (cx, cy, cz), (sx, sy, sz) = angles.cos().tolist(), angles.sin().tolist()
    about_x = torch.tensor([[1, 0, 0], [0, cx, -sx], [0, sx, cx]], dtype=torch.float64)
    about_y = torch.tensor([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]], dtype=torch.float64)
    about_z = torch.tensor([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]], dtype=torch.float64)
    return (about_z @ about_x @ about_y).float()


def _between(low: float, high: float, draw: float) -> float:
    """Return a value between two factors, even in the logarithm; ``draw`` is in [-1, 1]."""
    return math.exp(math.log(low) + 0.5 * (draw + 1.0) * math.log(high / low))
