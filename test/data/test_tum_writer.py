"""What is written can be read back, by us and by other programs."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
import yaml

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.data.tum_writer import TumWriter, depth_counts
from e2e_slam_ros.geometry.camera import PinholeCamera

CAMERA = PinholeCamera(16, 12, 15.0, 14.0, 7.5, 5.5, (0.1, -0.2, 0.0, 0.0, 0.05))


def frame(index, stamp_ns=None, depth=True, pose=True):
    dice = np.random.default_rng(index)
    T = np.eye(4)
    T[:3, 3] = dice.normal(size=3)
    return Frame(
        index=index,
        stamp_ns=(10 + index) * 10**9 + 123_456_789 if stamp_ns is None else stamp_ns,
        image=dice.integers(0, 256, (12, 16, 3), dtype=np.uint8),
        camera=CAMERA,
        depth=dice.uniform(0.5, 10.0, (12, 16)).astype(np.float32) if depth else None,
        T_map_camera=T if pose else None,
    )


def test_a_round_trip_loses_nothing_but_depth_counts(tmp_path):
    frames = [frame(0), frame(1, depth=False), frame(2, pose=False), frame(3)]
    with TumWriter(tmp_path / "scene", CAMERA) as writer:
        for item in frames:
            writer.write(item)
    reader = TumReader(tmp_path / "scene")
    assert len(reader) == 4 and not reader.report.skipped
    for wrote, read in zip(frames, reader, strict=True):
        assert read.stamp_ns == wrote.stamp_ns and read.camera == CAMERA
        np.testing.assert_array_equal(read.image, wrote.image)
        assert (read.depth is None) == (wrote.depth is None)
        assert (read.T_map_camera is None) == (wrote.T_map_camera is None)
        if wrote.depth is not None:
            np.testing.assert_allclose(read.depth, wrote.depth, atol=0.5 / 5000 + 1e-6)
        if wrote.T_map_camera is not None:
            np.testing.assert_allclose(read.T_map_camera, wrote.T_map_camera, atol=1e-8)


def test_the_calibration_has_the_documented_keys(tmp_path):
    TumWriter(tmp_path / "scene", CAMERA, depth_factor=1000.0).close()
    content = yaml.safe_load((tmp_path / "scene" / "calibration.yaml").read_text())
    assert list(content) == ["width", "height", "fx", "fy", "cx", "cy", "distortion"] + [
        "depth_factor"
    ]
    assert content["depth_factor"] == 1000.0 and content["distortion"][1] == -0.2


def test_depth_that_does_not_fit_is_invalid():
    depth = np.array([[0.0, -1.0, np.nan, np.inf, 13.107, 13.2, 0.0001]], np.float32)
    assert depth_counts(depth, 5000.0).tolist() == [[0, 0, 0, 0, 65535, 0, 0]]


def test_an_existing_recording_is_not_touched(tmp_path):
    with TumWriter(tmp_path / "scene", CAMERA) as writer:
        writer.write(frame(0))
    with pytest.raises(DataError, match="got a recording, expected an empty folder"):
        TumWriter(tmp_path / "scene", CAMERA)
    assert len(TumReader(tmp_path / "scene")) == 1


def test_time_must_go_forward_and_sizes_must_fit(tmp_path):
    writer = TumWriter(tmp_path / "scene", CAMERA)
    writer.write(frame(1))
    for stamp in (frame(1).stamp_ns, frame(0).stamp_ns):
        with pytest.raises(DataError, match="write frames in time order"):
            writer.write(frame(2, stamp))
    other = PinholeCamera(8, 6, 15.0, 15.0, 3.5, 2.5)
    with pytest.raises(DataError, match="16x12 pixels, expected 8x6"):
        TumWriter(tmp_path / "other", other).write(frame(0))


def test_what_was_written_before_an_error_is_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt), TumWriter(tmp_path / "scene", CAMERA) as writer:
        writer.write(frame(0))
        writer.write(frame(1))
        raise KeyboardInterrupt
    assert len(TumReader(tmp_path / "scene")) == 2


def test_a_full_disk_is_said_and_leaves_no_half_image(tmp_path, monkeypatch):
    writer = TumWriter(tmp_path / "scene", CAMERA)
    writer.write(frame(0))
    real = os.fsync

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="got No space left on device, .*; free space"):
        writer.write(frame(1))
    monkeypatch.setattr(os, "fsync", real)
    writer.close()
    assert [p.name for p in (tmp_path / "scene" / "rgb").iterdir()] == ["10.123456789.png"]
    assert len(TumReader(tmp_path / "scene")) == 1
