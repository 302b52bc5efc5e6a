"""The photometric loss: means over what is seen, the best source, the stationary mask."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.geometry.warp import Warp, inverse_warp
from e2e_slam_ros.losses.photometric import (
    PhotometricWeights,
    photometric_error,
    photometric_loss,
)
from e2e_slam_ros.losses.ssim import ssim
from losses.views import as_warp, textured
from synthetic import CAMERA, pose, wall_depth

ABSOLUTE = PhotometricWeights(ssim=0.0, absolute=1.0)


def left_half(image: torch.Tensor) -> torch.Tensor:
    mask = torch.zeros_like(image[:, :1], dtype=torch.bool)
    mask[..., : image.shape[-1] // 2] = True
    return mask


def wall_seen_twice() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images of a striped wall 2 m away, the second from 0.2 m to the right: 6 pixels apart."""
    u = torch.arange(64.0, dtype=torch.float64).expand(1, 3, 48, 64)
    target, source = (0.5 + 0.3 * torch.sin(0.4 * (u + shift)) for shift in (0.0, 6.0))
    return target, source, pose(x=-0.2)[None]


def test_it_is_the_weighted_sum_of_ssim_and_difference() -> None:
    target, image = textured(0), textured(1)
    expected = 0.85 * 0.5 * (1 - ssim(target, image)).mean() + 0.15 * (target - image).abs().mean()
    result = photometric_loss(target, [as_warp(image)])
    assert result.loss.item() == pytest.approx(expected.item())
    assert float(result.valid_share) == 1.0 and bool(result.enough)
    assert photometric_loss(target, [as_warp(target)]).loss.item() == pytest.approx(0, abs=1e-9)


def test_the_best_source_of_each_pixel_counts_where_it_sees_the_pixel() -> None:
    target = textured()
    mask = left_half(target)
    warps = [as_warp(target + 0.1, mask), as_warp(target + 0.2)]
    result = photometric_loss(target, warps, weights=ABSOLUTE)
    # Whole windows: the eighth column's window reaches into what the first source does not see.
    assert torch.allclose(result.error[..., :7], torch.tensor(0.1).double())
    assert torch.allclose(result.error[..., 7:], torch.tensor(0.2).double())
    assert float(result.in_view_share) == 1.0


def test_pushing_pixels_out_of_view_does_not_lower_the_loss() -> None:
    # Defect 5: a masked error averaged over all pixels halves when half of them leave the image.
    target = textured()
    image = target + 0.1
    everything = photometric_loss(target, [as_warp(image)], weights=ABSOLUTE)
    half = photometric_loss(target, [as_warp(image, left_half(target))], weights=ABSOLUTE)
    assert half.loss.item() == pytest.approx(everything.loss.item())
    assert float(half.valid_share) == pytest.approx(7 / 16)
    defective = half.error.mean()
    assert defective < 0.5 * everything.loss


@pytest.mark.parametrize("with_sources", [False, True])
def test_not_even_when_the_worst_pixels_leave(with_sources: bool) -> None:
    target = textured()
    mask = left_half(target)
    image = target + torch.where(mask, 0.01, 0.15)
    sources = [textured(7)] if with_sources else None
    first = photometric_loss(target, [as_warp(image)], sources)
    lost = photometric_loss(target, [as_warp(image, mask)], sources, domain=first.counted)
    assert lost.loss > first.loss  # each lost pixel costs what not warping costs
    assert lost.valid_share < first.valid_share
    again = photometric_loss(target, [as_warp(image)], sources, domain=first.counted)
    assert again.loss.item() == pytest.approx(first.loss.item())


def test_shrinking_the_depth_until_the_view_is_empty_does_not_pay() -> None:
    # Defect 5 through the real warp: too little depth throws pixels out of the source image.
    noise = torch.rand((1, 3, 48, 70), dtype=torch.float64)
    target, source, T_source_target = noise[..., :64], noise[..., 6:], pose(x=-0.2)[None]
    k, depth = CAMERA.matrix(dtype=torch.float64), wall_depth(pose()).double()

    def warped(factor: float) -> Warp:
        return inverse_warp(source, depth * factor, T_source_target, k, k)

    for sources in (None, [source]):
        first = photometric_loss(target, [warped(0.5)], sources)
        shrunk = [
            photometric_loss(target, [warped(f)], sources, domain=first.counted)
            for f in (0.3, 0.15, 0.11)
        ]
        assert all(result.loss > first.loss for result in shrunk)
        assert shrunk[-1].in_view_share < 0.3 < first.in_view_share
    defective = [photometric_loss(target, [warped(f)]).error.mean() for f in (0.5, 0.11)]
    assert defective[1] < 0.5 * defective[0]


def test_what_stands_still_does_not_count() -> None:
    target = textured()
    source = torch.where(left_half(target), target, textured(3))  # left half: nothing moved
    result = photometric_loss(target, [as_warp(target + 0.01)], [source])
    assert not bool(result.counted[..., :7].any())
    assert bool(result.counted[..., 9:].all())
    assert float(result.valid_share) == pytest.approx(0.5, abs=0.07)


def test_too_few_pixels_are_signalled() -> None:
    target = textured()
    few = torch.zeros_like(target[:, :1], dtype=torch.bool)
    few[..., :4, :4] = True  # nine whole windows in the corner's reflection
    result = photometric_loss(target, [as_warp(target, few)], min_valid_share=0.1)
    assert not bool(result.enough) and 0 < float(result.valid_share) < 0.1
    assert bool(photometric_loss(target, [as_warp(target, few)], min_valid_share=0.01).enough)


def test_pixel_weights_come_from_the_chosen_source() -> None:
    target = textured()
    one = torch.ones_like(target[:, :1])
    warps = [as_warp(target + 0.1), as_warp(target + 0.3)]
    weighted = photometric_loss(
        target, warps, weights=ABSOLUTE, pixel_weights=[0.5 * one, 0.01 * one]
    )
    assert weighted.loss.item() == pytest.approx(0.05)


def test_gradients_are_exact_and_end_at_the_mask() -> None:
    target = textured(0, 6, 8)
    mask = left_half(target)
    image = textured(1, 6, 8).requires_grad_()

    def loss(x: torch.Tensor) -> torch.Tensor:
        return photometric_loss(target, [as_warp(x, mask), as_warp(x * 0.9)], [x * 0]).loss

    assert torch.autograd.gradcheck(loss, image)
    (gradient,) = torch.autograd.grad(photometric_loss(target, [as_warp(image, mask)]).loss, image)
    assert float(gradient[..., 4:].abs().max()) == 0.0 < float(gradient[..., :4].abs().max())


def test_the_true_depth_costs_least() -> None:
    target, source, T_source_target = wall_seen_twice()
    k, depth = CAMERA.matrix(dtype=torch.float64), wall_depth(pose()).double()
    losses = [
        photometric_loss(
            target, [inverse_warp(source, depth * f, T_source_target, k, k)], [source]
        ).loss.item()
        for f in (0.8, 0.9, 1.0, 1.1, 1.25)
    ]
    assert losses[2] < 1e-6 and sorted(losses[:3], reverse=True) == losses[:3]
    assert sorted(losses[2:]) == losses[2:]
    assert photometric_error(target, target, PhotometricWeights()).max() < 1e-9
