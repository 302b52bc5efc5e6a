"""The last keyframes, from which a keyframe's neighbours are chosen."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe

# Views turned away by more than this share of the field of view have too little in common.
_TURNED = 0.75


@dataclass(eq=False)
class Remembered:
    """A keyframe that was worked on.

    Attributes:
        keyframe: the view.
        unrefined: depth as its source gave it, in the source's units; None: only a view.
        depth: (1, 1, H, W) metres, the best known, 0 = unknown; or None.
        weight: (1, 1, H, W) >= 0, what motion says for ``depth``; or None.
        between: camera frames before it, the newest first, that became no keyframe.
        truth: for evaluation, as it was given.
    """

    keyframe: Keyframe
    unrefined: DepthEstimate | None
    depth: torch.Tensor | None
    truth: torch.Tensor | None = None
    weight: torch.Tensor | None = None
    between: tuple[Keyframe, ...] = ()


class KeyframeHistory:
    """Bounded; the oldest keyframe makes room for the newest."""

    def __init__(self, capacity: int) -> None:
        self._kept: deque[Remembered] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, item: Remembered) -> None:
        """Append the newest keyframe."""
        self._kept.append(item)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()

    def demote(self, keyframe: Keyframe, least_m: float) -> None:
        """Keep of a keyframe the view alone.

        Where keyframe after keyframe is refused they are as close together as camera frames:
        those nearer than ``least_m`` to the view before are forgotten, or none would be far
        enough away to be of use.
        """
        place = self._place(keyframe)
        if place == len(self._kept):
            return
        before = self._kept[place - 1] if place > 0 else None
        del self._kept[place]
        if before is not None and before.unrefined is None:
            moved = keyframe.T_map_camera[:3, 3] - before.keyframe.T_map_camera[:3, 3]
            if float(moved.norm()) < least_m:
                return
        self._kept.insert(place, Remembered(keyframe, None, None))

    def around(self, keyframe: Keyframe, count: int) -> list[Remembered]:
        """Return up to ``count`` others whose depth motion speaks for, nearest in time first."""
        place = self._place(keyframe)
        others = [
            (abs(other - place), item)
            for other, item in enumerate(self._kept)
            if other != place and item.depth is not None and item.weight is not None
        ]
        others.sort(key=lambda pair: pair[0])
        return [item for _, item in others[:count]]

    def from_newest(self, number: int) -> Remembered | None:
        """Return the keyframe with ``number`` later ones, or None."""
        return self._kept[-1 - number] if len(self._kept) > number else None

    def before(self, keyframe: Keyframe, count: int, least_m: float) -> list[Remembered]:
        """Return the ``count`` newest good neighbours among the keyframes earlier than this.

        Args:
            keyframe: looked at; it need not be in the history.
            count: at most so many.
            least_m: distance between the cameras that is wanted, metres. Where none is that far
                away the newest are returned, so that the refusal can name the reason.
        """
        place = self._place(keyframe)
        return _chosen(keyframe, list(self._kept)[:place][::-1], count, least_m)

    def after(self, keyframe: Keyframe, count: int, least_m: float) -> list[Remembered]:
        """Return the ``count`` oldest good neighbours among the later keyframes; as `before`."""
        place = self._place(keyframe)
        return _chosen(keyframe, list(self._kept)[place + 1 :], count, least_m)

    def _place(self, keyframe: Keyframe) -> int:
        for place, item in enumerate(self._kept):
            if item.keyframe is keyframe:
                return place
        return len(self._kept)


def _chosen(
    keyframe: Keyframe, candidates: Sequence[Remembered], count: int, least_m: float
) -> list[Remembered]:
    if not candidates:
        return []
    camera = keyframe.camera
    narrow = 2.0 * math.atan(0.5 * max(camera.width / camera.fx, camera.height / camera.fy))
    pose = keyframe.T_map_camera.double()
    others = torch.stack([item.keyframe.T_map_camera.double() for item in candidates])
    distance = (others[:, :3, 3] - pose[:3, 3]).norm(dim=1)
    angle = (others[:, :3, 2] @ pose[:3, 2]).clamp(-1.0, 1.0).acos()
    alike = [item.keyframe.camera == camera for item in candidates]
    # One transfer; a pose that is not finite fails every comparison.
    facts = zip(torch.stack([distance, angle], 1).tolist(), alike, candidates, strict=True)
    facing = [
        (metres, item) for (metres, turn), same, item in facts if same and turn < _TURNED * narrow
    ]
    moved = [item for metres, item in facing if metres >= least_m]
    return (moved or [item for _, item in facing])[:count]
