"""Labels from known motion: the wall's distance, nothing without motion."""

from __future__ import annotations

import torch

from e2e_slam_ros.config import DepthConfig, MotionConfig
from e2e_slam_ros.refine.labels import motion_labels
from e2e_slam_ros.refine.scale import align_scale
from refine.scene import WALL_M, keyframe


def test_labels_are_metric_and_give_a_network_its_scale() -> None:
    config = DepthConfig(motion=MotionConfig(width=64))
    labels = motion_labels(keyframe(), [keyframe(-0.2, 1), keyframe(0.2, 2)], config)
    assert labels is not None
    known = labels.depth > 0
    assert known.float().mean() > 0.3
    assert (labels.depth[known] / WALL_M - 1).abs().median() < 0.03
    found = align_scale(torch.full_like(labels.depth, 0.5), labels, 50)
    assert abs(found.scale / (WALL_M / 0.5) - 1) < 0.03


def test_no_labels_without_motion() -> None:
    assert motion_labels(keyframe(), [keyframe(0.001, 1)], DepthConfig()) is None
    assert motion_labels(keyframe(), [], DepthConfig()) is None
