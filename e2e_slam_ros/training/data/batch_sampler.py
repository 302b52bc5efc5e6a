"""Batches from several sets of views, each in its share; the same ones for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.data.augment import draw_cameras, look_through
from e2e_slam_ros.training.data.batch import PairBatch, stacked, stored_batch
from e2e_slam_ros.training.data.config import AugmentConfig
from e2e_slam_ros.training.data.photometric_augment import change_colors_each
from e2e_slam_ros.training.data.resident_views import ResidentViews
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
        """Return the batch of a step (from 0) for one of the processes.

        It is on the CPU, or on the device of a set that is kept there (`ResidentViews`).
        """
        generator = torch.Generator()
        # Neighbouring seeds give unrelated numbers once torch has mixed them.
        generator.manual_seed((self._seed * 1_000_003 + step) * self._world + rank)
        chosen = torch.multinomial(
            self._weights, self._batch_size, replacement=True, generator=generator
        )
        recorded = self._recorded(torch.bincount(chosen, minlength=len(self._sets)), generator)
        device = max((batch.image.device for batch in recorded), key=lambda d: d.type != "cpu")
        return stacked([self._augmented(batch.to(device), generator) for batch in recorded])

    def _recorded(self, counts: torch.Tensor, generator: torch.Generator) -> list[PairBatch]:
        """Return random views as stored, ``counts`` of each set, as batches of equal size."""
        batches: list[PairBatch] = []
        by_size: dict[tuple[int, ...], list[ViewPair]] = {}
        for views, count in zip(self._sets, counts.tolist(), strict=True):
            if count == 0:
                continue
            indices = torch.randint(len(views), (count,), generator=generator)
            if isinstance(views, ResidentViews):
                batches.append(views.batch(indices, generator))
                continue
            for index in indices.tolist():
                pair = views.pair(index, generator)
                by_size.setdefault(tuple(pair.image.shape), []).append(pair)
        return batches + [stored_batch(pairs) for pairs in by_size.values()]

    def _augmented(self, recorded: PairBatch, generator: torch.Generator) -> PairBatch:
        if not self._pairs:
            nothing = torch.zeros_like(recorded.has_source)
            recorded = replace(recorded, has_source=nothing, has_pose=nothing)
        size = (int(recorded.image.shape[-2]), int(recorded.image.shape[-1]))
        cameras = draw_cameras(recorded.intrinsics, size, self._augment, *self._size, generator)
        seen = look_through(recorded, cameras, *self._size)
        paired = bool(recorded.has_source.any())
        views = torch.stack([seen.image, seen.source] if paired else [seen.image], dim=1)
        images = change_colors_each(views, self._augment, generator)
        return replace(seen, image=images[:, 0], source=images[:, -1])
