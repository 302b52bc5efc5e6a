"""The procedural sequence as a `FrameReader`, and its images against each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.warp import inverse_warp
from e2e_slam_ros.simulation import ProceduralReader, SensorEffects, random_camera


def small_reader(seed: int = 1, effects: SensorEffects | None = None) -> ProceduralReader:
    return ProceduralReader(
        seed, frames=12, width=160, height=120, texture_size=64, effects=effects
    )


def tensors(frame: Frame) -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.from_numpy(frame.image).permute(2, 0, 1)[None].float() / 255
    assert frame.depth is not None
    return image, torch.from_numpy(frame.depth)[None, None]


def test_reader_keeps_the_protocol() -> None:
    reader = small_reader()
    assert isinstance(reader, FrameReader)
    assert len(reader) == 12 and reader.name == "procedural_1" and not reader.report.skipped
    frames = list(reader)
    assert [frame.index for frame in frames] == list(range(12))
    steps = np.diff([frame.stamp_ns for frame in frames])
    assert np.all(np.abs(steps - 1e9 / 30) <= 1)
    frame = frames[-1]
    assert frame.image.shape == (120, 160, 3) and frame.image.dtype == np.uint8
    assert frame.depth is not None and frame.depth.dtype == np.float32 and frame.depth.all()
    assert frame.T_map_camera is not None and frame.T_map_camera.dtype == np.float64
    assert frame.camera == reader.camera
    assert np.array_equal(reader[-1].image, frame.image)
    with pytest.raises(IndexError):
        reader[12]


def test_frames_do_not_depend_on_the_order_of_reading() -> None:
    forward, backward = small_reader(), small_reader()
    late = [backward[index] for index in (11, 3, 0)]
    for frame in late:
        other = forward[frame.index]
        assert np.array_equal(frame.image, other.image)
        assert np.array_equal(frame.depth, other.depth)
        assert np.array_equal(frame.T_map_camera, other.T_map_camera)
    assert not np.array_equal(small_reader(seed=2)[0].image, forward[0].image)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_frame_warped_by_true_depth_and_pose_is_the_other_frame(seed: int) -> None:
    reader = small_reader(seed, SensorEffects(0.0, 0.0, 0.0, 0.0))
    first, second = reader[0], reader[8]
    image, depth = tensors(first)
    other_image, other_depth = tensors(second)
    assert first.T_map_camera is not None and second.T_map_camera is not None
    T = torch.from_numpy(np.linalg.inv(second.T_map_camera) @ first.T_map_camera)[None]
    k = reader.camera.matrix()
    warp = inverse_warp(other_image, depth, T, k, k)
    there = inverse_warp(other_depth, depth, T, k, k)
    # Depths interpolate exactly on planes only, so occlusions are told with some tolerance.
    visible = warp.valid & ((there.image - there.z).abs() < 0.01)
    assert visible.float().mean() > 0.4
    error = (warp.image - image).abs().mean(1, keepdim=True)[visible]
    unmoved = (other_image - image).abs().mean(1, keepdim=True)[visible]
    assert error.mean() < 0.02 and error.median() < 0.01
    assert error.mean() < 0.5 * unmoved.mean()
    assert (there.image - there.z).abs()[visible].median() < 1e-4


def test_random_cameras_are_plausible_and_repeatable() -> None:
    cameras = [random_camera(seed, 320, 240) for seed in range(5)]
    assert cameras == [random_camera(seed, 320, 240) for seed in range(5)]
    assert len({camera.fx for camera in cameras}) == 5
    assert all(200 < camera.fx < 360 and 0.97 < camera.fy / camera.fx < 1.03 for camera in cameras)


def test_another_camera_is_used_as_given() -> None:
    camera = random_camera(7, 64, 48)
    reader = ProceduralReader(0, 1, 64, 48, camera=camera, texture_size=64)
    assert reader[0].camera == camera and reader[0].image.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("frames", "width", "rate_hz"), [(0, 64, 30.0), (5, 2, 30.0), (5, 64, 0.0)]
)
def test_impossible_sequences_are_refused(frames: int, width: int, rate_hz: float) -> None:
    with pytest.raises(DataError, match="procedural sequence"):
        ProceduralReader(0, frames, width, 48, rate_hz=rate_hz)


def test_cameras_of_another_size_or_with_distortion_are_refused() -> None:
    camera = PinholeCamera(64, 48, 50.0, 50.0, 31.5, 23.5, (0.1, 0.0, 0.0, 0.0))
    with pytest.raises(DataError, match="undistorted 64x48"):
        ProceduralReader(0, 1, 64, 48, camera=camera)
    with pytest.raises(DataError, match="undistorted 80x48"):
        ProceduralReader(0, 1, 80, 48, camera=camera.undistorted())
