"""The cost map (eq. 1-2): zero at the truth, and nothing where views do not overlap."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.warp import inverse_warp
from e2e_slam_ros.multiview.dro.cost_map import cost_map
from multiview.test_plane_sweep import CAMERA, view
from synthetic import pose

K = torch.tensor([[32.0, 0.0, 15.5], [0.0, 32.0, 11.5], [0.0, 0.0, 1.0]])


def k_of(views: int) -> torch.Tensor:
    return K.expand(1, views, 3, 3)


def shifted_wall() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features of a wall at 2 m and of a camera 0.25 m to the right: exactly 4 pixels apart."""
    wide = torch.randn(1, 8, 24, 40)
    features = torch.stack([wide[..., 4:36], wide[..., 8:]], 1)
    T_i_0 = torch.eye(4).view(1, 1, 4, 4).clone()
    T_i_0[..., 0, 3] = -0.25
    return features, torch.full((1, 1, 24, 32), 2.0), T_i_0


def test_identity_costs_nothing_at_any_depth() -> None:
    features = torch.randn(1, 1, 8, 24, 32).expand(1, 3, 8, 24, 32)
    depth = 0.5 + 5.0 * torch.rand(1, 4, 24, 32)
    costs = cost_map(features, depth, torch.eye(4).expand(1, 2, 4, 4), k_of(3))
    assert costs.inside.all() and costs.cost.abs().max() < 1e-4


def test_zero_at_the_truth_of_noise_free_views_and_above_elsewhere() -> None:
    features, depth, T_i_0 = shifted_wall()
    there = cost_map(features, depth, T_i_0, k_of(2))
    assert (there.inside[..., 4:] == 1).all() and (there.inside[..., :3] == 0).all()
    assert there.cost.max() < 1e-4
    for factor in (0.8, 1.25):
        wrong = cost_map(features, factor * depth, T_i_0, k_of(2))
        assert wrong.cost[..., 6:].mean() > 1.0


def test_several_depths_are_those_one_by_one() -> None:
    features, depth, T_i_0 = shifted_wall()
    candidates = torch.cat([0.7 * depth, depth, 1.6 * depth], 1)
    together = cost_map(features, candidates, T_i_0, k_of(2))
    for number in range(3):
        alone = cost_map(features, candidates[:, number : number + 1], T_i_0, k_of(2))
        assert torch.equal(together.cost[:, :, number], alone.cost[:, :, 0])


def test_it_is_the_distance_of_warped_features() -> None:
    torch.manual_seed(3)
    features = torch.rand(1, 2, 8, 24, 32)
    depth = 1.5 + torch.rand(1, 1, 24, 32)
    T_i_0 = torch.linalg.inv(pose(x=0.2, y=0.05, z=0.1, yaw_deg=3.0)).float()
    costs = cost_map(features, depth, T_i_0.view(1, 1, 4, 4), k_of(2))
    warp = inverse_warp(features[:, 1], depth, T_i_0, K, K)
    expected = (warp.image - features[:, 0]).norm(dim=1)
    both = warp.valid[:, 0]
    assert both.float().mean() > 0.7
    assert torch.allclose(costs.cost[0, 0, 0][both[0]], expected[0][both[0]], atol=1e-4)


def test_the_mean_leaves_out_neighbours_that_do_not_see_the_point() -> None:
    features, depth, T_i_0 = shifted_wall()
    turned = torch.linalg.inv(pose(yaw_deg=180.0)).float().view(1, 1, 4, 4)
    three = torch.cat([features, torch.randn(1, 1, 8, 24, 32)], 1)
    costs = cost_map(three, depth, torch.cat([T_i_0, turned], 1), k_of(3))
    mean, seen = costs.mean()
    alone, _ = cost_map(features, depth, T_i_0, k_of(2)).mean()
    assert torch.equal(mean, alone)
    assert seen.max() == 0.5 and (seen[..., :3] == 0).all()


def test_views_without_overlap_say_nothing_and_stay_finite() -> None:
    features = torch.randn(1, 2, 8, 24, 32, requires_grad=True)
    behind = torch.linalg.inv(pose(x=50.0, yaw_deg=180.0)).float().view(1, 1, 4, 4)
    costs = cost_map(features, torch.full((1, 2, 24, 32), 2.0), behind, k_of(2))
    mean, seen = costs.mean()
    assert (mean == 0).all() and (seen == 0).all() and costs.parallax().isfinite().all()
    mean.sum().backward()
    assert features.grad is not None and features.grad.isfinite().all()


def test_the_gradient_is_finite_where_the_cost_is_zero() -> None:
    features = torch.zeros(1, 2, 8, 24, 32, requires_grad=True)
    _, depth, T_i_0 = shifted_wall()
    cost_map(features, depth, T_i_0, k_of(2)).cost.sum().backward()
    assert features.grad is not None and features.grad.isfinite().all()


def test_a_rendered_wall_costs_least_at_its_depth() -> None:
    views = [view(0, pose()), view(1, pose(x=0.3, y=0.05, yaw_deg=3.0))]
    features = torch.stack([item.image[0] for item in views])[None]
    T = torch.linalg.inv(views[1].T_map_camera) @ views[0].T_map_camera
    depth = views[0].sensor_depth
    assert depth is not None
    candidates = torch.cat([factor * depth for factor in (0.8, 0.9, 1.0, 1.1, 1.25)], 1)
    k = CAMERA.matrix().expand(1, 2, 3, 3)
    mean, seen = cost_map(features, candidates, T.float().view(1, 1, 4, 4), k).mean()
    both = (seen > 0).all(1, keepdim=True).expand_as(mean)
    costs = [float(mean[:, i][both[:, i]].mean()) for i in range(5)]
    assert min(costs) == costs[2] and costs[2] < 0.3 * min(costs[:2] + costs[3:])
