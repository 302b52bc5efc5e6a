"""Walks and the groups of views that are cut from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.geometry.warp import inverse_warp
from e2e_slam_ros.training.dro.batch import DroBatch
from e2e_slam_ros.training.dro.group_sampler import GroupSampler, KeptWalks
from e2e_slam_ros.training.dro.groups import GroupConfig, changed, group, mirrored
from e2e_slam_ros.training.dro.walk import Walk, read_walk, write_walk
from e2e_slam_ros.training.dro.walk_config import WalkConfig
from e2e_slam_ros.training.dro.walks import Walks


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> WalkConfig:
    cache = str(tmp_path_factory.mktemp("walks"))
    return WalkConfig(rooms=1, frames=6, width=96, height=64, texture_size=64, cache=cache)


@pytest.fixture(scope="module")
def walk(config: WalkConfig) -> Walk:
    walks = Walks(config)
    assert walks.render_missing() == 1 and walks.render_missing() == 0
    return walks.walk(0)


def error_of_warp(sample: DroBatch) -> float:
    """The mean difference of the reference and its first neighbour, warped by the truth."""
    warp = inverse_warp(
        sample.image[:, 1], sample.depth, sample.T_i_0[:, 0],
        sample.intrinsics[:, 0], sample.intrinsics[:, 1],
    )  # fmt: skip
    difference = (warp.image - sample.image[:, 0]).abs().mean(1, keepdim=True)
    return float(difference[warp.valid].median())


def test_truth_maps_a_neighbour_onto_the_reference(walk: Walk) -> None:
    sample = group(walk, 5, 4, None)
    assert sample.image.shape == (1, 5, 3, 64, 96) and sample.T_i_0.shape == (1, 4, 4, 4)
    wrong = replace(sample, depth=1.5 * sample.depth)
    assert error_of_warp(sample) < 0.08 and error_of_warp(sample) < error_of_warp(wrong)


def test_a_mirrored_group_is_as_exact(walk: Walk) -> None:
    sample = group(walk, 5, 2, None)
    turned = mirrored(sample)
    assert error_of_warp(turned) == pytest.approx(error_of_warp(sample), abs=5e-3)
    again = mirrored(turned)
    assert torch.allclose(again.T_given, sample.T_given) and torch.equal(again.image, sample.image)


def test_given_poses_have_small_errors(walk: Walk) -> None:
    apart = np.linalg.norm((walk.T_given - walk.T_map_camera)[:, :3, 3], axis=1)
    assert 0 < apart.max() < 0.05


def test_other_sources_answer_in_metres(walk: Walk) -> None:
    sample = group(walk, 5, 4, None)
    known = sample.weight > 0
    assert known.float().mean() > 0.2
    ratio = (sample.stereo / sample.depth)[known]
    assert ratio.median() == pytest.approx(1.0, abs=0.15)
    assert (sample.single / sample.depth).median() == pytest.approx(1.0, abs=0.6)


def test_changes_leave_the_truth_alone(walk: Walk) -> None:
    sample = group(walk, 4, 2, None)
    generator = torch.Generator().manual_seed(3)
    found = changed(sample, GroupConfig(mirror=0.0, no_stereo=1.0), generator)
    assert torch.equal(found.depth, sample.depth) and (found.weight == 0).all()
    assert not torch.equal(found.single, sample.single)


def test_a_batch_depends_on_seed_and_step_alone(walk: Walk) -> None:
    def sampler(seed: int) -> GroupSampler:
        return GroupSampler([(KeptWalks([walk]), 1.0)], seed, 2, GroupConfig())

    first = sampler(0).batch(7, 0)
    assert torch.equal(first.image, sampler(0).batch(7, 0).image)
    others = [sampler(0).batch(8, 0), sampler(1).batch(7, 0)]
    assert all(
        other.image.shape != first.image.shape or not torch.equal(first.image, other.image)
        for other in others
    )


def test_a_damaged_file_is_rendered_again(config: WalkConfig, walk: Walk, tmp_path: Path) -> None:
    path = tmp_path / "walk.npz"
    write_walk(path, walk)
    assert np.array_equal(read_walk(path).image, walk.image)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="rendered again"):
        read_walk(path)
    file = next(Path(config.cache).glob("walk_*.npz"))
    file.write_bytes(b"nothing")
    assert np.array_equal(Walks(config).walk(0).depth, walk.depth)


def test_an_empty_interval_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"walks\.interval_min_s.*swap the two"):
        Walks(WalkConfig(interval_min_s=1.0, interval_max_s=0.5))


def test_several_processes_render_the_same_walks(
    config: WalkConfig, walk: Walk, tmp_path: Path
) -> None:
    other = Walks(replace(config, rooms=2, cache=str(tmp_path)), in_memory=True)
    assert other.render_missing(processes=2) == 2 and not other.missing()
    found = other.walk(0)
    assert np.array_equal(found.image, walk.image) and np.array_equal(found.stereo, walk.stereo)
    for file in tmp_path.iterdir():
        file.unlink()  # what was read is kept
    assert other.walk(0) is found
