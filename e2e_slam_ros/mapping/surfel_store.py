"""Surfels as a structure of arrays that grows without copying at every keyframe."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch


@dataclass(frozen=True, eq=False)
class Surfels:
    """N surfels on one device; 52 bytes each.

    Attributes:
        positions: (N, 3) float32, map frame, metres.
        normals: (N, 3) float32, unit, map frame.
        colors: (N, 3) float32 in [0, 1], RGB.
        confidence: (N,) float32, accumulated observation weight.
        radius: (N,) float32, metres.
        first_seen: (N,) int32, keyframe that created the surfel.
        last_seen: (N,) int32, keyframe that last merged into it.
    """

    positions: torch.Tensor
    normals: torch.Tensor
    colors: torch.Tensor
    confidence: torch.Tensor
    radius: torch.Tensor
    first_seen: torch.Tensor
    last_seen: torch.Tensor

    def __len__(self) -> int:
        return int(self.positions.shape[0])

    def __getitem__(self, index: slice | torch.Tensor) -> Surfels:
        """Return the surfels a slice (as views), a mask or an index selects."""
        return Surfels(*(column[index] for column in self.columns()))

    def columns(self) -> tuple[torch.Tensor, ...]:
        """Return the arrays in the order of the attributes."""
        return tuple(getattr(self, item.name) for item in fields(self))

    @staticmethod
    def empty(capacity: int, device: torch.device) -> Surfels:
        """Return ``capacity`` surfels of undefined content."""

        def column(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.empty((capacity, *shape), dtype=dtype, device=device)

        integer = torch.int32
        return Surfels(
            *(column(3) for _ in range(3)),
            *(column() for _ in range(2)),
            *(column(dtype=integer) for _ in range(2)),
        )


class SurfelStore:
    """Surfels in arrays of spare capacity; ``view()`` is the used part, without a copy."""

    def __init__(self, device: torch.device, capacity: int = 65_536) -> None:
        self._arrays = Surfels.empty(capacity, device)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def view(self) -> Surfels:
        """Return the surfels in use as views: writing to them changes the store."""
        return self._arrays[: self._count]

    def append(self, surfels: Surfels) -> None:
        """Copy ``surfels`` behind those in use; capacity at least doubles when it is short."""
        needed = self._count + len(surfels)
        if needed > len(self._arrays):
            larger = Surfels.empty(
                max(needed, 2 * len(self._arrays)), self._arrays.positions.device
            )
            for new, old in zip(larger.columns(), self.view().columns(), strict=True):
                new[: self._count] = old
            self._arrays = larger
        for column, added in zip(self._arrays.columns(), surfels.columns(), strict=True):
            column[self._count : needed] = added
        self._count = needed

    def keep(self, mask: torch.Tensor) -> None:
        """Keep only the surfels where ``mask`` (N,) is true, in their order."""
        kept = self.view()[mask]
        for column, values in zip(self._arrays.columns(), kept.columns(), strict=True):
            column[: len(kept)] = values
        self._count = len(kept)

    def clear(self) -> None:
        """Forget every surfel; the capacity stays."""
        self._count = 0
