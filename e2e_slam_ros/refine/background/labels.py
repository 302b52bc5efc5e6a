"""Keyframes that the network learns from, and those that judge it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe

# Every fifth keyframe judges and is not learned from.
_JUDGES = 5
_MOST_JUDGES = 12
# The newest keyframes, of which half of each batch is drawn.
_NEWEST = 8
# A keyframe with fewer sure pixels teaches nothing.
_FEWEST_SURE = 0.05


@dataclass(frozen=True, eq=False)
class RoomLabel:
    """A keyframe's image at the network's input size, and the depth that motion has established.

    Attributes:
        image: (1, 3, h, w) in [0, 1].
        intrinsics: (1, 3, 3) for ``image``.
        depth: (1, 1, h, w) metres.
        weight: (1, 1, h, w) in [0, 1], 0 where the depth is not confirmed.

    Example:
        >>> label = RoomLabel(
        ...     torch.zeros(1, 3, 64, 64), torch.eye(3)[None], torch.ones(1, 1, 64, 64),
        ...     torch.ones(1, 1, 64, 64),
        ... )
        >>> label.is_useful
        True
    """

    image: torch.Tensor
    intrinsics: torch.Tensor
    depth: torch.Tensor
    weight: torch.Tensor

    @property
    def is_useful(self) -> bool:
        """Whether enough pixels are confirmed."""
        return float((self.weight > 0).float().mean()) >= _FEWEST_SURE


def room_label(
    keyframe: Keyframe, estimate: DepthEstimate, size: tuple[int, int] | None
) -> RoomLabel:
    """Return the label of a keyframe at the network's input size (height, width).

    Args:
        keyframe: the image.
        estimate: its depth; the confidence is 0 where no other keyframe confirms it.
        size: of the network's input; None: that of the image.
    """
    # What inference mode made cannot be learned from: everything is copied outside of it.
    with torch.inference_mode(False), torch.no_grad():
        image, depth = keyframe.image.clone(), estimate.depth.clone()
        size = size or (image.shape[-2], image.shape[-1])
        sure = torch.ones_like(depth) if estimate.confidence is None else estimate.confidence
        sure = sure.clone() * (depth > 0)
        small = functional.interpolate(
            image, size, mode="bilinear", align_corners=False, antialias=True
        )
        camera = keyframe.camera.resized(size[1], size[0])
        return RoomLabel(
            small,
            camera.matrix(image.device).unsqueeze(0),
            functional.interpolate(depth, size, mode="nearest-exact"),
            functional.interpolate(sure, size, mode="nearest-exact"),
        )


class RoomLabels:
    """A bounded memory of labels, a sample of the whole walk: nothing is to be forgotten.

    Old labels are replaced at random (reservoir sampling, Vitter 1985), the newest stay.

    Args:
        capacity: labels to learn from.
        seed: of the random choices; equal input gives equal batches.

    Example:
        >>> labels = RoomLabels(capacity=8, seed=0)
        >>> one = RoomLabel(*(torch.ones(1, 1, 2, 2) for _ in range(4)))
        >>> for _ in range(20):
        ...     labels.add(one)
        >>> len(labels), len(labels.judges), len(labels.batch(4))
        (8, 4, 4)
    """

    def __init__(self, capacity: int, seed: int) -> None:
        self._capacity = capacity
        self._random = random.Random(seed)
        self._newest: list[RoomLabel] = []
        self._older: list[RoomLabel] = []
        self._judges: list[RoomLabel] = []
        self._count = self._passed = 0

    def __len__(self) -> int:
        return len(self._newest) + len(self._older)

    @property
    def judges(self) -> Sequence[RoomLabel]:
        """Labels that are held back."""
        return self._judges

    def add(self, label: RoomLabel) -> None:
        """Remember a label; every fifth is held back."""
        self._count += 1
        if self._count % _JUDGES == 0:
            self._keep(self._judges, label, _MOST_JUDGES, self._count // _JUDGES)
            return
        self._newest.append(label)
        if len(self._newest) > min(_NEWEST, self._capacity // 2):
            self._passed += 1
            room = self._capacity - len(self._newest) + 1
            self._keep(self._older, self._newest.pop(0), room, self._passed)

    def batch(self, size: int) -> list[RoomLabel]:
        """Return up to ``size`` labels, half of them among the newest."""
        recent = self._random.sample(self._newest, min(len(self._newest), (size + 1) // 2))
        older = self._older or self._newest
        return recent + self._random.sample(older, min(len(older), size - len(recent)))

    def clear(self) -> None:
        """Forget everything."""
        self._newest.clear()
        self._older.clear()
        self._judges.clear()
        self._count = self._passed = 0

    def _keep(self, kept: list[RoomLabel], label: RoomLabel, most: int, number: int) -> None:
        if len(kept) < most:
            kept.append(label)
            return
        slot = self._random.randrange(number)
        if slot < most:
            kept[slot] = label
