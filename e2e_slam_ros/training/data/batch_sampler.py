"""Batches from several sets of views, each in its share; the same ones for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.data.augment import draw_camera, look_through
from e2e_slam_ros.training.data.batch import PairBatch
from e2e_slam_ros.training.data.config import AugmentConfig
from e2e_slam_ros.training.data.photometric_augment import change_colors
from e2e_slam_ros.training.data.views import ViewPair, ViewSet


class BatchSampler:
    """Draws views from sets in proportion to their weights, augments and stacks them.

    A batch depends on seed, step, rank and the number of processes alone: a resumed
    run sees the same batches as one that never stopped.

    Args:
        sets: views and their weights, > 0.
        world: number of processes; each has batches of its own.
        pairs: whether second views are used; leaving them out saves half of the work.

    Raises:
        TrainingError: nothing to draw from.

    >>> image, depth = torch.zeros(3, 32, 32, dtype=torch.uint8), torch.ones(1, 32, 32)
    >>> k = torch.tensor([[32.0, 0, 15.5], [0, 32, 15.5], [0, 0, 1]])
    >>> view = ViewPair(image, image, depth, depth, k, torch.eye(4), False, False, True)
    >>> class One:
    ...     name = "one"
    ...     def __len__(self) -> int:
    ...         return 1
    ...     def pair(self, index: int, generator: torch.Generator) -> ViewPair:
    ...         return view
    >>> sampler = BatchSampler([(One(), 1.0)], 0, 2, 32, 32, AugmentConfig(), pairs=False)
    >>> sampler.batch(step=0).image.shape
    torch.Size([2, 3, 32, 32])
    """

    def __init__(
        self,
        sets: Sequence[tuple[ViewSet, float]],
        seed: int,
        batch_size: int,
        width: int,
        height: int,
        augment: AugmentConfig,
        world: int = 1,
        pairs: bool = True,
    ) -> None:
        if not sets or not any(weight > 0 and len(views) > 0 for views, weight in sets):
            raise TrainingError.from_parts(
                "training data", "no views", "at least one set with views", "add data"
            )
        self._sets = [views for views, _ in sets]
        self._weights = torch.tensor(
            [weight if len(views) > 0 else 0.0 for views, weight in sets], dtype=torch.float64
        )
        self._seed, self._world, self._batch_size = seed, world, batch_size
        self._size, self._pairs = (height, width), pairs
        self._augment = augment

    def batch(self, step: int, rank: int = 0) -> PairBatch:
        """Return the batch of a step (from 0) for one of the processes, on the CPU."""
        generator = torch.Generator()
        # Neighbouring seeds give unrelated numbers once torch has mixed them.
        generator.manual_seed((self._seed * 1_000_003 + step) * self._world + rank)
        chosen = torch.multinomial(
            self._weights, self._batch_size, replacement=True, generator=generator
        )
        return _stacked([self._sample(int(index), generator) for index in chosen])

    def _sample(self, which: int, generator: torch.Generator) -> ViewPair:
        views = self._sets[which]
        index = int(torch.randint(len(views), (), generator=generator))
        pair = views.pair(index, generator)
        if not self._pairs:
            pair = replace(pair, has_source=False, has_pose=False)
        camera = draw_camera(pair, self._augment, *self._size, generator)
        seen = look_through(pair, camera, *self._size)
        views_seen = [seen.image, seen.source] if seen.has_source else [seen.image]
        images = change_colors(torch.stack(views_seen), self._augment, generator)
        return replace(seen, image=images[0], source=images[-1])


def _stacked(pairs: Sequence[ViewPair]) -> PairBatch:
    columns: dict[str, torch.Tensor] = {}
    for name in (item.name for item in fields(PairBatch)):
        values = [getattr(pair, name) for pair in pairs]
        stacked = isinstance(values[0], torch.Tensor)
        columns[name] = torch.stack(values) if stacked else torch.tensor(values)
    return PairBatch(**columns)
