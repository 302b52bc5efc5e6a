"""Batches of groups of views; the same ones for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.data.batch import stacked
from e2e_slam_ros.training.dro.batch import DroBatch
from e2e_slam_ros.training.dro.groups import GroupConfig, changed, group
from e2e_slam_ros.training.dro.walk import Walk

# How often a batch has 1, 2, 3 and 4 neighbours.
_COUNTS = (0.3, 0.4, 0.15, 0.15)


class WalkSet(Protocol):
    """Walks of images of one size.

    >>> from e2e_slam_ros.training.dro.walks import Walks
    >>> hasattr(Walks, "walk")  # fulfils the protocol
    True
    """

    def __len__(self) -> int: ...

    def walk(self, number: int) -> Walk:
        """Return walk ``number``."""
        ...


class KeptWalks:
    """Walks that are in memory.

    >>> len(KeptWalks([]))
    0
    """

    def __init__(self, walks: Sequence[Walk]) -> None:
        self._walks = list(walks)

    def __len__(self) -> int:
        return len(self._walks)

    def walk(self, number: int) -> Walk:
        """Return walk ``number``."""
        return self._walks[number]


class GroupSampler:
    """Draws groups of views from sets of walks, changes and stacks them.

    A batch depends on seed, step, rank and the number of processes alone. It is drawn from one
    set, because sets may differ in the size of their images.

    Args:
        sets: walks and their weights, > 0.
        world: number of processes.

    Raises:
        TrainingError: nothing to draw from.

    >>> GroupSampler([], 0, 2, GroupConfig())
    Traceback (most recent call last):
    ...
    e2e_slam_ros.config.errors.TrainingError: training data: got no walks, expected at least ...
    """

    def __init__(
        self,
        sets: Sequence[tuple[WalkSet, float]],
        seed: int,
        batch_size: int,
        changes: GroupConfig,
        world: int = 1,
    ) -> None:
        self._sets = [walks for walks, weight in sets if weight > 0 and len(walks) > 0]
        weights = [weight for walks, weight in sets if weight > 0 and len(walks) > 0]
        if not self._sets:
            raise TrainingError.from_parts(
                "training data", "no walks", "at least one set with walks", "add data"
            )
        self._weights = torch.tensor(weights, dtype=torch.float64)
        self._seed, self._world, self._batch_size = seed, world, batch_size
        self._changes = changes

    def batch(self, step: int, rank: int) -> DroBatch:
        """Return the batch of a step (from 0) for one of the processes, on the CPU."""
        generator = torch.Generator()
        generator.manual_seed((self._seed * 1_000_003 + step) * self._world + rank)
        walks = self._sets[int(torch.multinomial(self._weights, 1, generator=generator))]
        count = 1 + int(torch.multinomial(torch.tensor(_COUNTS), 1, generator=generator))
        samples = []
        for _ in range(self._batch_size):
            walk = walks.walk(int(torch.randint(len(walks), (), generator=generator)))
            frame = int(torch.randint(2, len(walk.depth), (), generator=generator))
            sample = group(walk, frame, count, generator)
            samples.append(changed(sample, self._changes, generator))
        return stacked(samples)
