"""Rendered clips: exact, kept, read again, mirrored, and the same for the same seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.warp import inverse_warp
from e2e_slam_ros.training.data.config import AugmentConfig
from e2e_slam_ros.training.deepv2d.clip_batch import ClipBatch
from e2e_slam_ros.training.deepv2d.clip_config import ClipConfig
from e2e_slam_ros.training.deepv2d.clip_sampler import ClipSampler, mirrored
from e2e_slam_ros.training.deepv2d.clip_set import ClipSet

PLAIN = AugmentConfig(
    mirror=0.0, brightness=0.0, contrast=0.0, gamma=0.0, saturation=0.0, white_balance=0.0,
    color_mix=0.0, grey_share=0.0, blur_share=0.0, noise_share=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    folder = tmp_path_factory.mktemp("clips")
    config = ClipConfig(
        rooms=1, clips_per_room=2, frames=3, width=64, height=48, texture_size=64, moving=2,
        cache=str(folder),
    )  # fmt: skip
    found = ClipSet(config)
    assert found.missing() == [50000] and found.render_missing() == 1 and not found.missing()
    return found


def consistent_share(clip: ClipBatch) -> tuple[float, float]:
    """Share of still and of moving pixels whose depth agrees with the next frame's."""
    k, T = clip.intrinsics, clip.T_camera_map[:, 1]
    warp = inverse_warp(clip.depth[:, 1], clip.depth[:, 0], T, k, k)
    close = ((warp.image - warp.z).abs() < 0.03 * warp.z)[warp.valid]
    moving = clip.moving[:, 0][warp.valid]
    return float(close[~moving].float().mean()), float(close[moving].float().mean())


def test_depth_poses_and_masks_belong_together(clips: ClipSet) -> None:
    shares = [consistent_share(clips.clip(i, [1, 0])) for i in range(2)]
    for still, _ in shares:
        assert still > 0.85  # edges and what comes into view do not agree
    assert min(moving for _, moving in shares) < 0.7
    clip = clips.clip(0, [2, 0])
    torch.testing.assert_close(clip.T_camera_map[:, 0], torch.eye(4)[None])
    assert 0.0 < float(clip.moving.float().mean()) < 0.8


def test_a_mirrored_clip_is_as_consistent(clips: ClipSet) -> None:
    clip = clips.clip(0, [1, 0])
    other = mirrored(clip)
    assert consistent_share(other)[0] == pytest.approx(consistent_share(clip)[0], abs=0.02)
    again = mirrored(other)
    for name in ("image", "depth", "intrinsics", "T_camera_map", "moving"):
        torch.testing.assert_close(getattr(again, name), getattr(clip, name))
    se3.check_rigid(other.T_camera_map[0])


def test_a_damaged_file_is_rendered_again(clips: ClipSet) -> None:
    (path,) = clips.folder.glob("*.npz")
    before = clips.clip(1, [0, 1])
    path.write_bytes(path.read_bytes()[:5000])
    assert clips.missing() == [50000]
    torch.testing.assert_close(clips.clip(1, [0, 1]).depth, before.depth)
    assert not clips.missing()


def test_batches_depend_on_seed_and_step_alone(clips: ClipSet) -> None:
    sampler = ClipSampler([(clips, 1.0)], 3, 2, (2, 3), AugmentConfig())
    one, again, other = sampler.batch(5), sampler.batch(5), sampler.batch(6)
    torch.testing.assert_close(one.image, again.image)
    torch.testing.assert_close(one.noise, again.noise)
    assert one.image.shape != other.image.shape or not torch.equal(one.image, other.image)
    counts = {sampler.batch(step).image.shape[1] for step in range(12)}
    assert counts == {2, 3}


def test_neighbours_are_neighbours(clips: ClipSet) -> None:
    sampler = ClipSampler([(clips, 1.0)], 0, 4, (2, 2), PLAIN, neighbours=1)
    for step in range(3):
        batch = sampler.batch(step)
        assert batch.image.shape[1] == 2 and len(batch) == 4
        assert batch.T_camera_map[:, 1, :3, 3].norm(dim=-1).max() < 0.7


def test_impossible_settings_are_refused(tmp_path: Path) -> None:
    base = ClipConfig(cache=str(tmp_path))
    for change in ({"fov_min_deg": 90.0}, {"interval_min_s": 1.0}):
        with pytest.raises(TrainingError, match="swap the two"):
            ClipSet(replace(base, **change))  # type: ignore[arg-type]
    with pytest.raises(IndexError):
        ClipSet(base).clip(10**6, [0])


def test_several_processes_render_the_same_clips(clips: ClipSet, tmp_path: Path) -> None:
    config = replace(clips.config, rooms=2, cache=str(tmp_path))
    other = ClipSet(config, in_memory=True)
    assert other.render_missing(processes=2) == 2 and not other.missing()
    here, there = clips.clip(0, [1, 0]), other.clip(0, [1, 0])
    assert torch.equal(here.image, there.image) and torch.equal(here.depth, there.depth)
    for file in tmp_path.iterdir():
        file.unlink()  # what was read is kept
    assert torch.equal(other.clip(0, [1, 0]).image, here.image)
