"""From recorded arrays to working tensors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import CameraConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry.projection import backproject
from e2e_slam_ros.geometry.resize import resize_depth, working_size
from e2e_slam_ros.slam.preprocess import Preprocessor, clean_depth
from synthetic import CAMERA, frame, pose

CPU = torch.device("cpu")


def preprocessor(**values: object) -> Preprocessor:
    return Preprocessor(dataclasses.replace(CameraConfig(), **values), CPU)  # type: ignore[arg-type]


def test_size_and_intrinsics_follow_the_working_width() -> None:
    working = preprocessor(working_width=32)(frame(0, pose()))
    assert working.image.shape == (1, 3, 24, 32)
    assert working.depth is not None and working.depth.shape == (1, 1, 24, 32)
    assert working.camera == CAMERA.resized(32, 24)


def test_images_are_never_enlarged() -> None:
    assert working_size(CAMERA, 320) == (64, 48) == working_size(CAMERA, 0)


def test_a_reduced_wall_stays_where_it_is() -> None:
    # The wall is slanted, so a shift of the sampling grid by half a pixel would show.
    T = pose(yaw_deg=30.0)
    working = preprocessor(working_width=32)(frame(0, T))
    assert working.depth is not None
    points = backproject(working.depth, working.camera.matrix())[0].reshape(3, -1).double()
    z = (T[:3, :3] @ points + T[:3, 3:])[2]
    assert (z - 2.0).abs().max() < 2e-3


def test_reduction_invents_no_depth_between_two_surfaces() -> None:
    depth = torch.full((1, 1, 48, 64), 1.0)
    depth[..., 31:] = 3.0
    depth[..., 10:20, 5:9] = 0.0
    small = resize_depth(depth, 32, 24)
    assert set(small.unique().tolist()) <= {0.0, 1.0, 3.0}


def test_depth_that_is_no_distance_becomes_invalid() -> None:
    depth = torch.tensor([1.0, 0.0, -2.0, float("nan"), float("inf")])
    assert clean_depth(depth).tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_depth_of_another_size_is_refused() -> None:
    good = frame(0, pose())
    bad = dataclasses.replace(good, depth=np.ones((24, 32), np.float32))
    with pytest.raises(DepthError, match="got 32x24, expected 64x48"):
        preprocessor()(bad)


def test_distortion_is_removed_once_and_only_when_asked() -> None:
    camera = dataclasses.replace(CAMERA, distortion=(0.2, 0.0, 0.0, 0.0, 0.0))
    distorted = dataclasses.replace(frame(0, pose()), camera=camera)
    on, off = preprocessor()(distorted), preprocessor(undistort=False)(distorted)
    assert not on.camera.is_distorted and not off.camera.is_distorted
    assert (on.image - off.image).abs().mean() > 0.01


def test_read_only_buffers_are_copied() -> None:
    image = frame(0, pose()).image
    image.setflags(write=False)
    made = Frame(0, 0, image, CAMERA)
    tensor = preprocessor()(made).image
    assert tensor.max() <= 1.0 and tensor.shape == (1, 3, 48, 64)
