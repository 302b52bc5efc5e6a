"""Texture against closed forms."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.evaluation.depth.texture import TEXTURE_THRESHOLD, gradient_strength, is_textured


def test_a_plain_image_has_no_texture() -> None:
    assert float(gradient_strength(torch.full((1, 3, 20, 30), 0.7)).max()) < 1e-6
    assert not is_textured(torch.full((1, 3, 20, 30), 0.7)).any()


def test_a_ramp_has_its_slope_and_direction_does_not_matter() -> None:
    ramp = torch.arange(30.0) * 0.03
    across = ramp.expand(1, 3, 30, 30)
    inner = gradient_strength(across)[..., 4:-4, 4:-4]
    assert torch.allclose(inner, torch.full_like(inner, 0.03), atol=1e-6)
    down = gradient_strength(across.transpose(2, 3))
    assert torch.allclose(down, gradient_strength(across).transpose(2, 3), atol=1e-6)


@pytest.mark.parametrize(("slope", "textured"), [(0.9, False), (1.1, True)])
def test_the_threshold_is_a_slope_in_grey_per_pixel(slope: float, textured: bool) -> None:
    image = (torch.arange(40.0) * slope * TEXTURE_THRESHOLD).expand(1, 3, 40, 40)
    assert bool((is_textured(image)[..., 4:-4, 4:-4] == textured).all())


def test_texture_is_local() -> None:
    image = torch.full((1, 3, 40, 60), 0.5)
    image[..., 30:] = torch.rand(1, 3, 40, 30)
    found = is_textured(image)
    assert found.shape == (1, 1, 40, 60)
    assert not found[..., :26].any()
    assert found[..., 30:].all()
