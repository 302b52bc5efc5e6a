"""Pairs of views of one scene, and sets of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch


@dataclass(frozen=True, eq=False)
class ViewPair:
    """Two views of one scene with the same intrinsics, on the CPU, at their native size.

    Attributes:
        image, source: (3, H, W) uint8, RGB: the target view and the second one; the same image
            twice where there is no second view.
        depth, source_depth: (1, H, W) float32, z in metres, 0 = unknown.
        intrinsics: (3, 3) float32.
        T_source_target: (4, 4) float32, metres; identity where unknown.
        has_source, has_pose, has_depth: the second view, the motion and the depths are known;
            unknown depths are zeros.
        seen, source_seen: (1, H, W) bool, false where a pixel was made up to fill the image;
            None: true everywhere.

    >>> image, depth = torch.zeros(3, 6, 8, dtype=torch.uint8), torch.ones(1, 6, 8)
    >>> pair = ViewPair(image, image, depth, depth, torch.eye(3), torch.eye(4), False, False, True)
    >>> bool(pair.seen_masks()[0].all())
    True
    """

    image: torch.Tensor
    source: torch.Tensor
    depth: torch.Tensor
    source_depth: torch.Tensor
    intrinsics: torch.Tensor
    T_source_target: torch.Tensor
    has_source: bool
    has_pose: bool
    has_depth: bool
    seen: torch.Tensor | None = None
    source_seen: torch.Tensor | None = None

    def seen_masks(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``seen`` and ``source_seen``, true everywhere in place of None."""
        everywhere = torch.ones_like(self.depth, dtype=torch.bool)
        target = everywhere if self.seen is None else self.seen
        return target, everywhere if self.source_seen is None else self.source_seen


@runtime_checkable
class ViewSet(Protocol):
    """A finite, random-access set of views."""

    @property
    def name(self) -> str:
        """Short name, for messages and logs."""
        ...

    def __len__(self) -> int: ...

    def pair(self, index: int, generator: torch.Generator) -> ViewPair:
        """Return view ``index`` with a partner; ``generator`` makes every choice there is."""
        ...
