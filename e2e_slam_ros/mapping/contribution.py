"""The share of one keyframe in the map, kept so that it can be taken out again."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.mapping.motion import KeyframeMotion
from e2e_slam_ros.mapping.surfel_store import Surfels

# A surfel whose other keyframes weigh less than this was this keyframe's alone.
_ALONE = 1e-3


@dataclass(frozen=True, eq=False)
class Change:
    """The result of a fusion: (M,) slots, and their surfels before (None: no surfels) and after.

    >>> made = Surfels.empty(2, torch.device("cpu"))
    >>> len(Change(torch.tensor([4, 7]), None, made).after)
    2
    """

    slots: torch.Tensor
    before: Surfels | None
    after: Surfels


@dataclass(frozen=True, eq=False)
class Contribution:
    """A keyframe's share in M surfels: the difference it made to their weighted sums.

    >>> made = Surfels.empty(2, torch.device("cpu"))
    >>> made.confidence[:] = torch.tensor([1.0, 2.0])
    >>> share = Contribution.of(Change(torch.tensor([4, 7]), None, made), fusion=5)
    >>> share.weight.tolist(), share.fused
    ([1.0, 2.0], 5)

    Attributes:
        slots: (M,) int64.
        created: (M,) int32, which tells a surfel from a later one in the same slot.
        weight: (M,) confidence added.
        sums: (M, 9) confidence times position, normal and colour, after minus before.
        fused: number of the fusion that made it.
    """

    slots: torch.Tensor
    created: torch.Tensor
    weight: torch.Tensor
    sums: torch.Tensor
    fused: int

    @staticmethod
    def of(change: Change, fusion: int) -> Contribution:
        """Return the share of the keyframe that made a change in fusion number ``fusion``."""
        weight, sums = change.after.confidence, _sums(change.after)
        if change.before is not None:
            weight, sums = weight - change.before.confidence, sums - _sums(change.before)
        return Contribution(change.slots, change.after.created, weight, sums, fusion)

    def joined(self, other: Contribution) -> Contribution:
        """Return both as one; they have no slot in common."""
        return Contribution(
            torch.cat([self.slots, other.slots]),
            torch.cat([self.created, other.created]),
            torch.cat([self.weight, other.weight]),
            torch.cat([self.sums, other.sums]),
            self.fused,
        )

    def still_there(self, slots: Surfels) -> torch.Tensor:
        """Return (M,) bool: which of the surfels are still in their ``slots``."""
        inside = self.slots < len(slots)
        at = torch.where(inside, self.slots, 0)
        same = slots.created[at] == self.created
        return inside & same & (slots.confidence[at] > 0)

    def select(self, mask: torch.Tensor) -> Contribution:
        """Return the part where ``mask`` (M,) is true."""
        return Contribution(
            self.slots[mask],
            self.created[mask],
            self.weight[mask],
            self.sums[mask],
            self.fused,
        )

    def moved(self, motion: KeyframeMotion, keyframe: torch.Tensor) -> Contribution:
        """Return the share after surfels created by (M,) ``keyframe`` moved.

        A sum of weighted positions moves by the turn, and by the shift times its weight; a sum
        of weighted normals turns. Both are exact, whichever keyframe the share belongs to.
        """
        row = motion.rows(keyframe)
        some = torch.nonzero(row >= 0).squeeze(1)
        sums = self.sums.clone()
        chosen, weight = sums[some], self.weight[some]
        sums[some, 0:3] = motion.points(chosen[:, 0:3], row[some], weight)
        sums[some, 3:6] = motion.directions(chosen[:, 3:6], row[some])
        return dataclasses.replace(self, sums=sums)

    def renamed(self, new_slot: torch.Tensor, created: torch.Tensor) -> Contribution:
        """Return the share with slot s called ``new_slot[s]``; rows that meet there are added up.

        Args:
            new_slot: (S,) int64, over the old slots.
            created: (S',) int32, over the new slots.
        """
        slots, row = torch.unique(new_slot[self.slots], return_inverse=True)
        weight = self.weight.new_zeros(slots.numel()).index_add_(0, row, self.weight)
        sums = self.sums.new_zeros((slots.numel(), 9)).index_add_(0, row, self.sums)
        return Contribution(slots, created[slots], weight, sums, self.fused)


class Contributions:
    """The shares of the last ``most`` keyframes, by keyframe index.

    >>> shares = Contributions()
    >>> shares.since(12)
    12
    """

    def __init__(self) -> None:
        self._shares: OrderedDict[int, Contribution] = OrderedDict()

    def __iter__(self) -> Iterator[int]:
        return iter(self._shares)

    def __getitem__(self, index: int) -> Contribution:
        return self._shares[index]

    def keep(self, index: int, share: Contribution, most: int) -> None:
        """Remember keyframe ``index``'s share and forget the oldest beyond ``most``."""
        self._shares[index] = share
        while len(self._shares) > most:
            self._shares.popitem(last=False)

    def take(self, index: int, most: int) -> Contribution:
        """Return keyframe ``index``'s share and forget it.

        Raises:
            MapError: it is not among the last ``most``.
        """
        if index not in self._shares:
            known = ", ".join(str(i) for i in self._shares) or "none"
            raise MapError.from_parts(
                "keyframe to revise",
                index,
                f"one of the last {most} ({known})",
                "raise map.revisable_keyframes",
            )
        return self._shares.pop(index)

    def since(self, now: int) -> int:
        """Return the number of the fusion that made the oldest share, ``now`` without any."""
        return min((share.fused for share in self._shares.values()), default=now)

    def drop_gone(self, slots: Surfels) -> None:
        """Forget the shares in surfels that are no longer in ``slots``."""
        for index, share in self._shares.items():
            self._shares[index] = share.select(share.still_there(slots))

    def move(self, motion: KeyframeMotion, slots: Surfels) -> None:
        """Move the shares with their surfels; all of these must still be in ``slots``."""
        for index, share in self._shares.items():
            self._shares[index] = share.moved(motion, slots.keyframe[share.slots])

    def rename(self, old: torch.Tensor, new: torch.Tensor, slots: Surfels, count: int) -> None:
        """Follow surfels from (K,) slots ``old`` to ``new``; ``count`` slots there were before."""
        new_slot = torch.arange(count, device=old.device)
        new_slot[old] = new
        for index, share in self._shares.items():
            self._shares[index] = share.renamed(new_slot, slots.created)

    def clear(self) -> None:
        """Forget every share."""
        self._shares.clear()


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
