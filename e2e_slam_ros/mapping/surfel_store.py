"""Surfels as a structure of arrays, in pages that each belong to one voxel block."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from e2e_slam_ros.geometry.masks import indices

# Surfels of a page. Pages are copied whole, which makes the surfels of a block cheap to read. The
# last page of a block is half empty on average, a few per cent of its surfels.
PAGE = 32
# Capacity grows by this factor: copies are rare, and the unused part is never touched.
_GROWTH = 1.5
# Keyframe of a surfel from a file that does not say which keyframe created it.
UNKNOWN_KEYFRAME = -1


@dataclass(frozen=True, eq=False)
class Surfels:
    """N surfels on one device; 56 bytes each.

    The map numbers its fusions from 0. ``created`` and ``updated`` are such numbers: a revised
    keyframe is fused again and gets a new one. ``keyframe`` stays the keyframe's own index.

    >>> made = Surfels.empty(4, torch.device("cpu"))
    >>> len(made), made.positions.shape, made.keyframe.dtype
    (4, torch.Size([4, 3]), torch.int32)
    >>> len(made[torch.tensor([True, False, True, False])])
    2

    Attributes:
        positions: (N, 3) float32, map frame, metres.
        normals: (N, 3) float32, unit, map frame.
        colors: (N, 3) float32 in [0, 1], RGB.
        confidence: (N,) float32, accumulated observation weight; 0 is a free slot.
        radius: (N,) float32, metres.
        keyframe: (N,) int32, `Keyframe.index` of the keyframe that created the surfel. Negative
            numbers belong to no keyframe of this run: `UNKNOWN_KEYFRAME`, or -2 - k for keyframe
            k of an earlier run.
        created: (N,) int32, number of the fusion that created the surfel.
        updated: (N,) int32, number of the fusion that last merged into it.
    """

    positions: torch.Tensor
    normals: torch.Tensor
    colors: torch.Tensor
    confidence: torch.Tensor
    radius: torch.Tensor
    keyframe: torch.Tensor
    created: torch.Tensor
    updated: torch.Tensor

    def __len__(self) -> int:
        return int(self.positions.shape[0])

    def __getitem__(self, index: slice | torch.Tensor) -> Surfels:
        """Return the surfels a slice (as views), a mask or an index selects."""
        if isinstance(index, torch.Tensor) and index.dtype == torch.int64:
            return Surfels(*(column.index_select(0, index) for column in self.columns()))
        return Surfels(*(column[index] for column in self.columns()))

    def columns(self) -> tuple[torch.Tensor, ...]:
        """Return the arrays in the order of the attributes."""
        return tuple(getattr(self, name) for name in _COLUMNS)

    def to(self, device: torch.device) -> Surfels:
        """Return the surfels on a device."""
        return Surfels(*(column.to(device) for column in self.columns()))

    @staticmethod
    def empty(count: int, device: torch.device) -> Surfels:
        """Return ``count`` surfels of undefined content."""

        def column(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.empty((count, *shape), dtype=dtype, device=device)

        return Surfels(
            *(column(3) for _ in range(3)),
            *(column() for _ in range(2)),
            *(column(dtype=torch.int32) for _ in range(3)),
        )


_COLUMNS = tuple(item.name for item in fields(Surfels))


class SurfelStore:
    """Slots in pages of `PAGE`; a slot is free while its confidence is 0.

    A surfel keeps its slot for as long as it lives. `compact` is the exception.

    >>> store = SurfelStore(torch.device("cpu"))
    >>> block = torch.zeros(3, dtype=torch.int64)
    >>> slots = store.take_slots(block, rank_in_group(block), blocks=1)
    >>> made = Surfels.empty(3, torch.device("cpu"))
    >>> made.confidence[:] = 1.0
    >>> store.write(slots, made)
    >>> len(store), store.live()
    (3, tensor([0, 1, 2]))
    """

    def __init__(self, device: torch.device, pages: int = 1024) -> None:
        self._device = device
        self._slots = Surfels.empty(pages * PAGE, device)
        self._block = torch.full((pages,), -1, dtype=torch.int64, device=device)
        self._used_pages = 0
        self._count = 0

    def __len__(self) -> int:
        """Number of surfels."""
        return self._count

    @property
    def slots(self) -> Surfels:
        """All slots up to the last page in use, free ones included, as views."""
        return self._slots[: self._used_pages * PAGE]

    @property
    def page_block(self) -> torch.Tensor:
        """(P,) int64: the block that owns each page, -1 for none."""
        return self._block[: self._used_pages]

    def live(self) -> torch.Tensor:
        """Return (N,) int64: the slots that hold a surfel."""
        return indices(self.slots.confidence > 0)

    def page_confidence(self) -> torch.Tensor:
        """Return (P, PAGE) confidence, as a view."""
        return self._slots.confidence[: self._used_pages * PAGE].view(-1, PAGE)

    def add_pages(self, blocks: torch.Tensor) -> torch.Tensor:
        """Give each of (K,) blocks a page, abandoned pages first; returns (K,) page numbers."""
        free = indices(self.page_block < 0)[: blocks.numel()]
        fresh = blocks.numel() - free.numel()
        self._reserve(self._used_pages + fresh)
        start = self._used_pages
        self._used_pages += fresh
        pages = torch.cat([free, torch.arange(start, self._used_pages, device=self._device)])
        self._block[pages] = blocks
        self.page_confidence()[pages] = 0.0
        return pages

    def pages_of(self, blocks: torch.Tensor) -> torch.Tensor:
        """Return the pages that belong to (B,) bool ``blocks``."""
        owner = self.page_block
        if blocks.numel() == 0:
            return owner[:0]
        return indices((owner >= 0) & blocks.index_select(0, owner.clamp_min(0)))

    def take_slots(self, owners: torch.Tensor, rank: torch.Tensor, blocks: int) -> torch.Tensor:
        """Return (K,) free slots, one in the pages of each wanted block; pages are added.

        Args:
            owners: (K,) int64 sorted, the block each slot is wanted in.
            rank: (K,) int64, position among the equal ones of ``owners``.
            blocks: number of blocks there are.
        """
        wanted = torch.bincount(owners, minlength=blocks)
        pages = self.pages_of(wanted > 0)
        vacant = (self.page_confidence().index_select(0, pages) <= 0).sum(1)
        owner = self.page_block.index_select(0, pages)
        free = torch.zeros_like(wanted).index_add_(0, owner, vacant)
        missing = (wanted - free).clamp_min(0)
        number = torch.arange(blocks, device=self._device)
        added = self.add_pages(number.repeat_interleave((missing + PAGE - 1) // PAGE))
        pages = torch.cat([pages, added])
        owner = self.page_block.index_select(0, pages)
        pages = pages.index_select(0, torch.argsort(owner, stable=True))
        vacant = self.page_confidence().index_select(0, pages).flatten() <= 0
        slots = page_slots(pages).index_select(0, indices(vacant))
        available = torch.bincount(
            self.page_block.index_select(0, slots // PAGE), minlength=blocks
        )
        first = available.cumsum(0) - available
        return slots[first[owners] + rank]

    def update(self, slots: torch.Tensor, surfels: Surfels, before: Surfels | None = None) -> None:
        """Replace surfels in their slots; columns shared with ``before`` stay as they are."""
        unchanged = () if before is None else before.columns()
        kept = {id(column) for column in unchanged}
        for column, values in zip(self._slots.columns(), surfels.columns(), strict=True):
            if id(values) not in kept:
                column.index_copy_(0, slots, values)

    def write(self, slots: torch.Tensor, surfels: Surfels) -> None:
        """Put new surfels into free slots."""
        self.update(slots, surfels)
        self._count += slots.numel()

    def remove(self, slots: torch.Tensor) -> None:
        """Free slots that hold surfels."""
        self._slots.confidence.index_fill_(0, slots, 0.0)
        self._count -= slots.numel()

    def release_empty_pages(self, pages: torch.Tensor) -> None:
        """Take pages without a surfel from their blocks."""
        if pages.numel():
            empty = self.page_confidence().index_select(0, pages).amax(1) <= 0
            self._block.index_fill_(0, pages.index_select(0, indices(empty)), -1)

    def compact(self, blocks: torch.Tensor) -> None:
        """Close the gaps in (B,) bool ``blocks`` and release the pages this frees."""
        owner = self.page_block
        pages = self.pages_of(blocks)
        pages = pages[torch.argsort(owner[pages], stable=True)]
        slots = page_slots(pages)
        live = self.slots.confidence[slots] > 0
        owners = owner[pages].repeat_interleave(PAGE)
        moved = self._slots[slots[live]]
        # Both lists are in block order: the r-th surfel of a block goes to its r-th slot.
        target = slots[rank_in_group(owners) < _counted_in_group(owners, live)]
        self._slots.confidence.index_fill_(0, slots, 0.0)
        for column, values in zip(self._slots.columns(), moved.columns(), strict=True):
            column.index_copy_(0, target, values)
        self.release_empty_pages(pages)

    def relabel(self, new_block: torch.Tensor) -> None:
        """Rename the owners of all pages: block b becomes ``new_block[b]``."""
        owner = self.page_block
        owner.copy_(torch.where(owner >= 0, new_block[owner.clamp_min(0)], -1))

    def clear(self) -> None:
        """Forget every surfel; the capacity stays."""
        self._used_pages = self._count = 0

    def _reserve(self, pages: int) -> None:
        capacity = self._block.numel()
        if pages <= capacity:
            return
        capacity = max(pages, int(capacity * _GROWTH))
        larger = Surfels.empty(capacity * PAGE, self._device)
        for new, old in zip(larger.columns(), self.slots.columns(), strict=True):
            new[: len(old)] = old
        self._slots = larger
        block = torch.full((capacity,), -1, dtype=torch.int64, device=self._device)
        block[: self._used_pages] = self.page_block
        self._block = block


def page_slots(pages: torch.Tensor) -> torch.Tensor:
    """Return the (K * PAGE,) slots of (K,) pages."""
    within = torch.arange(PAGE, device=pages.device)
    return (pages[:, None] * PAGE + within).flatten()


def rank_in_group(sorted_groups: torch.Tensor) -> torch.Tensor:
    """Return each element's position among the equal ones of a sorted (N,) int64 array."""
    position = torch.arange(sorted_groups.numel(), device=sorted_groups.device)
    starts = torch.ones_like(sorted_groups, dtype=torch.bool)
    starts[1:] = sorted_groups[1:] != sorted_groups[:-1]
    first = torch.where(starts, position, 0)
    return position - first.cummax(0).values if position.numel() else position


def _counted_in_group(sorted_groups: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Return, for each element, the number of its group that are ``counted``."""
    unique, group = torch.unique_consecutive(sorted_groups, return_inverse=True)
    counts = torch.zeros(unique.numel(), dtype=torch.int64, device=group.device)
    return counts.index_add_(0, group, counted.long())[group]
