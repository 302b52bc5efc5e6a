"""Light on surfaces: Lambert, a simple highlight, soft shadows from cube maps, camera response."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from e2e_slam_ros.simulation.scene import Scene
from e2e_slam_ros.simulation.surface import HitSurface

# Shadow look-ups start this far off the surface, so that a surface does not shadow itself.
_LIFT_M = 0.03
_SOFTNESS_M = 0.04
# A smaller exponent makes a wider highlight. 32 looks like varnished wood.
_SHININESS_SQUARINGS = 5


def radiance(
    scene: Scene, hit: HitSurface, albedo: torch.Tensor, eye: torch.Tensor
) -> torch.Tensor:
    """Return the linear light (3, N) that leaves the hit points towards the eye.

    Args:
        albedo: (3, N), linear reflectance.
        eye: (3, N), unit direction from the points to the camera.
    """
    up = 0.5 + 0.5 * hit.normal[2]
    low, high = scene.lamps.ambient
    light = low[:, None] + (high - low)[:, None] * up
    shine = torch.zeros_like(light)
    for index in range(scene.lamps.position.shape[0]):
        color = scene.lamps.color[index][:, None]
        away = scene.lamps.position[index][:, None] - hit.point
        square = (away * away).sum(0)
        towards = away * square.clamp_min(1e-6).rsqrt()
        facing = (towards * hit.normal).sum(0).clamp_min(0.0)
        # A lamp of half a metre instead of a point, so that no surface near it is overexposed.
        strength = facing / (square + 0.25)
        if scene.lamps.shadow is not None:
            strength = strength * visibility(scene.lamps.shadow[index], hit.normal, away)
        light = light + color * strength
        between = towards + eye
        cosine = (between * hit.normal).sum(0) * (between * between).sum(0).add(1e-6).rsqrt()
        peak = cosine.clamp_min(0.0)
        for _ in range(_SHININESS_SQUARINGS):
            peak = peak * peak
        shine = shine + color * (peak * strength)
    return albedo * (light + hit.emission) + hit.specular * shine


def visibility(cube: torch.Tensor, normal: torch.Tensor, away: torch.Tensor) -> torch.Tensor:
    """Return the share of a lamp (0 to 1) that each of N points sees.

    Args:
        cube: (6, S, S), z-depth seen from the lamp, faces as in `face_rotations`.
        normal: (3, N), unit length.
        away: (3, N), from the points to the lamp, metres.
    """
    size = cube.shape[-1]
    ray = _LIFT_M * normal - away
    rx, ry, rz = ray
    ax, ay, az = rx.abs(), ry.abs(), rz.abs()
    on_x, on_y = (ax >= ay) & (ax >= az), ay >= az
    major = torch.where(on_x, rx, torch.where(on_y, ry, rz))
    second = torch.where(on_x, ry, torch.where(on_y, rz, rx))
    third = torch.where(on_x, rz, torch.where(on_y, rx, ry))
    depth = major.abs().clamp_min(1e-6)
    axis = torch.where(on_x, 0, torch.where(on_y, 1, 2))
    face = 2 * axis + (major > 0).long()
    x = ((second / depth + 1.0) * (0.5 * size) - 0.5).clamp(0, size - 1.001)
    y = ((third / (depth * major.sign()) + 1.0) * (0.5 * size) - 0.5).clamp(0, size - 1.001)
    x0, y0 = x.long(), y.long()
    fx, fy = x - x0, y - y0
    flat, start = cube.reshape(-1), (face * size + y0) * size + x0
    limit = depth - 0.5 * _SOFTNESS_M

    def lit(offset: int) -> torch.Tensor:
        return ((flat.take(start + offset) - limit) * (1.0 / _SOFTNESS_M)).clamp_(0.0, 1.0)

    top = lit(0) * (1 - fx) + lit(1) * fx
    bottom = lit(size) * (1 - fx) + lit(size + 1) * fx
    return top * (1 - fy) + bottom * fy


def face_rotations() -> torch.Tensor:
    """Return (6, 3, 3) rotations of the cube map's cameras: faces -x, +x, -y, +y, -z, +z.

    Columns are right, down and forward: e_(a+1), sign e_(a+2) and sign e_a for axis a.
    """
    unit = torch.eye(3)
    faces = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            right, down = unit[(axis + 1) % 3], sign * unit[(axis + 2) % 3]
            faces.append(torch.stack([right, down, sign * unit[axis]], dim=1))
    return torch.stack(faces)


def camera_response(linear: torch.Tensor, exposure: torch.Tensor) -> torch.Tensor:
    """Return display values in [0, 1]: gamma 2 up to a soft shoulder at white."""
    exposed = linear * exposure
    # 1 - exp(-x) is linear for small x and never clips.
    return (1.0 - torch.exp(-exposed)).sqrt()


def exposures(scenes: Sequence[Scene]) -> torch.Tensor:
    """Return the scenes' exposures, (len(scenes),)."""
    return torch.stack([scene.exposure for scene in scenes])
