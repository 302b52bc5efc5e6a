"""Random rooms and paths: determinism, variety, closed rooms, clearance, bounded motion."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.simulation import MotionStyle, generate_scene, render, smooth_trajectory
from e2e_slam_ros.simulation.scene import Scene
from e2e_slam_ros.simulation.scene_queries import distance

from . import rooms

SEEDS = range(6)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [generate_scene(seed, texture_size=64, shadow_size=32) for seed in SEEDS]


def look_around(scene: Scene) -> tuple[torch.Tensor, torch.Tensor]:
    path = smooth_trajectory(scene, 4, rate_hz=0.5, seed=1)
    views = render([scene], path, rooms.INTRINSICS, rooms.HEIGHT, rooms.WIDTH)
    return views.image, views.depth


def test_same_seed_same_room_to_the_last_bit(scenes: list[Scene]) -> None:
    again = generate_scene(2, texture_size=64, shadow_size=32)
    for first, second in zip(look_around(scenes[2]), look_around(again), strict=True):
        assert torch.equal(first, second)


def test_rooms_are_varied_and_furnished(scenes: list[Scene]) -> None:
    assert all(40 <= len(scene) <= 250 for scene in scenes)
    images = torch.stack([look_around(scene)[0].mean((0, 2, 3)) for scene in scenes])
    assert len({tuple(image.tolist()) for image in images}) == len(scenes)
    sizes = {tuple(scene.half[0].tolist()) for scene in scenes}
    assert len(sizes) == len(scenes)


def test_rooms_are_closed(scenes: list[Scene]) -> None:
    for scene in scenes:
        image, depth = look_around(scene)
        diagonal = 2 * float(scene.half[0].norm())
        assert torch.isfinite(image).all() and torch.isfinite(depth).all()
        assert float(depth.amin()) > 0.02 and float(depth.amax()) < diagonal


def test_furniture_stays_in_the_room(scenes: list[Scene]) -> None:
    for scene in scenes:
        corners = (scene.rotation.abs() @ scene.half.unsqueeze(-1)).squeeze(-1)
        over = (scene.centre - scene.centre[0]).abs() + corners - scene.half[0]
        assert float(over.amax()) < 0.12, "no more than a bracket into the wall"


@pytest.mark.parametrize("seed", SEEDS)
def test_paths_keep_clear_and_move_like_a_person(scenes: list[Scene], seed: int) -> None:
    style = MotionStyle()
    path = smooth_trajectory(scenes[seed], 300, rate_hz=15.0, seed=seed, style=style)
    assert path.dtype == torch.float64 and path.shape == (300, 4, 4)
    se3.check_rigid(path)
    assert distance(scenes[seed], path[:, :3, 3].float()).amin() > style.clearance_m
    step = se3.log(se3.inverse(path[:-1]) @ path[1:])
    # The hand's shaking comes on top of walking and turning.
    assert step[:, :3].norm(dim=1).amax() * 15 < style.speed_m_s + 0.1
    assert step[:, 3:].norm(dim=1).amax() * 15 < style.turn_rad_s + 0.4
    assert step[:, :3].norm(dim=1).mean() * 15 > 0.1
    jerk = (step[1:] - step[:-1]).norm(dim=1)
    assert jerk.amax() < 0.02


def test_paths_depend_on_their_seed_alone(scenes: list[Scene]) -> None:
    first, again, other = (smooth_trajectory(scenes[0], 20, seed=s) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_impossible_paths_are_refused(scenes: list[Scene]) -> None:
    with pytest.raises(DataError, match="frames=0"):
        smooth_trajectory(scenes[0], 0)
    with pytest.raises(DataError, match="no free spot"):
        smooth_trajectory(scenes[0], 5, style=MotionStyle(clearance_m=4.0))
