"""Batches are drawn in proportion, and again the same for the same seed, step and rank."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.data.batch import PairBatch
from e2e_slam_ros.training.data.batch_sampler import BatchSampler
from e2e_slam_ros.training.data.config import AugmentConfig
from e2e_slam_ros.training.data.views import ViewPair


class Painted:
    """Views of one colour and one depth, with or without a second view."""

    def __init__(self, depth_m: float, size: tuple[int, int], has_source: bool = True) -> None:
        self.name, self._depth, self._size, self._has = "painted", depth_m, size, has_source

    def __len__(self) -> int:
        return 3

    def pair(self, index: int, generator: torch.Generator) -> ViewPair:
        image = torch.randint(0, 255, (3, *self._size), dtype=torch.uint8, generator=generator)
        depth = torch.full((1, *self._size), self._depth)
        k = torch.tensor([[80.0, 0, self._size[1] / 2], [0, 80.0, self._size[0] / 2], [0, 0, 1]])
        motion = torch.eye(4)
        motion[0, 3] = 0.1
        return ViewPair(image, image, depth, depth, k, motion, self._has, self._has, True)


NEAR, FAR = Painted(1.0, (72, 96)), Painted(4.0, (96, 128), has_source=False)
PLAIN = AugmentConfig(tilt_deg=0.0, roll_share=0.0)


def sampler(
    seed: int = 0, world: int = 1, pairs: bool = True, share: float = 0.25
) -> BatchSampler:
    sets = [(NEAR, share), (FAR, 1.0 - share)]
    return BatchSampler(sets, seed, 8, 96, 64, PLAIN, world=world, pairs=pairs)


def equal(a: PairBatch, b: PairBatch) -> bool:
    return all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


def test_sets_of_different_sizes_come_out_as_one_batch() -> None:
    batch = sampler().batch(0)
    assert batch.image.shape == (8, 3, 64, 96) and batch.depth.shape == (8, 1, 64, 96)
    assert batch.T_source_target.shape == (8, 4, 4) and batch.intrinsics.shape == (8, 3, 3)
    assert batch.image.dtype == torch.float32
    assert 0.0 <= float(batch.image.min()) and float(batch.image.max()) <= 1.0


def test_a_batch_depends_on_seed_step_and_rank_alone() -> None:
    assert equal(sampler().batch(7), sampler().batch(7))
    assert not equal(sampler().batch(7), sampler().batch(8))
    assert not equal(sampler(seed=1).batch(7), sampler().batch(7))
    two = sampler(world=2)
    assert not equal(two.batch(7, 0), two.batch(7, 1))


def test_sets_are_drawn_in_proportion_to_their_weights() -> None:
    batches = [sampler().batch(step) for step in range(50)]
    near = torch.cat([~(batch.depth > 2).flatten(1).any(1) for batch in batches])
    # 400 draws of probability 1/4: a standard deviation of 0.022.
    assert float(near.float().mean()) == pytest.approx(0.25, abs=0.09)


def test_second_views_are_left_out_where_nothing_uses_them() -> None:
    assert bool(sampler(share=1.0).batch(0).has_source.all())
    alone = sampler(share=1.0, pairs=False).batch(0)
    assert not bool(alone.has_source.any()) and not bool(alone.has_pose.any())
    assert torch.equal(alone.image, alone.source)


def test_nothing_to_draw_from_is_refused() -> None:
    with pytest.raises(TrainingError, match="no views"):
        BatchSampler([], 0, 8, 96, 64, PLAIN)
