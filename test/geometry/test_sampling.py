"""Sampling at pixel coordinates."""

from __future__ import annotations

import math

import pytest
import torch

from e2e_slam_ros.geometry.projection import pixel_grid
from e2e_slam_ros.geometry.sampling import inside, sample_bilinear, sample_nearest


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 7), (16, 32), (480, 640), (257, 513)])
def test_whole_pixels_are_exact(size: tuple[int, int]) -> None:
    image = torch.rand(1, 2, *size, generator=torch.manual_seed(0))
    uv = pixel_grid(*size)[None]
    assert torch.equal(sample_bilinear(image, uv), image)
    assert torch.equal(sample_nearest(image, uv), image)


def test_bilinear_reproduces_a_ramp_between_pixels() -> None:
    grid = pixel_grid(6, 9, dtype=torch.float64)
    image = (2.0 * grid[0] - 3.0 * grid[1] + 1.0)[None, None]
    uv = torch.rand(1, 2, 4, 5, dtype=torch.float64, generator=torch.manual_seed(1))
    uv = uv * torch.tensor([8.0, 5.0], dtype=torch.float64)[None, :, None, None]
    expected = 2.0 * uv[:, :1] - 3.0 * uv[:, 1:] + 1.0
    torch.testing.assert_close(sample_bilinear(image, uv), expected, rtol=0, atol=1e-12)


def test_nearest_keeps_type_and_values() -> None:
    image = torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.int16)
    uv = torch.tensor([[[[0.4, 0.6]], [[0.4, 0.9]]]])
    sampled = sample_nearest(image, uv)
    assert sampled.dtype == torch.int16 and sampled.flatten().tolist() == [1, 4]


def test_inside_is_between_the_outermost_centres() -> None:
    u = torch.tensor([0.0, 3.0, -1e-6, 3.000001, math.nan, math.inf])
    uv = torch.stack([u, torch.ones_like(u)])[None, :, None]
    assert inside(uv, 3, 4).flatten().tolist() == [True, True, False, False, False, False]


def test_derivatives() -> None:
    image = torch.rand(1, 2, 5, 6, dtype=torch.float64, generator=torch.manual_seed(2))
    uv = 0.3 + 3.1 * torch.rand(1, 2, 3, 3, dtype=torch.float64, generator=torch.manual_seed(3))
    image.requires_grad_()
    uv.requires_grad_()
    assert torch.autograd.gradcheck(sample_bilinear, (image, uv))
