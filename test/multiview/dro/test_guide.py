"""The depth that the optimiser starts from."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.multiview.dro.guide import depth_guide


def test_the_single_image_takes_the_scale_of_motion_stereo() -> None:
    true = 1.0 + 2.0 * torch.rand(2, 1, 24, 32)
    weight = (torch.rand(2, 1, 24, 32) > 0.5).float()
    factor = torch.tensor([0.6, 1.3]).view(2, 1, 1, 1)
    guide, found = depth_guide(factor * true, true, weight)
    assert torch.allclose(found * factor.flatten(), torch.ones(2), atol=0.01)
    assert torch.allclose(guide.start, true, rtol=0.01)


def test_a_third_of_wrong_stereo_does_not_move_the_scale() -> None:
    true = torch.full((1, 1, 24, 32), 2.0)
    stereo = true.clone()
    stereo[..., :10] = 0.5
    _, found = depth_guide(true, stereo, torch.ones_like(true))
    assert float(found) == pytest.approx(1.0, abs=0.01)


def test_without_stereo_the_single_image_stands() -> None:
    single = 1.0 + torch.rand(1, 1, 24, 32)
    guide, found = depth_guide(single, torch.zeros_like(single), torch.zeros_like(single))
    assert float(found) == 1.0 and torch.allclose(guide.start, single, rtol=1e-5)


def test_unknown_stereo_may_hold_anything() -> None:
    single = torch.ones(1, 1, 24, 32)
    weight = torch.zeros_like(single)
    weight[..., 16:] = 1.0
    stereo = torch.where(weight > 0, 2.0 * single, torch.full_like(single, torch.nan))
    guide, found = depth_guide(single, stereo, weight)
    assert float(found) == pytest.approx(2.0, rel=0.01) and guide.start.isfinite().all()
