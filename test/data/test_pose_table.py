"""Poses in little memory."""

from __future__ import annotations

import sys

import pytest
import torch

from e2e_slam_ros.data.pose_table import PoseTable


def at(x: float) -> torch.Tensor:
    pose = torch.eye(4, dtype=torch.float64)
    pose[0, 3] = x
    return pose


def test_many_poses_stay_as_they_were_and_copies_are_given() -> None:
    poses = PoseTable()
    for index in range(5, 205):
        poses.add(index, at(index))
    assert list(poses) == list(range(5, 205)) and len(poses) == 200
    assert [float(pose[0, 3]) for pose in dict(poses).values()] == list(range(5, 205))
    poses[7][0, 3] = 100.0
    assert torch.equal(poses[7], at(7.0)), "a copy was changed"
    poses[7] = at(8.0).float()
    assert torch.equal(poses[7], at(8.0))


def test_gaps_and_unknown_indices_are_refused() -> None:
    poses = PoseTable()
    with pytest.raises(KeyError):
        poses[0]
    poses.add(3, at(0.0))
    with pytest.raises(ValueError, match="pose 5 after 3"):
        poses.add(5, at(0.0))
    for index in (2, 4, -1):
        assert index not in poses
    poses.clear()
    assert len(poses) == 0 and 3 not in poses
    poses.add(0, at(1.0))
    assert list(poses) == [0]


def test_a_pose_is_no_object_of_its_own() -> None:
    poses, pose = PoseTable(), at(1.0)
    before = sys.getallocatedblocks()
    for index in range(10_000):
        poses.add(index, pose)
    assert sys.getallocatedblocks() - before < 1000
