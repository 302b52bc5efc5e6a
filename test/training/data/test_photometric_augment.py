"""Light and colour change alike in both views; noise does not."""

from __future__ import annotations

import torch

from e2e_slam_ros.training.data.config import AugmentConfig
from e2e_slam_ros.training.data.photometric_augment import change_colors


def none() -> AugmentConfig:
    return AugmentConfig(
        brightness=0.0, contrast=0.0, gamma=0.0, saturation=0.0, white_balance=0.0,
        color_mix=0.0, grey_share=0.0, blur_share=0.0, noise_share=0.0,
    )  # fmt: skip


def twice(seed: int = 0) -> torch.Tensor:
    image = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(seed))
    return image.repeat(2, 1, 1, 1)


def test_without_ranges_nothing_changes() -> None:
    images = twice() * 0.9 + 0.05
    torch.testing.assert_close(change_colors(images, none(), torch.Generator()), images)


def test_equal_views_stay_equal_without_noise() -> None:
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        changed = change_colors(twice(), AugmentConfig(noise_share=0.0), generator)
        assert torch.equal(changed[0], changed[1])
        assert 0.0 <= float(changed.min()) and float(changed.max()) <= 1.0


def test_noise_is_not_the_same_in_both_views() -> None:
    config = AugmentConfig(noise_share=1.0, noise=0.05)
    changed = change_colors(twice(), config, torch.Generator().manual_seed(1))
    assert not torch.equal(changed[0], changed[1])


def test_grey_share_takes_all_colour() -> None:
    config = AugmentConfig(grey_share=1.0, white_balance=0.0, color_mix=0.0, noise_share=0.0)
    changed = change_colors(twice(), config, torch.Generator().manual_seed(2))
    torch.testing.assert_close(changed[:, 0], changed[:, 1])
    torch.testing.assert_close(changed[:, 1], changed[:, 2])


def test_blur_keeps_a_flat_image_flat() -> None:
    flat = torch.full((1, 3, 16, 16), 0.5)
    config = AugmentConfig(blur_share=1.0, blur_px=2.0, noise_share=0.0)
    changed = change_colors(flat, config, torch.Generator().manual_seed(5))
    spread = changed.amax((-1, -2)) - changed.amin((-1, -2))
    assert float(spread.max()) < 1e-5
