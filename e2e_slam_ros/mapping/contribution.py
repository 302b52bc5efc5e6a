"""What one keyframe put into the map, kept so that it can be taken out again."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.mapping.surfel_store import Surfels

# A surfel whose other keyframes weigh less than this was this keyframe's alone.
_ALONE = 1e-3


@dataclass(frozen=True, eq=False)
class Change:
    """What a fusion wrote: (M,) slots, the surfels there before (None: nothing) and after."""

    slots: torch.Tensor
    before: Surfels | None
    after: Surfels


@dataclass(frozen=True, eq=False)
class Contribution:
    """A keyframe's share in M surfels: the difference it made to their weighted sums.

    Attributes:
        slots: (M,) int64.
        first_seen: (M,) int32, which tells a surfel from a later one in the same slot.
        weight: (M,) confidence added.
        sums: (M, 9) confidence times position, normal and colour, after minus before.
        fused: number of the fusion that made it.
    """

    slots: torch.Tensor
    first_seen: torch.Tensor
    weight: torch.Tensor
    sums: torch.Tensor
    fused: int

    @staticmethod
    def of(change: Change, keyframe: int) -> Contribution:
        """Return the share of the keyframe that made a change."""
        weight, sums = change.after.confidence, _sums(change.after)
        if change.before is not None:
            weight, sums = weight - change.before.confidence, sums - _sums(change.before)
        return Contribution(change.slots, change.after.first_seen, weight, sums, keyframe)

    def joined(self, other: Contribution) -> Contribution:
        """Return both as one; they have no slot in common."""
        return Contribution(
            torch.cat([self.slots, other.slots]),
            torch.cat([self.first_seen, other.first_seen]),
            torch.cat([self.weight, other.weight]),
            torch.cat([self.sums, other.sums]),
            self.fused,
        )

    def still_there(self, slots: Surfels) -> torch.Tensor:
        """Return (M,) bool: which of the surfels are still in their ``slots``."""
        inside = self.slots < len(slots)
        at = torch.where(inside, self.slots, 0)
        same = slots.first_seen[at] == self.first_seen
        return inside & same & (slots.confidence[at] > 0)

    def select(self, mask: torch.Tensor) -> Contribution:
        """Return the part where ``mask`` (M,) is true."""
        return Contribution(
            self.slots[mask],
            self.first_seen[mask],
            self.weight[mask],
            self.sums[mask],
            self.fused,
        )


def without(surfels: Surfels, contribution: Contribution) -> tuple[Surfels, torch.Tensor]:
    """Return M surfels as if the keyframe had not been, and (M,) bool: which have nothing left.

    The average of the other keyframes is restored up to rounding, except where the bound on
    confidence was reached since; the radius stays that of the finest view.
    """
    rest = surfels.confidence - contribution.weight
    alone = rest < _ALONE
    left = torch.where(alone, 1.0, rest)
    means = (_sums(surfels) - contribution.sums) / left[:, None]
    restored = dataclasses.replace(
        surfels,
        positions=means[:, 0:3],
        normals=functional.normalize(means[:, 3:6], dim=1),
        colors=means[:, 6:9].clamp(0.0, 1.0),
        confidence=left,
    )
    return restored, alone


def _sums(surfels: Surfels) -> torch.Tensor:
    columns = torch.cat([surfels.positions, surfels.normals, surfels.colors], dim=1)
    return columns * surfels.confidence[:, None]
