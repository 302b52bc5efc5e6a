"""The memory of keyframes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.data.keyframes import Keyframes, MappedKeyframe
from refine.scene import keyframe
from synthetic import pose


def mapped(view: Keyframe, depth_m: float = 2.0) -> MappedKeyframe:
    depth = torch.full((1, 1, 48, 64), depth_m)
    estimate = DepthEstimate(depth, None, "test", "test")
    return MappedKeyframe(view, None, estimate, torch.ones_like(depth))


def filled(count: int, capacity: int = 12) -> Keyframes:
    memory = Keyframes(capacity)
    for i in range(count):
        memory.add(mapped(keyframe(0.1 * i, i)))
    return memory


def indices(items: list[MappedKeyframe]) -> list[int]:
    return [item.keyframe.index for item in items]


def test_images_are_bounded_and_poses_are_not() -> None:
    memory = filled(20, capacity=5)
    assert len(memory) == memory.next_index == 20
    assert indices(memory.recent()) == [15, 16, 17, 18, 19]
    assert memory.get(3) is None and memory.depth_of(3) is None
    assert list(memory.poses()) == list(range(20))
    assert float(memory.poses()[3][0, 3]) == pytest.approx(0.3)


def test_a_keyframe_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="keyframe 5 after 2"):
        filled(3).add(mapped(keyframe(0.5, 5)))


def test_neighbours_before_and_after() -> None:
    memory = filled(6)
    middle = memory.recent()[3].keyframe
    assert indices(memory.before(middle, 2, 0.15)) == [1, 0]
    assert indices(memory.after(middle, 5, 0.05)) == [4, 5]
    assert indices(memory.around(middle, 3)) == [2, 4, 1]
    new = keyframe(0.6, memory.next_index)
    assert indices(memory.before(new, 3, 0.05)) == [5, 4, 3] and memory.after(new, 3, 0.0) == []


def test_neighbours_face_the_same_way_and_moved() -> None:
    memory = Keyframes(12)
    turned = keyframe(0.2, 1).T_map_camera.clone()
    turned[:3, :3] = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    memory.add(mapped(keyframe(0.2, 0)))
    memory.add(mapped(replace(keyframe(0.2, 1), T_map_camera=turned)))
    memory.add(mapped(keyframe(0.001, 2)))
    assert indices(memory.before(keyframe(0.0, 3), 3, 0.02)) == [0]
    # Where nobody moved the nearest is returned, so that the refusal can say so.
    assert indices(memory.before(keyframe(0.0, 3), 3, 5.0)) == [2, 0]


@given(
    turn=st.floats(-180.0, 180.0),
    shift=st.floats(-5.0, 5.0),
    scale=st.floats(0.5, 2.0),
)
@settings(max_examples=25, deadline=None)
def test_a_move_and_its_inverse_change_nothing(turn: float, shift: float, scale: float) -> None:
    memory = filled(3)
    before = memory.poses()
    T = pose(x=shift, yaw_deg=turn).clone()
    T[:3, :3] *= scale
    memory.move({1: T})
    item = memory.get(1)
    assert item is not None and item.estimate is not None
    assert torch.allclose(item.estimate.depth, torch.tensor(2.0 * scale), rtol=1e-5)
    assert torch.allclose(item.keyframe.T_map_camera, memory.poses()[1])
    assert float(torch.linalg.det(memory.poses()[1][:3, :3])) == pytest.approx(1.0)
    memory.move({1: torch.linalg.inv(T)})
    for index, T_map_camera in memory.poses().items():
        assert torch.allclose(T_map_camera, before[index], atol=1e-9)


def test_a_moved_keyframe_is_moved_for_every_reader() -> None:
    memory = Keyframes(2)
    views = tuple(keyframe(0.01 * i, -1) for i in range(2))
    memory.add(replace(mapped(keyframe(0.1, 0)), between=views))
    memory.move({0: pose(x=1.0), 7: pose(x=9.0)})
    item = memory.recent()[0]
    assert float(item.keyframe.T_map_camera[0, 3]) == pytest.approx(1.1)
    assert [float(view.T_map_camera[0, 3]) for view in item.between] == pytest.approx([1.0, 1.01])
    new = keyframe(1.0, 1)
    assert indices(memory.before(new, 1, 0.05)) == [0]


@pytest.mark.parametrize(
    "T",
    [
        torch.full((4, 4), math.nan),
        torch.diag(torch.tensor([1.0, 2.0, 1.0, 1.0])),
        torch.diag(torch.tensor([1.0, 1.0, -1.0, 1.0])),
        torch.zeros(4, 4),
    ],
)
def test_what_is_no_similarity_moves_nothing(T: torch.Tensor) -> None:
    memory = filled(2)
    before = memory.poses()
    with pytest.raises(PoseError, match="similarity"):
        memory.move({0: pose(x=1.0), 1: T})
    assert all(torch.equal(before[i], T) for i, T in memory.poses().items())


def test_a_revision_replaces_depth_and_a_clear_forgets() -> None:
    memory = filled(3, capacity=2)
    memory.revise(mapped(keyframe(0.1, 1), 3.0))
    memory.revise(mapped(keyframe(0.0, 0), 3.0))
    depth = memory.depth_of(1)
    assert depth is not None and float(depth.depth.mean()) == 3.0 and memory.get(0) is None
    memory.clear(next_index=7)
    assert len(memory) == 0 and memory.next_index == 7 and memory.recent() == []
