"""Keyframes that the network learns from."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe

# The newest keyframes, of which half of each batch is drawn.
_NEWEST = 8
# A keyframe with fewer sure pixels teaches nothing.
_FEWEST_SURE = 0.05


@dataclass(frozen=True, eq=False)
class RoomImage:
    """A keyframe's image at the network's input size.

    Attributes:
        image: (1, 3, h, w) in [0, 1].
        intrinsics: (1, 3, 3) for ``image``.

    Example:
        >>> RoomImage(torch.zeros(1, 3, 64, 64), torch.eye(3)[None]).image.shape
        torch.Size([1, 3, 64, 64])
    """

    image: torch.Tensor
    intrinsics: torch.Tensor


@dataclass(frozen=True, eq=False)
class RoomLabel(RoomImage):
    """A keyframe's image, and the depth that motion has established.

    Attributes:
        depth: (1, 1, h, w), in the network's metres.
        weight: (1, 1, h, w) in [0, 1], 0 where the depth is not confirmed.

    Example:
        >>> label = RoomLabel(
        ...     torch.zeros(1, 3, 64, 64), torch.eye(3)[None], torch.ones(1, 1, 64, 64),
        ...     torch.ones(1, 1, 64, 64),
        ... )
        >>> label.is_useful
        True
    """

    depth: torch.Tensor
    weight: torch.Tensor

    @property
    def is_useful(self) -> bool:
        """Whether enough pixels are confirmed."""
        return float((self.weight > 0).float().mean()) >= _FEWEST_SURE


def room_image(keyframe: Keyframe, size: tuple[int, int] | None) -> RoomImage:
    """Return a keyframe's image at the network's input size (height, width).

    Args:
        keyframe: the image.
        size: of the network's input; None: that of the image.
    """
    # What inference mode made cannot be learned from: everything is copied outside of it.
    with torch.inference_mode(False), torch.no_grad():
        image = keyframe.image.clone()
        size = size or (image.shape[-2], image.shape[-1])
        small = functional.interpolate(
            image, size, mode="bilinear", align_corners=False, antialias=True
        )
        camera = keyframe.camera.resized(size[1], size[0])
        return RoomImage(small, camera.matrix(image.device).unsqueeze(0))


def room_label(
    keyframe: Keyframe,
    estimate: DepthEstimate,
    size: tuple[int, int] | None,
    usual_scale: float = 1.0,
) -> RoomLabel:
    """Return the label of a keyframe at the network's input size (height, width).

    Args:
        keyframe: the image.
        estimate: its depth; the confidence is 0 where no other keyframe confirms it.
        size: of the network's input; None: that of the image.
        usual_scale: metres of one of the network's metres. What is left to learn are shapes, and
            scales that change from view to view: the usual one is known, and changes sooner than
            weights can.
    """
    seen = room_image(keyframe, size)
    size = (seen.image.shape[-2], seen.image.shape[-1])
    with torch.inference_mode(False), torch.no_grad():
        depth = estimate.depth / usual_scale
        sure = torch.ones_like(depth) if estimate.confidence is None else estimate.confidence
        sure = sure.clone() * (depth > 0)
        return RoomLabel(
            seen.image,
            seen.intrinsics,
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
        >>> len(labels), len(labels.batch(4))
        (8, 4)
    """

    def __init__(self, capacity: int, seed: int) -> None:
        self._capacity = capacity
        self._random = random.Random(seed)
        self._newest: list[RoomLabel] = []
        self._older: list[RoomLabel] = []
        self._passed = 0

    def __len__(self) -> int:
        return len(self._newest) + len(self._older)

    def add(self, label: RoomLabel) -> None:
        """Remember a label."""
        self._newest.append(label)
        if len(self._newest) > min(_NEWEST, self._capacity // 2):
            self._passed += 1
            self._keep(self._newest.pop(0), self._capacity - len(self._newest))

    def batch(self, size: int) -> list[RoomLabel]:
        """Return up to ``size`` labels, half of them among the newest."""
        recent = self._random.sample(self._newest, min(len(self._newest), (size + 1) // 2))
        older = self._older or self._newest
        return recent + self._random.sample(older, min(len(older), size - len(recent)))

    def clear(self) -> None:
        """Forget everything."""
        self._newest.clear()
        self._older.clear()
        self._passed = 0

    def _keep(self, label: RoomLabel, most: int) -> None:
        if len(self._older) < most:
            self._older.append(label)
            return
        slot = self._random.randrange(self._passed)
        if slot < most:
            self._older[slot] = label
