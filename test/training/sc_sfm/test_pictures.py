"""The sheet of pictures: what lies where."""

from __future__ import annotations

import torch

from e2e_slam_ros.training.sc_sfm.pictures import sheet
from training.conftest import SIZE, wall_batch


def test_a_sheet_shows_image_depth_and_label_beside_one_another() -> None:
    batch = wall_batch(6, 0)
    depth = torch.full((6, 1, SIZE, SIZE), 10.0)
    picture = sheet(batch, depth)
    assert picture.shape == (3, 4 * SIZE, 3 * SIZE)
    assert torch.equal(picture[:, :SIZE, :SIZE], batch.image[0])
    assert picture[:, :, SIZE : 2 * SIZE].max() < 1e-5  # far is black
    assert picture[:, :SIZE, 2 * SIZE :].min() > 0.1
    unknown = sheet(batch, torch.zeros_like(depth))[:, :, SIZE : 2 * SIZE]
    assert not unknown.any()
