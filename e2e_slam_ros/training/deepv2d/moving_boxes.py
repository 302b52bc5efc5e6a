"""Boxes that move through a rendered room while the camera looks."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch

from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.scene import BOX, Scene
from e2e_slam_ros.training.deepv2d.clip_config import ClipConfig

# Half the size of a box along each axis, metres, and how far in front of the camera it is.
_SMALLEST, _LARGEST = 0.12, 0.35
_NEAR_M, _FAR_M = 1.0, 2.5
# A box is not nearer to the camera than this, and not farther than this share of the free way.
_SHARE = 0.8


@dataclass(frozen=True, eq=False)
class MovingBoxes:
    """Copies of a scene's boxes and where they are in each frame.

    Attributes:
        like: (M,) int64, the primitive whose appearance each copy has.
        half: (M, 3), half sizes in metres.
        centre: (N, M, 3), centres in each of N frames, map frame, metres.

    >>> MovingBoxes(torch.tensor([1]), torch.ones(1, 3), torch.zeros(5, 1, 3)).centre.shape
    torch.Size([5, 1, 3])
    """

    like: torch.Tensor
    half: torch.Tensor
    centre: torch.Tensor


def draw_boxes(
    scene: Scene,
    poses: torch.Tensor,
    intrinsics: torch.Tensor,
    config: ClipConfig,
    interval: float,
    dice: Dice,
) -> MovingBoxes:
    """Return random boxes in view of the clip's middle camera, with constant velocities.

    Args:
        poses: (N, 4, 4) float64, T_map_camera.
        intrinsics: (3, 3).
        interval: time between two frames, seconds.
    """
    candidates = (scene.kind == BOX).nonzero().squeeze(1).tolist() or [0]
    middle = len(poses) // 2
    time = (torch.arange(len(poses)) - middle).double() * interval
    like, half, centre = [], [], []
    for _ in range(config.moving):
        like.append(dice.choice(candidates))
        half.append([dice.uniform(_SMALLEST, _LARGEST) for _ in range(3)])
        depth = dice.uniform(_NEAR_M, _FAR_M)
        u = dice.uniform(0.1, 0.9) * config.width
        v = dice.uniform(0.2, 0.9) * config.height
        pixel = torch.tensor([u, v, 1.0], dtype=torch.float64)
        point = depth * (torch.linalg.inv(intrinsics) @ pixel)
        start = poses[middle, :3, :3] @ point + poses[middle, :3, 3]
        direction = dice.randn(3).double()
        velocity = dice.uniform(0.3, 1.0) * config.moving_m_s * direction / direction.norm()
        centre.append(start + time[:, None] * velocity)
    return MovingBoxes(torch.tensor(like), torch.tensor(half), torch.stack(centre, dim=1).float())


def placed(scene: Scene, boxes: MovingBoxes, frame: int) -> Scene:
    """Return the scene with the boxes where they are in a frame, after its own primitives.

    The copies are not turned. Their pictures move with them. Shadows stay those of the room.
    """
    like, centre = boxes.like, boxes.centre[frame]
    kind = torch.cat([scene.kind, torch.full_like(like, BOX)])
    upright = torch.eye(3).expand(len(like), 3, 3)
    columns = {item.name: getattr(scene.surfaces, item.name) for item in fields(scene.surfaces)}
    copies = {name: value[like].clone() for name, value in columns.items()}
    sign = torch.tensor([-1.0, 1.0]).repeat(3)[:, None]
    axis = torch.arange(3).repeat_interleave(2)
    copies["normal"] = (sign * torch.eye(3)[axis]).expand(len(like), 6, 3).clone()
    for name, of_face in (("u_axis", (1, 1, 0, 0, 0, 0)), ("v_axis", (2, 2, 2, 2, 1, 1))):
        density = copies[name][..., :3].norm(dim=-1, keepdim=True).clamp_min(0.5)
        direction = torch.eye(3)[list(of_face)] * (1.0 if name == "u_axis" else -1.0)
        copies[name][..., :3] = density * direction
        # The picture is tied to the box.
        copies[name][..., 3] = -(copies[name][..., :3] * centre[:, None]).sum(-1)
    surfaces = replace(scene.surfaces, **{n: torch.cat([columns[n], copies[n]]) for n in columns})
    return replace(
        scene,
        kind=kind,
        centre=torch.cat([scene.centre, centre]),
        half=torch.cat([scene.half, boxes.half]),
        rotation=torch.cat([scene.rotation, upright]),
        surfaces=surfaces,
    )
