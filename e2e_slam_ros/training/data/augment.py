"""Random virtual cameras: the same pairs of views through another lens, turned a little."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.geometry.projection import MIN_Z_M
from e2e_slam_ros.training.data.batch import PairBatch
from e2e_slam_ros.training.data.config import AugmentConfig
from e2e_slam_ros.training.data.turned_view import resampled, turned_pixels

# Where the share of the view that lies outside the image is measured, and how it is brought down.
_PROBES = 9
_CLOSER, _MOST_CLOSER = 1.06, 12
# The centre moves by up to this share of the image's size.
_SHIFT = 0.05


@dataclass(frozen=True, eq=False)
class VirtualCameras:
    """B cameras at the recorded cameras' centres, turned and with other lenses.

    Attributes:
        rotation: (B, 3, 3), from the recorded camera's frame to the virtual one's.
        intrinsics: (B, 3, 3) of the virtual images, before mirroring.
        mirrored: (B,) bool, the virtual image is mirrored left to right afterwards.

    >>> one = torch.eye(3)[None]
    >>> VirtualCameras(one, one, torch.tensor([True])).mirrored
    tensor([True])
    """

    rotation: torch.Tensor
    intrinsics: torch.Tensor
    mirrored: torch.Tensor


def draw_cameras(
    recorded: torch.Tensor,
    size: tuple[int, int],
    config: AugmentConfig,
    height: int,
    width: int,
    generator: torch.Generator,
) -> VirtualCameras:
    """Return a random virtual camera of ``height`` x ``width`` pixels for each recorded one.

    Args:
        recorded: (B, 3, 3), intrinsics of the recorded images.
        size: (H, W) of the recorded images.
        generator: on the CPU, so that the draws are the same on every device.
    """
    count, device = len(recorded), recorded.device
    draw = (2.0 * torch.rand(count, 9, generator=generator) - 1.0).to(device)
    chance = torch.rand(count, 2, generator=generator).to(device)
    roll = torch.where(chance[:, 0] < config.roll_share, config.roll_deg * draw[:, 0], 0.0)
    angles = torch.stack([config.tilt_deg * draw[:, 1], config.tilt_deg * draw[:, 2], roll], 1)
    zoom = _between(config.zoom_min, config.zoom_max, draw[:, 3])
    aspect = _between(config.aspect_min, config.aspect_max, draw[:, 4]).sqrt()
    intrinsics = resized(recorded, size, height, width)
    intrinsics[:, 0, 0] *= zoom / aspect
    intrinsics[:, 1, 1] *= zoom * aspect
    if config.zoom_min < config.zoom_max:
        intrinsics[:, 0, 2] += _SHIFT * width * draw[:, 5]
        intrinsics[:, 1, 2] += _SHIFT * height * draw[:, 6]
    cameras = VirtualCameras(_rotation(angles), intrinsics, chance[:, 1] < config.mirror)
    return _closer(cameras, recorded, size, config.max_outside, height, width)


def look_through(
    recorded: PairBatch, cameras: VirtualCameras, height: int, width: int
) -> PairBatch:
    """Return the pairs as the virtual cameras see them; images become float32 in [0, 1].

    A camera that turns about its centre sees the same rays: its image is a homography of the
    recorded one, exact at any depth. A point p of the recorded camera is R p in the virtual one,
    so z becomes z (R p)_z / p_z and T_source_target becomes R T R^-1. Where the recorded image
    ends it is continued by reflection, without depth and not as ``seen``.

    Args:
        recorded: images as stored, uint8. Where no pair of it has a second view, the target
            stands for the second view.
    """
    paired = bool(recorded.has_source.any())
    turn, k = cameras.rotation, cameras.intrinsics
    uv, z = turned_pixels(height, width, k, turn.mT, recorded.intrinsics)
    images, depths, seen = resampled(
        _views(recorded.image, recorded.source, paired).float() / 255.0,
        _views(recorded.depth, recorded.source_depth, paired),
        _views(recorded.seen, recorded.source_seen, paired),
        uv,
        z,
        "reflection",
    )
    mirrored = cameras.mirrored
    images, depths, seen = (
        torch.where(mirrored[:, None, None, None, None], values.flip(-1), values)
        for values in (images.clamp(0.0, 1.0), depths, seen)
    )
    T = torch.eye(4, device=turn.device).repeat(len(turn), 1, 1)
    T[:, :3, :3] = turn
    # Mirroring turns x round: diag(-1, 1, 1, 1).
    T[:, 0] *= torch.where(mirrored, -1.0, 1.0)[:, None]
    k = k.clone()
    k[:, 0, 2] = torch.where(mirrored, width - 1 - k[:, 0, 2], k[:, 0, 2])
    return replace(
        recorded,
        image=images[:, 0],
        source=images[:, -1],
        depth=depths[:, 0],
        source_depth=depths[:, -1],
        intrinsics=k,
        T_source_target=T @ recorded.T_source_target @ T.mT,
        seen=seen[:, 0],
        source_seen=seen[:, -1],
    )


def resized(
    intrinsics: torch.Tensor, size: torch.Size | tuple[int, int], height: int, width: int
) -> torch.Tensor:
    """Return (..., 3, 3) intrinsics of images of ``size`` (H, W) enlarged to height x width."""
    across, down = width / size[1], height / size[0]
    k = intrinsics.clone()
    k[..., 0, :] *= across
    k[..., 1, :] *= down
    # Pixel centres are at integers: the image begins half a pixel before the first one.
    k[..., 0, 2] += 0.5 * across - 0.5
    k[..., 1, 2] += 0.5 * down - 0.5
    return k


def _views(target: torch.Tensor, source: torch.Tensor, paired: bool) -> torch.Tensor:
    """Return (B, V, ...): both views, or the target alone."""
    return torch.stack([target, source], dim=1) if paired else target[:, None]


def _closer(
    cameras: VirtualCameras,
    recorded: torch.Tensor,
    size: tuple[int, int],
    max_outside: float,
    height: int,
    width: int,
) -> VirtualCameras:
    """Return the cameras with longer lenses where too much of the view is outside the image."""
    k = cameras.intrinsics
    for _ in range(_MOST_CLOSER):
        outside = _outside(replace(cameras, intrinsics=k), recorded, size, height, width)
        factor = torch.where(outside > max_outside, _CLOSER, 1.0)
        k = k.clone()
        k[:, 0, 0] *= factor
        k[:, 1, 1] *= factor
    return replace(cameras, intrinsics=k)


def _outside(
    cameras: VirtualCameras, recorded: torch.Tensor, size: tuple[int, int], height: int, width: int
) -> torch.Tensor:
    """Return (B,) the share of the virtual view that the recorded image does not show."""
    k = resized(cameras.intrinsics, (height, width), _PROBES, _PROBES)
    uv, z = turned_pixels(_PROBES, _PROBES, k, cameras.rotation.mT, recorded)
    end = uv.new_tensor([size[1] - 0.5, size[0] - 0.5])
    seen = ((uv > -0.5) & (uv < end)).all(-1) & (z > MIN_Z_M)
    return 1.0 - seen.float().mean((1, 2))


def _rotation(degrees: torch.Tensor) -> torch.Tensor:
    """Return (B, 3, 3) of angles (B, 3) about x (right), y (down) and z (forward), z last."""
    angles = torch.deg2rad(degrees)
    c, s = angles.cos().unbind(1), angles.sin().unbind(1)
    one, zero = torch.ones_like(c[0]), torch.zeros_like(c[0])

    def matrix(*rows: torch.Tensor) -> torch.Tensor:
        return torch.stack(rows, dim=1).reshape(-1, 3, 3)

    about_x = matrix(one, zero, zero, zero, c[0], -s[0], zero, s[0], c[0])
    about_y = matrix(c[1], zero, s[1], zero, one, zero, -s[1], zero, c[1])
    about_z = matrix(c[2], -s[2], zero, s[2], c[2], zero, zero, zero, one)
    return about_z @ about_x @ about_y


def _between(low: float, high: float, draw: torch.Tensor) -> torch.Tensor:
    """Return factors between two, even in the logarithm; ``draw`` is in [-1, 1]."""
    return torch.exp(math.log(low) + 0.5 * (draw + 1.0) * math.log(high / low))
