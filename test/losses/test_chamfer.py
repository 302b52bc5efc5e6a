"""Point cloud distance."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial import cKDTree

from e2e_slam_ros.losses.chamfer import chamfer, nearest


def cloud(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((count, 3), generator=generator, dtype=torch.float64)


def test_neighbours_are_exact_far_from_the_origin_in_single_precision() -> None:
    points, others = cloud(3000, 0) + 100.0, cloud(2500, 1) + 100.0
    distance, _ = cKDTree(others.numpy()).query(points.numpy())
    found = nearest(points.float(), others.float())
    assert torch.allclose(
        (points - others[found]).norm(dim=1), torch.from_numpy(distance), atol=1e-5
    )


def test_a_shift_of_a_sparse_cloud_costs_twice_its_square() -> None:
    grid = torch.cartesian_prod(*[torch.arange(4.0)] * 3)
    shifted = grid + torch.tensor([0.1, 0.0, 0.0])
    assert chamfer(shifted, grid) == pytest.approx(2 * 0.01, rel=1e-5)
    assert chamfer(grid, grid) == 0.0


def test_it_is_symmetric() -> None:
    # The published code had one direction only: a cloud that covers half the map cost nothing.
    a, b = cloud(50, 2), cloud(70, 3)
    assert chamfer(a, b) == pytest.approx(float(chamfer(b, a)))
    half, whole = torch.zeros(1, 3), torch.tensor([[0.0, 0, 0], [2.0, 0, 0]])
    assert chamfer(half, whole) == pytest.approx(2.0)


def test_gradients_reach_the_local_cloud() -> None:
    local = cloud(20, 4).requires_grad_()
    reference = cloud(30, 5)
    assert torch.autograd.gradcheck(lambda x: chamfer(x, reference), local)


def test_the_gradient_is_twice_the_step_to_the_neighbour() -> None:
    local = torch.tensor([[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]], requires_grad=True)
    reference = torch.tensor([[0.1, 0.0, 0.0], [5.0, 0.2, 0.0]])
    chamfer(local, reference).backward()
    # d/dx of ((x - y)^2 / 2 + (y - x)^2 / 2) = 2 (x - y)
    expected = torch.tensor([[-0.2, 0.0, 0.0], [0.0, -0.4, 0.0]])
    assert local.grad is not None and torch.allclose(local.grad, expected)


def test_what_is_beyond_the_limit_costs_the_limit_and_pulls_nothing() -> None:
    local = torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]], requires_grad=True)
    reference = torch.tensor([[0.1, 0.0, 0.0]])
    loss = chamfer(local, reference, limit_m=0.5)
    loss.backward()
    assert loss.item() == pytest.approx((0.01 + 0.25) / 2 + 0.01, rel=1e-5)
    assert local.grad is not None and float(local.grad[1].abs().max()) == 0.0
    farther = torch.tensor([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]])
    assert chamfer(farther, reference, limit_m=0.5) == pytest.approx(loss.item())


@pytest.mark.parametrize(("locals_", "references"), [(0, 5), (5, 0), (0, 0)])
def test_an_empty_cloud_costs_nothing_and_keeps_the_graph(locals_: int, references: int) -> None:
    local = torch.zeros(locals_, 3, requires_grad=True)
    reference = cloud(references, 6).float()
    loss = chamfer(local, reference)
    loss.backward()
    assert loss.item() == 0.0
    assert local.grad is not None and float(local.grad.abs().sum()) == 0.0
    if locals_ == 0 and references > 0:
        assert nearest(local, reference).numel() == 0
