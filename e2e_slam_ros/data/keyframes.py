"""The one memory of keyframes. The pipeline writes it; every other part reads it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from e2e_slam_ros.data.between_frames import BetweenFrames
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, RawDepth
from e2e_slam_ros.data.pose_table import PoseTable
from e2e_slam_ros.geometry.se3 import check_corrections, similarity_scale

# Views turned away by more than this share of the field of view overlap too little.
_MAX_TURN = 0.75


@dataclass(frozen=True, eq=False)
class MappedKeyframe:
    """A keyframe and its depth.

    Attributes:
        keyframe: the view, at its present pose.
        raw: the depth source's answer; None: the keyframe is only a view.
        estimate: the depth that is in the map; None: the keyframe is only a view.
        motion_weight: (1, 1, H, W) >= 0, support of ``estimate`` by known motion; or None.
        between: camera frames before it that became no keyframe, the newest first.

    Example:
        >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> image, pose = torch.zeros(1, 3, 6, 8), torch.eye(4, dtype=torch.float64)
        >>> seen = Keyframe(0, 0, 0, image, camera, pose, None, KeyframeDecision(True, "first"))
        >>> MappedKeyframe(seen).estimate is None  # only a view
        True
    """

    keyframe: Keyframe
    raw: RawDepth | None = None
    estimate: DepthEstimate | None = None
    motion_weight: torch.Tensor | None = None
    between: tuple[Keyframe, ...] = ()


class KeyframeViews(Protocol):
    """The memory of keyframes as depth sources, refiners and trackers see it: read only."""

    def before(self, keyframe: Keyframe, count: int, baseline_m: float) -> list[MappedKeyframe]:
        """Return the newest good neighbours among the earlier keyframes, the newest first."""
        ...

    def after(self, keyframe: Keyframe, count: int, baseline_m: float) -> list[MappedKeyframe]:
        """Return the oldest good neighbours among the later keyframes, the oldest first."""
        ...

    def around(self, keyframe: Keyframe, count: int) -> list[MappedKeyframe]:
        """Return other keyframes whose depth motion supports, the nearest in time first."""
        ...

    def with_depth(self, keyframe: Keyframe, count: int) -> list[MappedKeyframe]:
        """Return other keyframes that have depth, the nearest in time first."""
        ...

    def between(self, keyframe: Keyframe, count: int) -> tuple[Keyframe, ...]:
        """Return camera frames before a keyframe that became none, the newest first."""
        ...

    def depth_of(self, index: int) -> DepthEstimate | None:
        """Return the depth of keyframe number ``index``; None: unknown or no longer kept."""
        ...


class Keyframes:
    """All keyframes by index: every pose, and the images and depths of the newest ones.

    Poses are kept for good (128 bytes each), images and depths for the last ``capacity``
    keyframes. Implements `KeyframeViews`. One thread at a time, `offer` excepted.

    Args:
        capacity: keyframes whose images and depths are kept.
        between: camera frames between keyframes; None: none are kept.

    >>> from e2e_slam_ros.data.keyframes import Keyframes
    >>> memory = Keyframes(capacity=12)
    >>> memory.next_index, len(memory)
    (0, 0)
    """

    def __init__(self, capacity: int, between: BetweenFrames | None = None) -> None:
        self._capacity = capacity
        self._between = between
        self._kept: dict[int, MappedKeyframe] = {}
        self._poses = PoseTable()
        self._next = 0

    def __len__(self) -> int:
        """Return the number of keyframes whose poses are known."""
        return len(self._poses)

    @property
    def next_index(self) -> int:
        """Index of the next keyframe."""
        return self._next

    def poses(self) -> dict[int, torch.Tensor]:
        """Return index -> T_map_camera, (4, 4) float64 on the CPU, in the order of time."""
        return dict(self._poses)

    def recent(self) -> list[MappedKeyframe]:
        """Return the keyframes whose images are kept, the oldest first."""
        return list(self._kept.values())

    def get(self, index: int) -> MappedKeyframe | None:
        """Return keyframe number ``index``; None: unknown or no longer kept."""
        return self._kept.get(index)

    def from_newest(self, number: int) -> MappedKeyframe | None:
        """Return the keyframe that has ``number`` later ones, or None."""
        kept = self.recent()
        return kept[-1 - number] if len(kept) > number else None

    def before(self, keyframe: Keyframe, count: int, baseline_m: float) -> list[MappedKeyframe]:
        """Return the ``count`` newest good neighbours among the earlier keyframes.

        A good neighbour has the same camera, faces the same way and is at least ``baseline_m``
        away. Where no camera is that far away the newest others are returned, so that a refusal
        can name the reason.

        Args:
            keyframe: looked at; it need not be in the memory.
            baseline_m: wanted distance between the cameras, metres.
        """
        earlier = [item for item in self._kept.values() if item.keyframe.index < keyframe.index]
        return _good_neighbours(keyframe, earlier[::-1], count, baseline_m)

    def after(self, keyframe: Keyframe, count: int, baseline_m: float) -> list[MappedKeyframe]:
        """Return the ``count`` oldest good neighbours among the later keyframes; as `before`."""
        later = [item for item in self._kept.values() if item.keyframe.index > keyframe.index]
        return _good_neighbours(keyframe, later, count, baseline_m)

    def around(self, keyframe: Keyframe, count: int) -> list[MappedKeyframe]:
        """Return up to ``count`` others whose depth motion supports, the nearest in time first."""
        others = [item for item in self._others(keyframe) if item.motion_weight is not None]
        return others[:count]

    def with_depth(self, keyframe: Keyframe, count: int) -> list[MappedKeyframe]:
        """Return up to ``count`` others that have depth, the nearest in time first."""
        return [item for item in self._others(keyframe) if item.estimate is not None][:count]

    def _others(self, keyframe: Keyframe) -> list[MappedKeyframe]:
        others = [i for i in self._kept.values() if i.keyframe.index != keyframe.index]
        # Of two as near as each other the earlier comes first.
        others.sort(key=lambda item: abs(item.keyframe.index - keyframe.index))
        return others

    def between(self, keyframe: Keyframe, count: int) -> tuple[Keyframe, ...]:
        """Return up to ``count`` camera frames before a keyframe, the newest first."""
        known = self._kept.get(keyframe.index)
        if known is not None:
            return known.between[:count]
        return () if self._between is None else self._between.before(keyframe.stamp_ns, count)

    def depth_of(self, index: int) -> DepthEstimate | None:
        """Return the depth of keyframe number ``index``; None: unknown or no longer kept."""
        item = self._kept.get(index)
        return None if item is None else item.estimate

    def offer(self, frame: Frame) -> None:
        """Note a camera frame that became no keyframe; any thread."""
        if self._between is not None:
            self._between.offer(frame)

    def refresh_between(self) -> None:
        """Have the frames between keyframes prepared anew: their poses may have changed."""
        if self._between is not None:
            self._between.forget_views()

    def add(self, item: MappedKeyframe) -> None:
        """Remember the newest keyframe.

        Raises:
            ValueError: its index is not `next_index`.
        """
        index = item.keyframe.index
        if index != self._next:
            raise ValueError(f"keyframe {index} after {self._next - 1}")
        self._next += 1
        self._poses.add(index, item.keyframe.T_map_camera.detach())
        self._kept[index] = item
        while len(self._kept) > self._capacity:
            del self._kept[next(iter(self._kept))]

    def revise(self, item: MappedKeyframe) -> None:
        """Replace the depth of a keyframe that is kept by a better one."""
        if item.keyframe.index in self._kept:
            self._kept[item.keyframe.index] = item

    def move(self, T_new_old: Mapping[int, torch.Tensor]) -> None:
        """Correct the poses of keyframes, for every reader.

        The frames between keyframes move with the keyframe that follows them; those after the
        newest keyframe are forgotten. A similarity also scales a keyframe's depth.

        Args:
            T_new_old: index -> (4, 4) similarity from the map before to the map after. Unknown
                indices are ignored.

        Raises:
            PoseError: a transform is no finite (4, 4) similarity. No pose is changed then.
        """
        check_corrections(T_new_old)
        for index, T in T_new_old.items():
            if index not in self._poses:
                continue
            scale = similarity_scale(T)
            self._poses[index] = _moved(self._poses[index], T.double().cpu(), scale)
            if index in self._kept:
                self._kept[index] = _moved_keyframe(self._kept[index], T, scale)
        # No keyframe follows the newest frames yet: they would keep their old poses.
        self.restart()

    def change(self, changed: Callable[[Keyframe], Keyframe]) -> None:
        """Replace each view that is kept, frames between keyframes too; poses must stay."""
        for index, item in self._kept.items():
            between = tuple(changed(view) for view in item.between)
            self._kept[index] = replace(item, keyframe=changed(item.keyframe), between=between)
        self.refresh_between()

    def restart(self) -> None:
        """Forget the camera frames between keyframes: time jumped."""
        if self._between is not None:
            self._between.clear()

    def clear(self, next_index: int = 0) -> None:
        """Forget everything; the next keyframe gets ``next_index``."""
        self.restart()
        self._kept.clear()
        self._poses.clear()
        self._next = next_index


def _good_neighbours(
    keyframe: Keyframe, candidates: Sequence[MappedKeyframe], count: int, baseline_m: float
) -> list[MappedKeyframe]:
    if not candidates:
        return []
    camera = keyframe.camera
    view_angle = 2.0 * math.atan(0.5 * max(camera.width / camera.fx, camera.height / camera.fy))
    pose = keyframe.T_map_camera.double()
    others = torch.stack([item.keyframe.T_map_camera.double() for item in candidates])
    distance = (others[:, :3, 3] - pose[:3, 3]).norm(dim=1)
    turn = (others[:, :3, 2] @ pose[:3, 2]).clamp(-1.0, 1.0).acos()
    # One transfer. A pose that is not finite fails every comparison.
    facts = torch.stack([distance, turn], 1).tolist()
    facing = [
        (metres, item)
        for (metres, angle), item in zip(facts, candidates, strict=True)
        if item.keyframe.camera == camera and angle < _MAX_TURN * view_angle
    ]
    far_enough = [item for metres, item in facing if metres >= baseline_m]
    return (far_enough or [item for _, item in facing])[:count]


def _moved(pose: torch.Tensor, T: torch.Tensor, scale: float) -> torch.Tensor:
    new = T.to(pose) @ pose
    # A camera pose stays rigid: the scale goes to the depth.
    new[:3, :3] = new[:3, :3] / scale
    return new


def _moved_keyframe(item: MappedKeyframe, T: torch.Tensor, scale: float) -> MappedKeyframe:
    def view(keyframe: Keyframe) -> Keyframe:
        return replace(keyframe, T_map_camera=_moved(keyframe.T_map_camera, T, scale))

    estimate = item.estimate
    if estimate is not None and scale != 1.0:
        estimate = replace(estimate, depth=estimate.depth * scale)
    return replace(
        item,
        keyframe=view(item.keyframe),
        estimate=estimate,
        between=tuple(view(other) for other in item.between),
    )
