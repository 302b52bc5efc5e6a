"""Voxel blocks: numbering and what a camera can see."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e_slam_ros.mapping.block_index import BlockIndex, DepthPyramid
from synthetic import CAMERA, pose, wall_depth

CPU = torch.device("cpu")


def index_of(points: torch.Tensor, block_m: float = 0.25) -> BlockIndex:
    index = BlockIndex(block_m, CPU)
    index.find_or_add(points)
    return index


def test_points_of_one_cube_share_a_block_and_numbers_do_not_change() -> None:
    index = BlockIndex(0.5, CPU)
    first = index.find_or_add(torch.tensor([[0.1, 0.1, 0.1], [0.4, 0.4, 0.4], [-0.1, 0.1, 0.1]]))
    assert first[0] == first[1] != first[2]
    more = index.find_or_add(torch.tensor([[9.0, -9.0, 9.0], [0.2, 0.2, 0.2], [-0.4, 0.2, 0.3]]))
    assert more[1] == first[0] and more[2] == first[2] and len(index) == 3
    assert index.centers[first[2]].tolist() == [-0.25, 0.25, 0.25]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 3), min_size=1, max_size=30))
def test_every_point_lies_in_the_cube_it_is_given(points: list[tuple[float, ...]]) -> None:
    cloud = torch.tensor(points)
    index = BlockIndex(0.25, CPU)
    blocks = index.find_or_add(cloud)
    distance = (index.centers[blocks] - cloud).abs().amax()
    assert distance <= 0.125 + 1e-3
    assert torch.equal(index.find_or_add(cloud), blocks)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_no_block_with_a_point_in_the_image_is_left_out(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = 8 * torch.rand((400, 3), generator=generator) - 4
    index = BlockIndex(0.25, CPU)
    blocks = index.find_or_add(points)
    T = pose(*(torch.rand(3, generator=generator) * 2 - 1).tolist(), yaw_deg=seed % 360)
    local = (points - T[:3, 3].float()) @ T[:3, :3].float()
    z = local[:, 2]
    u = (local[:, 0] / z * CAMERA.fx + CAMERA.cx).round()
    v = (local[:, 1] / z * CAMERA.fy + CAMERA.cy).round()
    inside = (z > 0.02) & (u >= 0) & (u < CAMERA.width) & (v >= 0) & (v < CAMERA.height)
    assert index.in_view(CAMERA, T, None, 0.0)[blocks[inside]].all()
    # With depth: every point not farther than the margin behind its pixel's depth is kept.
    depth = 1.0 + 3.0 * torch.rand((1, 1, 48, 64), generator=generator)
    depth *= torch.rand(depth.shape, generator=generator) > 0.3
    pixel = (v * 64 + u)[inside].long()
    measured = depth.flatten()[pixel]
    needed = (measured > 0) & (z[inside] < measured + 0.05)
    kept = index.in_view(CAMERA, T, DepthPyramid.of(depth), 0.05)
    assert kept[blocks[inside][needed]].all()


def test_what_is_hidden_behind_a_wall_is_left_out() -> None:
    x = torch.linspace(-0.5, 0.5, 50)
    rows = [torch.stack([x, 0 * x, 0 * x + z], dim=1) for z in (1.0, 2.0, 4.0, 6.0)]
    index = BlockIndex(0.25, CPU)
    blocks = [index.find_or_add(row) for row in rows]
    pyramid = DepthPyramid.of(wall_depth(pose(), 2.0))
    kept = index.in_view(CAMERA, pose(), pyramid, 0.05)
    assert kept[blocks[0]].all() and kept[blocks[1]].all()
    assert not kept[blocks[2]].any() and not kept[blocks[3]].any()


def test_where_nothing_was_measured_only_near_blocks_are_kept() -> None:
    index = index_of(torch.tensor([[0.0, 0.0, 3.0], [0.1, 0.1, 0.2]]))
    kept = index.in_view(CAMERA, pose(), DepthPyramid.of(torch.zeros(1, 1, 48, 64)), 0.05)
    assert kept.tolist() == (index.centers[:, 2] < 1).tolist()


def test_blocks_behind_the_camera_are_left_out() -> None:
    index = index_of(torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, -2.0]]))
    kept = index.in_view(CAMERA, pose(), None, 0.0)
    assert kept.tolist() == (index.centers[:, 2] > 0).tolist()


@pytest.mark.parametrize("size", [(48, 64), (47, 63), (16, 16), (5, 7), (480, 640)])
def test_the_pyramid_bounds_the_depth_in_any_window(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    depth = torch.rand((1, 1, *size), generator=generator)
    pyramid = DepthPyramid.of(depth)
    for radius in (0.4, 3.0, 20.0, 100.0, 1000.0):
        u = torch.rand(20, generator=generator) * size[1]
        v = torch.rand(20, generator=generator) * size[0]
        bound = pyramid.farthest(u, v, torch.full_like(u, radius))
        for i in range(20):
            rows = slice(max(0, int(v[i] - radius)), int(v[i] + radius) + 1)
            columns = slice(max(0, int(u[i] - radius)), int(u[i] + radius) + 1)
            assert bound[i] >= depth[0, 0, rows, columns].amax()


def test_dropping_renumbers_in_order() -> None:
    points = torch.tensor([[0.1, 0, 0], [1.1, 0, 0], [2.1, 0, 0], [3.1, 0, 0]])
    index = BlockIndex(0.25, CPU)
    before = index.find_or_add(points)
    keep = torch.ones(4, dtype=torch.bool)
    keep[before[1]] = False
    new_number = index.drop(keep)
    assert new_number[before[1]] == -1 and len(index) == 3
    kept = torch.tensor([0, 2, 3])
    assert torch.equal(index.find_or_add(points[kept]), new_number[before[kept]])
    assert len(index) == 3
