"""Depth moved into another camera, against OpenCV's own and against a plane."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.geometry.lens_model import LensModel
from e2e_slam_ros.geometry.registration import DepthRegistration

DEPTH = LensModel(320, 240, 200.0, 201.0, 158.0, 121.0)
COLOUR = LensModel(640, 480, 520.0, 521.0, 322.0, 238.0, "plumb_bob", (0.1, -0.2, 0.001, -0.002))
MOUNT = np.eye(4)
MOUNT[:3, :3] = Rotation.from_euler("yx", [1.5, -0.7], degrees=True).as_matrix()
MOUNT[:3, 3] = [0.025, 0.001, -0.003]


def plane_depth(lens: LensModel, T_lens_depth: np.ndarray) -> np.ndarray:
    """z of a slanted plane, seen by a camera with its distortion."""
    normal, distance = np.array([0.3, -0.1, 1.0]), 2.0
    rotation, shift = T_lens_depth[:3, :3], T_lens_depth[:3, 3]
    v, u = np.indices((lens.height, lens.width), dtype=np.float64)
    rays = lens.rays(np.stack([u, v], -1).reshape(-1, 2))
    moved = rotation @ normal
    z = (distance + moved @ shift) / (rays @ moved)
    return z.reshape(lens.height, lens.width).astype(np.float32)


def test_a_plane_has_the_depth_that_the_colour_camera_would_measure() -> None:
    registered = DepthRegistration(DEPTH, COLOUR, MOUNT)(plane_depth(DEPTH, np.eye(4)))
    truth = plane_depth(COLOUR, MOUNT)
    seen = registered > 0
    assert seen.mean() > 0.85  # the depth camera sees less at the left edge
    error = np.abs(registered - truth)[seen] / truth[seen]
    assert np.median(error) < 0.002 and np.quantile(error, 0.99) < 0.006
    inner = seen[60:-60, 120:-60]
    assert inner.mean() > 0.99, "holes inside"  # between squares of unequal depth


@pytest.mark.skipif(not hasattr(cv2, "registerDepth"), reason="this OpenCV has no registerDepth")
def test_it_agrees_with_opencv() -> None:
    depth = plane_depth(DEPTH, np.eye(4))
    depth[100:150, 100:160] = 0.8
    same = LensModel(320, 240, 200.0, 200.0, 160.0, 120.0)
    theirs = np.nan_to_num(
        cv2.registerDepth(same.matrix, same.matrix, np.zeros(5), MOUNT, depth, (320, 240))
    )
    ours = DepthRegistration(same, same, MOUNT)(depth)
    both = (ours > 0) & (theirs > 0)
    assert both.mean() > 0.8
    assert np.quantile(np.abs(ours - theirs)[both] / theirs[both], 0.97) < 0.01


def test_what_is_near_hides_what_is_far() -> None:
    depth = np.full((240, 320), 3.0, dtype=np.float32)
    depth[:, 150:170] = 0.5
    moved = np.eye(4)
    moved[0, 3] = 0.1
    row = DepthRegistration(DEPTH, DEPTH, moved)(depth)[120]
    # 0.1 m to the right: near pixels move by 40, far ones by 6.7.
    assert (np.abs(row[190:209] - 0.5) < 1e-6).all()
    assert row[100] == 3.0 and row[165] == 0.0


def test_another_size_is_refused_and_no_depth_gives_none() -> None:
    registration = DepthRegistration(DEPTH, COLOUR, MOUNT)
    with pytest.raises(DepthError, match="10x10 pixels, expected 320x240"):
        registration(np.ones((10, 10), np.float32))
    assert not registration(np.zeros((240, 320), np.float32)).any()
    assert not registration(np.full((240, 320), np.nan, np.float32)).any()
