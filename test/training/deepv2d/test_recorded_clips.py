"""Clips of a recording: consecutive frames with depth and poses, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.data.tum_writer import TumWriter
from e2e_slam_ros.simulation import ProceduralReader
from e2e_slam_ros.training.data.config import AugmentConfig
from e2e_slam_ros.training.deepv2d.clip_sampler import ClipSampler
from e2e_slam_ros.training.deepv2d.config import RecordedClipConfig
from e2e_slam_ros.training.deepv2d.recorded_clips import RecordedClips
from training.deepv2d.test_clips import consistent_share


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recording")
    reader = ProceduralReader(0, 5, 96, 72, rate_hz=5.0, texture_size=64)
    with TumWriter(folder, reader.camera) as writer:
        for frame in reader:
            writer.write(frame)
    return folder


def test_depth_and_poses_belong_together(recording: Path) -> None:
    clips = RecordedClips(RecordedClipConfig(path=str(recording)), 3, 64, 48)
    assert len(clips) == 3 and clips.frames == 3
    clip = clips.clip(1, [1, 0, 2])
    assert clip.image.shape == (1, 3, 3, 48, 64) and not clip.moving.any()
    assert consistent_share(clip)[0] > 0.85
    batch = ClipSampler([(clips, 1.0)], 0, 2, (2, 5), AugmentConfig()).batch(0)
    assert len(batch) == 2 and batch.image.shape[1] <= 3
    assert torch.isfinite(batch.image).all()


def test_a_recording_without_clips_is_refused(recording: Path) -> None:
    with pytest.raises(TrainingError, match="no 5 frames in a row.*recorded.share=0"):
        RecordedClips(RecordedClipConfig(path=str(recording), frames="0:4"), 5, 64, 48)
