"""Structural similarity."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.losses.ssim import ssim
from losses.views import textured

C1, C2 = 0.01**2, 0.03**2


def test_an_image_is_like_itself() -> None:
    assert torch.allclose(ssim(textured(), textured()), torch.ones(1).double(), atol=1e-9)


def test_two_constants_differ_in_the_mean_only() -> None:
    a, b = torch.full((1, 3, 5, 6), 0.2), torch.full((1, 3, 5, 6), 0.7)
    expected = (2 * 0.2 * 0.7 + C1) / (0.2**2 + 0.7**2 + C1)
    assert torch.allclose(ssim(a, b), torch.tensor(expected), atol=1e-4)


def test_the_middle_of_one_window_follows_the_formula() -> None:
    x, y = textured(1, 3, 3), textured(2, 3, 3)
    mx, my = x.mean((2, 3)), y.mean((2, 3))
    vx, vy = x.var((2, 3), correction=0), y.var((2, 3), correction=0)
    cov = ((x - mx[..., None, None]) * (y - my[..., None, None])).mean((2, 3))
    expected = (2 * mx * my + C1) * (2 * cov + C2) / ((mx**2 + my**2 + C1) * (vx + vy + C2))
    assert torch.allclose(ssim(x, y)[..., 1, 1], expected)


def test_a_negative_is_unlike() -> None:
    image = textured(3)
    assert float(ssim(image, 1 - image).mean()) < -0.8


@pytest.mark.parametrize("size", [(2, 2), (4, 5)])
def test_gradients_are_exact(size: tuple[int, int]) -> None:
    x, y = textured(4, *size).requires_grad_(), textured(5, *size).requires_grad_()
    assert torch.autograd.gradcheck(ssim, (x, y))
