"""Depth from motion: a wall, no motion, and a recorded room."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config, DepthConfig
from e2e_slam_ros.data.keyframe import Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import Keyframes, MappedKeyframe
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.multiview.motion_stereo import MotionStereoDepth
from e2e_slam_ros.multiview.plane_choice import best_plane
from multiview.recorded_room import map_room
from multiview.test_plane_sweep import view
from synthetic import pose

CPU = torch.device("cpu")


class Stereo:
    """Motion stereo with a memory that holds every keyframe it was asked for."""

    def __init__(self) -> None:
        self.source = MotionStereoDepth(DepthConfig(), CPU)
        self.memory = Keyframes(12)

    def estimate(self, keyframe: Keyframe) -> RawDepth:
        keyframe = dataclasses.replace(keyframe, index=self.memory.next_index)
        raw = self.source.estimate(keyframe, self.memory)
        self.memory.add(MappedKeyframe(keyframe))
        return raw


def test_a_wall_is_measured_in_metres() -> None:
    stereo = Stereo()
    for index in range(4):
        keyframe = view(index, pose(x=0.12 * index))
        estimate = stereo.estimate(keyframe)
    known = estimate.depth > 0
    assert known.float().mean() > 0.8
    assert (estimate.depth[known] - 2.0).abs().mean() < 0.03
    assert estimate.confidence is not None
    assert ((estimate.confidence > 0) == known).all() and estimate.confidence.max() <= 1.0
    assert (estimate.source, estimate.unit) == ("motion_stereo", "motion")


def test_metres_follow_the_poses() -> None:
    stereo = Stereo()
    for index in range(4):
        keyframe = view(index, pose(x=0.12 * index))
        halved = dataclasses.replace(keyframe, T_map_camera=pose(x=0.06 * index))
        estimate = stereo.estimate(halved)
    assert estimate.depth[estimate.depth > 0].median() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("turn", [0.0, 10.0])
def test_without_translation_nothing_is_claimed(turn: float) -> None:
    stereo = Stereo()
    for index in range(3):
        estimate = stereo.estimate(view(index, pose(yaw_deg=turn * index)))
        assert (estimate.depth == 0).all()
        assert estimate.confidence is not None and (estimate.confidence == 0).all()


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_images_without_texture_claim_nothing(grey: float) -> None:
    stereo = Stereo()
    for index in range(3):
        keyframe = view(index, pose(x=0.15 * index))
        flat = dataclasses.replace(keyframe, image=torch.full_like(keyframe.image, grey))
        estimate = stereo.estimate(flat)
        assert torch.isfinite(estimate.depth).all() and (estimate.depth == 0).all()


def test_a_change_of_size_and_a_reset_start_anew() -> None:
    stereo = Stereo()
    stereo.estimate(view(0, pose()))
    assert (stereo.estimate(view(1, pose(x=0.2))).depth > 0).any()
    cropped = view(2, pose(x=0.4))
    camera = dataclasses.replace(cropped.camera, width=160, height=60)
    small = dataclasses.replace(cropped, image=cropped.image[..., :60, :], camera=camera)
    assert (stereo.estimate(small).depth == 0).all()
    stereo.memory.clear()
    assert (stereo.estimate(view(3, pose(x=0.6))).depth == 0).all()


def test_the_parabola_finds_depth_between_planes() -> None:
    planes = torch.linspace(0.0, 1.0, 11)
    true = 0.537
    cost = (planes - true).square().view(-1, 1, 1).expand(-1, 2, 2)
    chosen, inverse = best_plane(cost, planes)
    assert (chosen == 5).all() and torch.allclose(inverse, torch.tensor(true), atol=1e-5)


def test_it_is_a_depth_source() -> None:
    assert isinstance(MotionStereoDepth(DepthConfig(), CPU), DepthSource)


def test_a_recorded_room_is_mapped_without_its_depth(shared_data: Path) -> None:
    config = Config().with_values({"depth.source": "motion_stereo"})
    errors, surfels = map_room(config, shared_data, range(60, 90))
    assert len(errors) > 5 and np.mean(errors) < 0.15
    assert surfels > 10_000
