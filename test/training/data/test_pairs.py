"""Which frames are pairs, and pairs without their rotation."""

from __future__ import annotations

from dataclasses import replace

import torch

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.projection import pixel_rays
from e2e_slam_ros.geometry.warp import inverse_warp
from e2e_slam_ros.training.data.config import RecordedConfig
from e2e_slam_ros.training.data.pairs import Viewpoint, partners, without_rotation
from e2e_slam_ros.training.data.views import ViewPair


def at(x: float, turn_deg: float = 0.0, depth_m: float = 2.0) -> Viewpoint:
    turn = torch.deg2rad(torch.tensor(turn_deg, dtype=torch.float64))
    pose = se3.exp(torch.tensor([0.0, 0.0, 0.0, 0.0, float(turn), 0.0], dtype=torch.float64))
    pose[0, 3] = x
    return Viewpoint(pose, depth_m)


CONFIG = RecordedConfig(min_parallax=0.02, max_parallax=0.2, max_rotation_deg=15.0)


def test_partners_moved_neither_too_little_nor_too_far() -> None:
    # Parallax limits of 0.02 and 0.2 are 4 cm and 40 cm at 2 m.
    found = partners([at(0.0), at(0.01), at(0.2), at(0.5)], CONFIG)
    assert [row.tolist() for row in found] == [[2], [2], [0, 1, 3], [2]]


def test_partners_did_not_turn_away() -> None:
    found = partners([at(0.0), at(0.1, turn_deg=14.0), at(0.1, turn_deg=16.0)], CONFIG)
    assert found[0].tolist() == [1]


def test_a_pure_rotation_has_no_partner() -> None:
    found = partners([at(0.0, turn_deg=3.0 * i) for i in range(4)], CONFIG)
    assert all(len(row) == 0 for row in found)


def test_without_poses_frames_a_few_apart_are_partners() -> None:
    config = replace(CONFIG, min_apart=2, max_apart=3)
    found = partners([None] * 5, config)
    assert [row.tolist() for row in found] == [[2, 3], [3, 4], [0, 4], [0, 1], [1, 2]]


def test_a_frame_without_a_pose_is_no_partner_of_one_with_a_pose() -> None:
    found = partners([at(0.0), None, at(0.1)], CONFIG)
    assert [row.tolist() for row in found] == [[2], [], [0]]


def test_partners_are_looked_for_nearby_in_time() -> None:
    found = partners([at(0.1 * (i % 2)) for i in range(10)], replace(CONFIG, max_search=3))
    assert found[0].tolist() == [1, 3]


def test_a_rectified_pair_is_left_with_translation_and_still_fits() -> None:
    height, width = 120, 160
    k = torch.tensor([[140.0, 0.0, 79.5], [0.0, 140.0, 59.5], [0.0, 0.0, 1.0]])
    motion = se3.exp(torch.tensor([0.1, 0.03, -0.02, 0.06, -0.09, 0.12]))
    # A wall at z = 2 of the target camera, with a smooth picture painted on it.
    rays = pixel_rays(height, width, k[None])[0]

    def painted(points: torch.Tensor) -> torch.Tensor:
        x, y = points[0], points[1]
        rows = torch.stack([(3 * x).sin(), (2 * y).cos(), (2 * x + y).sin()])
        return ((0.5 + 0.4 * rows) * 255).round().clamp(0, 255).to(torch.uint8)

    target = painted(2.0 * rays)
    back = torch.linalg.inv(motion)  # source camera to target camera
    turned = torch.einsum("ij,jhw->ihw", back[:3, :3], rays)
    source_z = (2.0 - back[2, 3]) / turned[2]
    points = turned * source_z + back[:3, 3, None, None]
    pair = ViewPair(
        target, painted(points), torch.full((1, height, width), 2.0), source_z[None], k, motion,
        True, True, True,
    )  # fmt: skip
    straight = without_rotation(pair)
    torch.testing.assert_close(straight.T_source_target[:3, :3], torch.eye(3), atol=1e-6, rtol=0)
    warp = inverse_warp(
        straight.source[None].float(), straight.depth[None], straight.T_source_target[None], k, k
    )
    inner = warp.valid & (warp.image.sum(1, keepdim=True) > 30)
    difference = (warp.image - target[None]).abs().mean(1, keepdim=True)[inner]
    assert float(inner.float().mean()) > 0.5
    assert float(difference.median()) < 2.0
    assert straight.source_seen is not None
    black = straight.source.sum(0, keepdim=True) == 0
    assert bool(black.any()) and not bool((black & straight.source_seen).any())
    depth = inverse_warp(
        straight.source_depth[None], straight.depth[None], straight.T_source_target[None], k, k
    )
    known = depth.valid & (depth.image > 0)
    assert float((depth.image - depth.z)[known].abs().median()) < 0.01
