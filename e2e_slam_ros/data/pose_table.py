"""Poses of all keyframes in little memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

_FIRST_ROWS = 64


class PoseTable(Mapping[int, torch.Tensor]):
    """Index -> T_map_camera, (4, 4) float64 on the CPU, for indices without gaps.

    A pose takes 128 bytes; as a tensor of its own it would take five times as much, for as long
    as a robot maps. One thread at a time.

    Example:
        >>> poses = PoseTable()
        >>> poses.add(7, torch.eye(4))
        >>> poses.add(8, torch.eye(4))
        >>> list(poses), poses[8].dtype
        ([7, 8], torch.float64)
    """

    def __init__(self) -> None:
        self._rows = torch.empty(_FIRST_ROWS, 4, 4, dtype=torch.float64)
        self._first = self._count = 0

    def __len__(self) -> int:
        """Return the number of poses."""
        return self._count

    def __iter__(self) -> Iterator[int]:
        """Yield the indices in order."""
        return iter(range(self._first, self._first + self._count))

    def __getitem__(self, index: int) -> torch.Tensor:
        """Return a copy of a pose."""
        return self._row(index).clone()

    def __setitem__(self, index: int, pose: torch.Tensor) -> None:
        """Replace a pose that is known."""
        self._row(index).copy_(pose)

    def add(self, index: int, pose: torch.Tensor) -> None:
        """Add the pose that follows the last one; the first one may have any index.

        Raises:
            ValueError: there would be a gap.
        """
        if self._count == 0:
            self._first = index
        elif index != self._first + self._count:
            raise ValueError(f"pose {index} after {self._first + self._count - 1}")
        if self._count == len(self._rows):
            self._rows = torch.cat([self._rows, torch.empty_like(self._rows)])
        self._rows[self._count].copy_(pose)
        self._count += 1

    def clear(self) -> None:
        """Forget all."""
        self._rows = self._rows[:_FIRST_ROWS].clone()
        self._count = 0

    def _row(self, index: int) -> torch.Tensor:
        if not 0 <= index - self._first < self._count:
            raise KeyError(index)
        return self._rows[index - self._first]
