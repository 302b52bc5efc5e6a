"""Recorded frames become views: their labels, their motion, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from e2e_slam_ros.config.errors import DataError, TrainingError
from e2e_slam_ros.data.frame import Frame, ReaderReport
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.training.data.config import RecordedConfig
from e2e_slam_ros.training.data.recorded_views import RecordedViews

CAMERA = PinholeCamera(64, 48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)


class Recording:
    """A camera that moves ``step_m`` sideways from frame to frame, 2 m in front of a wall."""

    def __init__(
        self, frames: int, step_m: float = 0.1, depth: bool = True, broken: tuple[int, ...] = ()
    ) -> None:
        self._frames, self._step, self._depth, self._broken = frames, step_m, depth, broken
        self.name, self.report = "recording", ReaderReport()

    def __len__(self) -> int:
        return self._frames

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Frame:
        if index in self._broken:
            raise DataError.from_parts("image", "damaged", "an image", "copy it again")
        pose = np.eye(4)
        pose[0, 3] = self._step * index
        depth = np.full((48, 64), 2.0, np.float32)
        depth[:4] = 0.0
        image = np.full((48, 64, 3), 10 * index, np.uint8)
        return Frame(index, index, image, CAMERA, depth if self._depth else None, pose)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_view_carries_labels_and_the_motion_to_its_partner() -> None:
    views = RecordedViews(Recording(4), RecordedConfig(max_parallax=0.06))
    assert len(views) == 4
    seen = views.pair(0, generator())
    # 0.06 of 2 m allows one step of 10 cm only.
    assert seen.image.dtype == torch.uint8 and int(seen.source.float().mean()) == 10
    assert seen.has_depth and seen.has_source and seen.has_pose
    assert float(seen.depth[0, 20, 20]) == pytest.approx(2.0)
    assert float(seen.depth[0, 0, 0]) == 0.0
    torch.testing.assert_close(seen.T_source_target[:3, 3], torch.tensor([-0.1, 0.0, 0.0]))
    torch.testing.assert_close(
        seen.intrinsics, CAMERA.matrix(torch.device("cpu")).to(torch.float32)
    )


def test_labels_and_poses_stay_unused_where_they_are_not_wanted() -> None:
    config = RecordedConfig(labels=False, poses=False, min_apart=1, max_apart=1)
    seen = RecordedViews(Recording(3), config).pair(1, generator())
    assert not seen.has_depth and not seen.has_pose and seen.has_source
    assert torch.equal(seen.T_source_target, torch.eye(4))
    assert float(seen.depth.abs().max()) == 0.0


def test_rectified_pairs_differ_by_translation_alone(shared_data: Path) -> None:
    reader = FrameSlice(open_reader(shared_data / "hololens" / "rooms_000"), 0, 6)
    config = replace(RecordedConfig(), width=96)
    turned = RecordedViews(reader, config).pair(2, generator())
    straight = RecordedViews(reader, replace(config, rectify=True)).pair(2, generator())
    assert float((turned.T_source_target[:3, :3] - torch.eye(3)).abs().max()) > 0.01
    torch.testing.assert_close(straight.T_source_target[:3, :3], torch.eye(3), atol=1e-5, rtol=0)
    length = [float(p.T_source_target[:3, 3].norm()) for p in (turned, straight)]
    assert length[0] == pytest.approx(length[1], rel=1e-4)


def test_single_views_need_no_partner() -> None:
    views = RecordedViews(Recording(1), RecordedConfig(pairs=False))
    seen = views.pair(0, generator())
    assert not seen.has_source and torch.equal(seen.image, seen.source)


def test_damaged_frames_are_left_out_and_counted() -> None:
    views = RecordedViews(Recording(5, broken=(1, 3)), RecordedConfig())
    assert len(views) == 3 and views.left_out == 2


@pytest.mark.parametrize(
    ("recording", "config", "words"),
    [
        (Recording(1), RecordedConfig(), "one frame"),
        (Recording(5, step_m=0.0), RecordedConfig(), "no overlap between frames"),
        (Recording(5, step_m=9.0), RecordedConfig(), "no overlap between frames"),
        (Recording(2, broken=(0, 1)), RecordedConfig(), "no readable frame of 2"),
        (Recording(3, depth=False), RecordedConfig(pairs=False), "without depth labels"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(
    recording: Recording, config: RecordedConfig, words: str
) -> None:
    with pytest.raises(TrainingError, match=words):
        RecordedViews(recording, config)


def test_real_frames(shared_data: Path) -> None:
    reader = FrameSlice(open_reader(shared_data / "hololens" / "rooms_000"), 0, 12)
    views = RecordedViews(reader, replace(RecordedConfig(), width=160))
    assert len(views) == 12
    seen = views.pair(5, generator())
    assert seen.image.shape == (3, 107, 160) and seen.has_source and seen.has_pose
    known = seen.depth[seen.depth > 0]
    assert 0.5 < float(known.median()) < 6.0
