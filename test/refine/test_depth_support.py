"""Depth that other keyframes confirm or contradict."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from e2e_slam_ros.config.support import SupportConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, KeyframeDecision
from e2e_slam_ros.data.keyframes import Keyframes, MappedKeyframe
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.refine.compared_depth import compared_depth
from e2e_slam_ros.refine.confirmed import confirmed
from e2e_slam_ros.refine.depth_support import DepthSupport, depth_support

CAMERA = PinholeCamera(width=160, height=120, fx=150.0, fy=150.0, cx=79.5, cy=59.5)
CONFIG = SupportConfig()


def seen(index: int, x_m: float = 0.0) -> Keyframe:
    pose = torch.eye(4, dtype=torch.float64)
    pose[0, 3] = x_m
    image, decision = torch.zeros(1, 3, 120, 160), KeyframeDecision(True, "first")
    return Keyframe(index, index, index, image, CAMERA, pose, None, decision)


def wall(depth_m: float, confidence: float | None = None) -> DepthEstimate:
    depth = torch.full((1, 1, 120, 160), depth_m)
    sure = None if confidence is None else torch.full_like(depth, confidence)
    return DepthEstimate(depth, sure, "network", "motion")


def memory(*depths: DepthEstimate) -> Keyframes:
    keyframes = Keyframes(capacity=20)
    for index, depth in enumerate(depths):
        keyframes.add(MappedKeyframe(seen(index, 0.1 * index), None, depth))
    return keyframes


def share_mapped(estimate: DepthEstimate, views: Keyframes, at: int = 9) -> float:
    result = confirmed(seen(at), estimate, views, CONFIG).own
    assert result.confidence is not None
    assert torch.equal(result.depth, estimate.depth)
    return float((result.confidence > 0).float().mean())


def support_of(depth: torch.Tensor, views: Keyframes) -> DepthSupport:
    compared = compared_depth(seen(9), depth, views.with_depth(seen(9), 9))
    assert compared is not None
    return depth_support(compared, CONFIG)


def test_what_other_keyframes_confirm_is_mapped() -> None:
    # Three steps of 10 cm before a wall at 2 m: all but a margin of 22 pixels is seen by two.
    assert share_mapped(wall(2.0), memory(wall(2.0), wall(2.0), wall(2.01))) > 0.85


@pytest.mark.parametrize("depth_m", [1.7, 1.9, 2.1, 2.3])
def test_what_most_of_them_contradict_is_not(depth_m: float) -> None:
    assert share_mapped(wall(depth_m), memory(wall(2.0), wall(2.0), wall(2.0))) < 0.05


def test_what_they_cannot_see_waits() -> None:
    behind = memory(wall(2.0), wall(2.0), wall(2.0))
    # Behind a wall at 2 m something at 4 m is hidden: it is neither confirmed nor contradicted.
    support = support_of(wall(4.0).depth, behind)
    assert int(support.seen.sum()) == 0
    assert not bool(support.beaten.any())
    assert share_mapped(wall(4.0), behind) == 0.0
    # Once later keyframes have come and do not contradict it either, it is mapped.
    assert share_mapped(wall(4.0), behind, at=0) == 1.0


def test_the_first_keyframes_are_mapped_as_they_are() -> None:
    estimate = wall(2.0)
    assert confirmed(seen(9), estimate, memory(), CONFIG).own is estimate
    assert confirmed(seen(9), estimate, memory(wall(3.0)), CONFIG).own is estimate


def test_of_two_depths_that_exclude_each_other_the_better_founded_one_stays() -> None:
    good, bad = wall(2.0, confidence=0.9), wall(2.1, confidence=0.2)
    # Confirmed by one of two and contradicted by the other one, which is sure.
    assert share_mapped(wall(2.1), memory(good, bad)) < 0.25
    assert share_mapped(wall(2.0), memory(good, bad)) > 0.85


def test_pixels_without_depth_count_for_nothing() -> None:
    hole = wall(2.0)
    hole.depth[..., 60:100] = 0.0
    assert int(support_of(wall(2.0).depth, memory(hole, hole)).seen[0, 0, 60, 80]) == 0
    assert int(support_of(hole.depth, memory(wall(2.0))).seen[0, 0, 60, 80]) == 0


def test_keyframes_of_another_camera_are_left_out() -> None:
    keyframes = memory(wall(2.0), wall(2.0), wall(2.0))
    small = CAMERA.resized(80, 60)
    other = replace(seen(9), image=torch.zeros(1, 3, 60, 80), camera=small)
    views = keyframes.with_depth(other, 9)
    assert compared_depth(other, torch.full((1, 1, 60, 80), 2.0), views) is None


def test_it_can_be_switched_off() -> None:
    estimate, views = wall(1.5), memory(wall(2.0), wall(2.0), wall(2.0))
    assert confirmed(seen(9), estimate, views, SupportConfig(enabled=False)).mean is estimate
