"""What of a keyframe's depth goes into the map."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, KeyframeDecision
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.slam.mapped_view import MappedView

CAMERA = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)


def mapped(max_sigma: float, pose_sigma: float | None = 0.0) -> DepthEstimate:
    depth = torch.full((1, 1, 6, 8), 2.0)
    sigma = torch.full_like(depth, 0.05)
    sigma[..., :2] = 0.3
    pose, decision = torch.eye(4, dtype=torch.float64), KeyframeDecision(True, "first")
    keyframe = Keyframe(0, 0, 0, torch.zeros(1, 3, 6, 8), CAMERA, pose, None, decision)
    estimate = DepthEstimate(depth, None, "network", "motion", sigma, pose_sigma)
    return MappedView(4, max_sigma)(keyframe, estimate)[1]


def test_depth_that_is_too_uncertain_is_left_out_where_a_limit_is_set() -> None:
    assert mapped(0.0).confidence is None
    confidence = mapped(0.1).confidence
    assert confidence is not None
    assert (confidence[..., :1] == 0).all() and (confidence[..., 1:] == 1).all()


def test_depth_of_the_network_alone_is_mapped_all_the_same() -> None:
    assert mapped(0.1, pose_sigma=None).confidence is None


@pytest.mark.parametrize(("pose_sigma", "kept"), [(0.0, False), (0.2, False), (0.3, True)])
def test_errors_of_poses_are_no_reason_to_leave_pixels_out(pose_sigma: float, kept: bool) -> None:
    confidence = mapped(0.1, pose_sigma).confidence
    assert confidence is not None
    assert bool((confidence[..., :1] > 0).all()) == kept


def test_the_deviation_is_reduced_with_the_depth() -> None:
    sigma = mapped(0.0).sigma
    assert sigma is not None and sigma.shape == (1, 1, 3, 4)
