"""Corrected poses, as a loop closure gives them, reach memory, map and keyframe rule together."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import E2ESlamError, MapError, PoseError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import FusionStats, KeyframeDecision
from e2e_slam_ros.geometry.se3 import inverse
from e2e_slam_ros.slam.pipeline import SlamPipeline
from refine.rooms import network_config, use_tiny_network, wall_frame
from synthetic import frame, pose, wall_depth

CPU = torch.device("cpu")
FORCED = KeyframeDecision(True, "test")


def true_pose(index: int) -> torch.Tensor:
    """A walk along the wall, 2 m in front of it."""
    return pose(x=0.3 * index)


def drifted_pose(index: int) -> torch.Tensor:
    """What the odometry says instead: 20 cm and 1 degree a keyframe away from the truth."""
    return pose(x=0.3 * index, z=-0.2 * index, yaw_deg=1.0 * index)


def drifted_frame(index: int) -> Frame:
    """The view from the true pose, said to be from the drifted one."""
    seen = frame(index, drifted_pose(index))
    depth = wall_depth(true_pose(index))[0, 0].numpy()
    return Frame(index, seen.stamp_ns, seen.image, seen.camera, depth, seen.T_map_camera)


def mapped(**values: object) -> SlamPipeline:
    """Six keyframes, each at its drifted pose."""
    system = SlamPipeline(Config().with_values(values), CPU)
    for index in range(6):
        item = drifted_frame(index)
        decision = system.choose_keyframe(item)
        assert decision.is_keyframe
        system.map_keyframe(item, decision)
    return system


def corrections() -> dict[int, torch.Tensor]:
    """From each drifted pose to the true one."""
    return {i: true_pose(i) @ inverse(drifted_pose(i)) for i in range(6)}


def fused_again(system: SlamPipeline) -> FusionStats:
    """Map a seventh keyframe, at a true pose amid the others."""
    return system.map_keyframe(frame(6, pose(x=0.75)), FORCED).fusion


def state(system: SlamPipeline) -> tuple[object, ...]:
    recent = system.keyframes.recent()
    return (
        system.surfels.state_hash(),
        {index: T.tolist() for index, T in system.keyframes.poses().items()},
        [item.keyframe.T_map_camera.tolist() for item in recent],
        [float(item.estimate.depth.sum()) for item in recent if item.estimate is not None],
    )


def test_memory_and_map_move_together() -> None:
    system = mapped()
    off = (system.surfels.surfels.positions[:, 2] - 2.0).abs()
    assert off.max() > 0.9
    moved = system.move_keyframes(corrections())
    assert moved == len(system.surfels)
    for index, T in system.keyframes.poses().items():
        torch.testing.assert_close(T, true_pose(index))
        kept = system.keyframes.get(index)
        assert kept is not None
        torch.testing.assert_close(kept.keyframe.T_map_camera, true_pose(index))
    off = (system.surfels.surfels.positions[:, 2] - 2.0).abs()
    assert off.max() < 1e-4


def test_a_new_keyframe_merges_with_moved_surfels_instead_of_doubling_them() -> None:
    system, left = mapped(), mapped()
    system.move_keyframes(corrections())
    with_move, without = fused_again(system), fused_again(left)
    assert with_move.added < 0.05 * with_move.merged
    # The surfels of drifted keyframes are in the way, or too far away to merge with.
    assert without.added > 0.2 * with_move.merged


def test_the_next_keyframe_is_chosen_against_the_corrected_pose() -> None:
    system, left = mapped(), mapped()
    system.move_keyframes(corrections())
    there = frame(6, true_pose(5))
    assert system.choose_keyframe(there).reason == "too near"
    assert left.choose_keyframe(there).is_keyframe
    # The rule's depth still holds: overlap and parallax are as in front of the wall.
    decision = system.choose_keyframe(frame(7, true_pose(6)))
    assert decision.reason == "parallax"
    assert decision.parallax == pytest.approx(0.15, abs=1e-3)


def test_a_scale_reaches_the_depth_that_the_rule_measures_by() -> None:
    system = mapped()
    doubled = torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64))
    system.move_keyframes({i: doubled @ T for i, T in corrections().items()})
    # The wall is 4 m away now, and the camera at twice its way.
    decision = system.choose_keyframe(frame(6, pose(x=2.0 * 1.5 + 0.4)))
    assert decision.parallax == pytest.approx(0.1, abs=1e-3)


def test_a_moved_keyframe_can_be_revised_at_its_new_pose() -> None:
    system = mapped(**{"map.revisable_keyframes": 6})
    system.move_keyframes(corrections())
    last = system.keyframes.get(5)
    assert last is not None and last.estimate is not None
    system.surfels.revise(last.keyframe, last.estimate)
    assert (system.surfels.surfels.positions[:, 2] - 2.0).abs().max() < 1e-4


def test_an_unknown_keyframe_moves_nothing() -> None:
    system = mapped()
    before = state(system)
    assert system.move_keyframes({17: pose(x=1.0)}) == 0
    assert state(system) == before


def nearly_rigid() -> torch.Tensor:
    T = torch.eye(4, dtype=torch.float64)
    T[0, 0] += 3e-4
    return T


def refused(T: torch.Tensor, index: int, error: type[E2ESlamError]) -> None:
    system = mapped()
    before = state(system)
    with pytest.raises(error, match="got"):
        system.move_keyframes({**corrections(), index: T})
    assert state(system) == before
    assert system.choose_keyframe(frame(6, drifted_pose(5))).reason == "too near"


@pytest.mark.parametrize(
    "T",
    [
        torch.full((4, 4), torch.nan, dtype=torch.float64),
        torch.diag(torch.tensor([2.0, 1.0, 1.0, 1.0], dtype=torch.float64)),
        torch.diag(torch.tensor([1.0, 1.0, -1.0, 1.0], dtype=torch.float64)),
        torch.eye(3, dtype=torch.float64),
        torch.eye(4, dtype=torch.float64).expand(2, 4, 4),
        torch.zeros((4, 4), dtype=torch.float64),
    ],
    ids=["nan", "sheared", "reflection", "3x3", "two", "zeros"],
)
@pytest.mark.parametrize("index", [5, 17])
def test_a_bad_correction_changes_nothing(T: torch.Tensor, index: int) -> None:
    refused(T, index, PoseError)


def test_a_correction_beyond_the_map_changes_nothing() -> None:
    refused(pose(x=1e6), 5, MapError)


def test_memory_and_map_agree_on_what_is_a_similarity() -> None:
    # One that accepts what the other refuses would leave half of a correction behind.
    system = mapped()
    before = state(system)
    try:
        system.move_keyframes({5: nearly_rigid()})
    except PoseError:
        assert state(system) == before
    else:
        after = state(system)
        assert all(old != new for old, new in zip(before[:3], after[:3], strict=True))


def test_frames_between_keyframes_are_not_used_at_their_old_poses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_tiny_network(monkeypatch)
    system = SlamPipeline(network_config(**{"keyframe.parallax": 0.2}), CPU)
    first, passed, second = (wall_frame(i, x) for i, x in enumerate((0.0, 0.1, 0.5)))
    system.map_keyframe(first, system.choose_keyframe(first))
    assert not system.choose_keyframe(passed).is_keyframe
    newest = system.map_keyframe(second, system.choose_keyframe(second)).keyframe
    assert len(system.keyframes.between(newest, 3)) == 1
    later = wall_frame(3, 0.6)
    assert not system.choose_keyframe(later).is_keyframe
    system.move_keyframes({newest.index: pose(x=1.0)})
    (kept,) = system.keyframes.between(newest, 3)
    assert kept.T_map_camera[0, 3] == pytest.approx(1.1)
    # No keyframe moves the frames after the newest one: they are forgotten.
    after = wall_frame(4, 2.0)
    seen = system.map_keyframe(after, system.choose_keyframe(after)).keyframe
    assert system.keyframes.between(seen, 3) == ()
