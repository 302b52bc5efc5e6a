"""Exact nearest neighbours."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from e2e_slam_ros.losses.chamfer import nearest
from e2e_slam_ros.losses.neighbours import build_tree, nearest_in_tree


def surface(count: int, seed: int) -> torch.Tensor:
    """Points on a wavy sheet of 4 m, as dense in one corner as a near wall is in a depth image."""
    generator = torch.Generator().manual_seed(seed)
    xy = 4 * torch.rand((count, 2), generator=generator).square()
    return torch.cat([xy, 0.3 * torch.sin(3 * xy[:, :1])], dim=1)


def assert_exact(points: torch.Tensor, others: torch.Tensor, atol: float = 1e-6) -> None:
    truth, _ = cKDTree(others.double().numpy()).query(points.double().numpy())
    found = nearest(points, others)
    distance = (points.double() - others.double()[found]).norm(dim=1)
    assert torch.allclose(distance, torch.from_numpy(truth), atol=atol, rtol=1e-5)


@pytest.mark.parametrize("shift", [0.0, 0.05, 1.0, 30.0])
def test_they_are_exact_near_and_far(shift: float) -> None:
    others = surface(5000, 0)
    assert_exact(surface(4000, 1) + shift, others, atol=1e-6 * (1 + shift))


def test_one_point_far_from_all_others_is_found_too() -> None:
    points, others = surface(3000, 2), surface(3000, 3)
    points[17] = torch.tensor([-40.0, 25.0, 8.0])
    others[5] = torch.tensor([90.0, 0.0, 0.0])
    assert_exact(points, others, atol=1e-5)
    assert_exact(others, points, atol=1e-5)


def test_all_points_equally_far_are_searched_without_loss() -> None:
    # Around a sphere's centre every box is as near as any other: nothing can be left out.
    sphere = torch.nn.functional.normalize(torch.randn(2000, 3), dim=1)
    assert_exact(0.01 * torch.randn(500, 3), sphere)


@given(
    st.integers(1, 70), st.integers(1, 400), st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 9)
)
def test_any_counts_and_repeated_points(
    count: int, other_count: int, rounding: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn((count, 3), generator=generator)
    others = torch.randn((other_count, 3), generator=generator)
    if rounding > 0:  # many points in the same place
        others = (others / rounding).round() * rounding
    assert_exact(points, others)


def test_a_cloud_finds_itself_and_a_tree_serves_twice() -> None:
    points = surface(2500, 4)
    assert torch.equal(nearest(points, points), torch.arange(2500))
    tree = build_tree(points)
    assert torch.equal(nearest_in_tree(tree, tree), nearest_in_tree(tree, tree))
    assert tree.order.unique().numel() == 2500


def test_points_that_are_not_finite_harm_no_others() -> None:
    points, others = surface(500, 5), surface(600, 6)
    expected = nearest(points, others)
    points[3] = float("nan")
    found = nearest(points, others)
    fine = torch.arange(500) != 3
    assert torch.equal(found[fine], expected[fine])
    assert 0 <= int(found.min()) and int(found.max()) < 600
