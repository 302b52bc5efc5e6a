"""Dense alignment where the visual tracker's features fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.simulation.effects import SensorEffects
from e2e_slam_ros.simulation.reader import ProceduralReader
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.dense.second_stage import DensePose, DenseStage
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.offline import track_sequence
from e2e_slam_ros.tracking.state import TrackingState
from e2e_slam_ros.tracking.visual_tracker import VisualTracker


@pytest.fixture(scope="module")
def dimmed() -> list[Frame]:
    """A room whose light goes out after the third frame; the depth camera sees on."""
    reader = ProceduralReader(
        0, 12, 320, 240, effects=SensorEffects(0, 0, 0, 0), texture_size=256, rate_hz=10.0
    )
    frames = [reader[i] for i in range(len(reader))]
    return [
        one if i < 3 else replace(one, image=(one.image // 64).astype(np.uint8))
        for i, one in enumerate(frames)
    ]


def test_shape_carries_on_where_texture_ends(dimmed: list[Frame]) -> None:
    runs = {}
    for dense in ("off", "auto"):
        config = Config().with_values({"tracking.dense": dense}).tracking
        runs[dense] = track_sequence(dimmed, VisualTracker(config))
    assert runs["off"].tracked < 0.7
    assert runs["auto"].tracked == 1.0
    assert any("all pixels" in reason for reason in runs["auto"].reasons)
    first = dimmed[0].T_map_camera
    assert first is not None
    for pose, one in zip(runs["auto"].T_map_camera, dimmed, strict=True):
        assert one.T_map_camera is not None
        wrong = rigid.inverse(rigid.inverse(first) @ one.T_map_camera) @ pose
        assert np.linalg.norm(wrong[:3, 3]) < 0.03 and rigid.angle_deg(wrong) < 1.0


def test_nothing_to_align_with_is_still_lost(dimmed: list[Frame]) -> None:
    config = Config().with_values({"tracking.dense": "auto"}).tracking
    follow = VisualTracker(config)
    for one in dimmed[:3]:
        follow.track(one)
        while follow.adjust():
            pass
    blind = replace(dimmed[3], image=np.zeros_like(dimmed[3].image), depth=None)
    pose = follow.track(blind)
    assert pose.T_map_camera is None and pose.state == TrackingState.LOST


def test_a_proposal_is_only_a_start(dimmed: list[Frame]) -> None:
    """From a start that is far off a proposal near the truth helps; a bad one costs nothing."""
    one, two = dimmed[0], dimmed[1]
    assert one.T_map_camera is not None and two.T_map_camera is not None and one.depth is not None
    true = rigid.inverse(one.T_map_camera) @ two.T_map_camera
    near = true @ rigid.exp(np.radians([0.0, 0.0, 0.0, 1.0, -1.0, 0.0]))
    far = true @ rigid.exp(np.radians([0.0, 0.0, 0.0, 0.0, 35.0, 0.0]))
    grey = [cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY) for frame in (one, two)]

    def found(start: np.ndarray, proposed: np.ndarray | None) -> DensePose | None:
        def propose(*_: object) -> torch.Tensor:
            return torch.from_numpy(proposed)[None]

        limits = Config().tracking.odometry
        stage = DenseStage(one.camera, limits, None if proposed is None else propose)
        stage.give(0, grey[0], DepthImage(one.depth, one.camera, 0.01))
        return stage.find(grey[1], None, {0: [start]})

    assert found(far, None) is None
    helped = found(far, near)
    assert helped is not None
    wrong = rigid.inverse(true) @ helped.T_keyframe_camera
    # The alignment's own accuracy, not that of the proposal.
    assert rigid.angle_deg(wrong) < 0.3
    alone = found(near, None)
    assert alone is not None
    for bad in (far, np.full((4, 4), np.nan)):
        kept = found(near, bad)
        assert kept is not None
        assert np.allclose(kept.T_keyframe_camera, alone.T_keyframe_camera, atol=1e-4)
