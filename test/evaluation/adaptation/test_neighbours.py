"""Neighbours were taken from elsewhere, in either direction."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.evaluation.adaptation.neighbours import Neighbourhood
from e2e_slam_ros.evaluation.left_out import LeftOut
from synthetic import frame, pose

MakeReader = Callable[[list[Frame]], FrameReader]


def around(reader: FrameReader, left_out: LeftOut | None = None) -> Neighbourhood:
    return Neighbourhood(reader, 0.12, left_out or LeftOut())


def test_neighbours_are_apart(list_reader: MakeReader) -> None:
    # 12 cm are three steps of 5 cm.
    walk = list_reader([frame(i, pose(x=0.05 * i)) for i in range(20)])
    hood = around(walk)
    assert [item.index for item in hood.earlier(10, 2)] == [7, 4]
    assert [item.index for item in hood.later(10, 4)] == [13, 16, 19]
    assert hood.earlier(0, 3) == [] and hood.later(19, 3) == []
    assert hood.later(5, 0) == []


def test_a_camera_that_only_turns_gives_the_next_frame(list_reader: MakeReader) -> None:
    turn = list_reader([frame(i, pose(yaw_deg=3.0 * i)) for i in range(12)])
    hood = around(turn)
    assert [item.index for item in hood.earlier(6, 3)] == [5]


@pytest.mark.parametrize("missing", [6, 7])
def test_frames_without_a_pose_are_no_neighbours(list_reader: MakeReader, missing: int) -> None:
    frames = [frame(i, pose(x=0.05 * i)) for i in range(12)]
    frames[missing] = dataclasses.replace(frames[missing], T_map_camera=None)
    left_out = LeftOut()
    hood = around(list_reader(frames), left_out)
    assert missing not in [item.index for item in hood.earlier(9, 3)]
    hood.earlier(9, 3)
    assert left_out.counts == {"no pose": 1}
