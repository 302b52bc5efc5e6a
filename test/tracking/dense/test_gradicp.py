"""gradICP is differentiable end to end; its damping is smooth."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("cv2", reason="OpenCV is not installed")

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.projection import pixel_rays
from e2e_slam_ros.tracking.dense.gradicp import SmoothDamping, gradicp
from e2e_slam_ros.tracking.dense.view import DenseView
from tracking.dense.scene import depth, intrinsics, pose

SIZE = (12, 16)


def small(z: torch.Tensor) -> list[DenseView]:
    k = intrinsics()
    k[:2] *= 0.1
    k[2, 2] = 1.0
    return [DenseView.from_images(torch.zeros_like(z), z, k, 3)]


def small_depth(twist: tuple[float, ...]) -> torch.Tensor:
    k = intrinsics()
    k[:2] *= 0.1
    rays = pixel_rays(*SIZE, k).flatten(2)
    T = pose(twist)
    found = []
    for direction, distance in (
        ((0.1, 0.2, 1.0), 3.0),
        ((1.0, 0.0, 0.8), 2.4),
        ((0, 1.0, 0.7), 2),
    ):
        normal = torch.tensor([direction], dtype=torch.float64)
        normal = normal / normal.norm()
        z = (distance - normal @ T[:, :3, 3:]) / (normal @ T[:, :3, :3] @ rays)
        found.append(torch.where(z > 0, z, torch.inf))
    return torch.stack(found).amin(0).reshape(1, 1, *SIZE)


@pytest.fixture
def depths() -> tuple[torch.Tensor, torch.Tensor]:
    """Two views with some noise, so that no association lies on the border of two pixels."""
    generator = torch.Generator().manual_seed(3)
    made = []
    for twist in ((0.02, -0.01, 0.03, 0.01, -0.01, 0.005), (0.0,) * 6):
        z = small_depth(twist)
        noise = torch.randn(z.shape, generator=generator, dtype=z.dtype)
        made.append(z * (1.0 + 0.002 * noise))
    return made[0], made[1]


def twist_of(view: torch.Tensor, reference: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    T = gradicp(small(view), small(reference), se3.exp(start), steps=(3,))
    return se3.log(T)


def test_gradcheck_by_both_depths_and_the_start(
    depths: tuple[torch.Tensor, torch.Tensor],
) -> None:
    start = torch.tensor([[0.003, 0.002, -0.004, 0.002, 0.001, -0.003]], dtype=torch.float64)
    inputs = [one.clone().requires_grad_() for one in (*depths, start)]
    limits = {"eps": 1e-7, "atol": 1e-6, "rtol": 1e-4}
    # All 390 inputs at once along random directions, and the start's six one by one.
    assert torch.autograd.gradcheck(twist_of, inputs, fast_mode=True, **limits)
    assert torch.autograd.gradcheck(lambda x: twist_of(*depths, x), inputs[2:], **limits)


def test_depth_learns_from_a_pose(depths: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Depth that is 3 % off gives a wrong pose; descending the pose's error mends it."""
    view, reference = depths
    true = se3.exp(twist_of(view, reference, torch.zeros(1, 6, dtype=torch.float64)))
    scale = torch.tensor(1.03, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([scale], lr=0.005)
    errors = []
    for _ in range(30):
        T = gradicp(small(view * scale), small(reference), torch.eye(4).double()[None])
        error = se3.log(se3.inverse(true) @ T).square().sum()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(error.item())
    assert abs(scale.item() - 1.0) < 0.005 and errors[-1] < 0.05 * errors[0]


def test_damping_rises_and_the_step_fades_with_the_error() -> None:
    rule = SmoothDamping()
    change = torch.linspace(-1.0, 4.0, 101, dtype=torch.float64, requires_grad=True)
    damping, share = rule.damping(change), rule.share(change)
    assert bool((damping.diff() >= 0).all()) and bool((share.diff() <= 0).all())
    assert rule.low <= damping.min().item() and damping.max().item() <= rule.high + 1e-9
    assert share[0].item() > 0.99 and share[-1].item() < 0.01
    assert torch.autograd.gradcheck(rule.damping, change)
    assert torch.autograd.gradcheck(rule.share, change)


def test_a_step_that_would_raise_the_error_is_hardly_taken() -> None:
    """A start so far off that nothing fits: the pose stays, and is finite."""
    z = depth(pose((0.0,) * 6))
    view = [DenseView.from_images(torch.zeros_like(z), z, intrinsics())]
    away = pose((0.0, 0.0, 0.0, 0.0, 3.0, 0.0))
    T = gradicp(view, view, away)
    assert bool(torch.isfinite(T).all())
