"""Views kept in memory are the views of the set, whichever of a pair is the target."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.data.batch_sampler import BatchSampler
from e2e_slam_ros.training.data.config import AugmentConfig, ProceduralConfig
from e2e_slam_ros.training.data.procedural_views import ProceduralViews
from e2e_slam_ros.training.data.resident_views import ResidentViews
from e2e_slam_ros.training.data.views import ViewPair

K = torch.tensor([[80.0, 0, 48.0], [0, 80.0, 36.0], [0, 0, 1]])


class Numbered:
    """Views whose grey level and depth are their number; the second view is 100 levels lighter."""

    def __init__(
        self, count: int = 5, has_source: bool = True, sizes: tuple[int, ...] = (72,)
    ) -> None:
        self.name, self._count, self._has, self._sizes = "numbered", count, has_source, sizes

    def __len__(self) -> int:
        return self._count

    def pair(self, index: int, generator: torch.Generator) -> ViewPair:
        height = self._sizes[index % len(self._sizes)]
        image = torch.full((3, height, 96), index, dtype=torch.uint8)
        depth = torch.full((1, height, 96), 1.0 + index)
        motion = torch.eye(4)
        motion[0, 3] = 0.1 * index
        source = image + 100 if self._has else image
        return ViewPair(
            image, source, depth, 2.0 * depth, K, motion, self._has, self._has, has_depth=True
        )


def test_every_view_is_gathered_with_its_own_depth_and_motion() -> None:
    views = ResidentViews(Numbered(), "cpu")
    indices = torch.arange(5).repeat(20)
    batch = views.batch(indices, torch.Generator().manual_seed(0))
    level = batch.image[:, 0, 0, 0].long()
    swapped = level >= 100
    assert 20 < int(swapped.sum()) < 80
    torch.testing.assert_close(level - 100 * swapped, indices)
    expected = (1.0 + indices) * torch.where(swapped, 2.0, 1.0)
    torch.testing.assert_close(batch.depth[:, 0, 0, 0], expected)
    moved = 0.1 * indices * torch.where(swapped, -1.0, 1.0)
    torch.testing.assert_close(batch.T_source_target[:, 0, 3], moved)
    assert bool((batch.source[:, 0, 0, 0] != batch.image[:, 0, 0, 0]).all())


def test_single_views_are_their_own_source() -> None:
    batch = ResidentViews(Numbered(has_source=False), "cpu").batch(
        torch.arange(5), torch.Generator()
    )
    assert torch.equal(batch.image, batch.source) and not bool(batch.has_source.any())


def test_more_views_than_are_read_at_a_time() -> None:
    views = ResidentViews(Numbered(count=130, has_source=False), "cpu", draws=3)
    assert len(views) == 390
    batch = views.batch(torch.tensor([0, 129, 130, 389]), torch.Generator())
    assert batch.image[:, 0, 0, 0].tolist() == [0, 129, 0, 129]


def test_images_of_several_sizes_are_refused() -> None:
    with pytest.raises(TrainingError, match="96x72 and 96x80"):
        ResidentViews(Numbered(sizes=(72, 80)), "cpu")
    with pytest.raises(TrainingError, match="none"):
        ResidentViews(Numbered(count=0), "cpu")


def test_rendered_rooms_are_the_same_in_memory_and_from_files(tmp_path: Path) -> None:
    config = ProceduralConfig(
        rooms=1, pairs_per_room=2, width=64, height=64, texture_size=64, cache=str(tmp_path)
    )
    rooms = ProceduralViews(config)
    rooms.render_missing()
    batch = ResidentViews(rooms, "cpu").batch(torch.tensor([0, 1]), torch.Generator())
    for index in range(2):
        both = [rooms.pair(index, torch.Generator().manual_seed(seed)) for seed in range(8)]
        same = [pair for pair in both if torch.equal(pair.image, batch.image[index])]
        assert same
        torch.testing.assert_close(batch.depth[index], same[0].depth, rtol=5e-4, atol=0)
        motion = batch.T_source_target[index]
        torch.testing.assert_close(motion, same[0].T_source_target, rtol=1e-5, atol=1e-6)


def test_a_batch_mixes_sets_in_memory_and_others() -> None:
    sets = [(ResidentViews(Numbered(), "cpu"), 0.5), (Numbered(sizes=(64,)), 0.5)]
    sampler = BatchSampler(sets, 0, 16, 96, 64, AugmentConfig())
    batch = sampler.batch(3)
    assert batch.image.shape == (16, 3, 64, 96)
    assert torch.equal(batch.image, sampler.batch(3).image)
