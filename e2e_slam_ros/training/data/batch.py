"""Batches of pairs of views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch

from e2e_slam_ros.training.data.views import ViewPair

# A frozen dataclass of tensors that all begin with the dimension of the batch.
AnyTensors = TypeVar("AnyTensors")


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Views of scenes, all float32 and bool on one device.

    Attributes:
        image: (B, 3, H, W), the target view: in [0, 1], or uint8 as stored, before augmentation.
        depth: (B, 1, H, W), z in metres, 0 = unknown.
        intrinsics: (B, 3, 3), of both views.
        source: (B, 3, H, W), a second view; a copy of ``image`` where there is none.
        source_depth: (B, 1, H, W).
        T_source_target: (B, 4, 4), metres; identity where unknown.
        has_source, has_pose, has_depth: (B,) bool.
        seen, source_seen: (B, 1, H, W) bool, false where a pixel was made up to fill the image.

    >>> image, one = torch.zeros(2, 3, 4, 4), torch.ones(2, 1, 4, 4)
    >>> k, T, yes = torch.eye(3).expand(2, 3, 3), torch.eye(4).expand(2, 4, 4), torch.ones(2) > 0
    >>> len(PairBatch(image, one, k, image, one, T, yes, yes, yes, one > 0, one > 0))
    2
    """

    image: torch.Tensor
    depth: torch.Tensor
    intrinsics: torch.Tensor
    source: torch.Tensor
    source_depth: torch.Tensor
    T_source_target: torch.Tensor
    has_source: torch.Tensor
    has_pose: torch.Tensor
    has_depth: torch.Tensor
    seen: torch.Tensor
    source_seen: torch.Tensor

    def __len__(self) -> int:
        return len(self.image)

    def to(self, device: torch.device | str) -> PairBatch:
        """Return the batch on another device."""
        return moved(self, device)


def stacked(batches: Sequence[AnyTensors]) -> AnyTensors:
    """Return several batches as one; their tensors differ in the first dimension alone."""
    kind: Any = type(batches[0])
    names = [item.name for item in fields(kind)]
    batch: AnyTensors = kind(*(torch.cat([getattr(b, name) for b in batches]) for name in names))
    return batch


def moved(batch: AnyTensors, device: torch.device | str) -> AnyTensors:
    """Return a batch on another device."""
    kind: Any = type(batch)
    there: AnyTensors = kind(*(getattr(batch, item.name).to(device) for item in fields(kind)))
    return there


def stored_batch(pairs: Sequence[ViewPair]) -> PairBatch:
    """Return views of one size as a batch, images as stored (uint8)."""
    columns: dict[str, torch.Tensor] = {}
    for name in (item.name for item in fields(PairBatch)):
        masks = name in ("seen", "source_seen")
        values = [
            pair.seen_masks()[name == "source_seen"] if masks else getattr(pair, name)
            for pair in pairs
        ]
        is_tensor = isinstance(values[0], torch.Tensor)
        columns[name] = torch.stack(values) if is_tensor else torch.tensor(values)
    return PairBatch(**columns)
