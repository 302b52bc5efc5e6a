"""Recorded transforms between named frames, with look-up at any time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.pose_track import PoseTrack

# Usual names of the world frame (REP 105 and common ground-truth systems).
_WORLD_FRAMES = ("map", "world", "odom")


class TransformTree:
    """Static and moving transforms. Each child frame has one parent, the last one added.

    >>> tree = TransformTree()
    >>> tree.add("map", "base", 0, np.eye(4))
    >>> tree.add("base", "camera", None, np.eye(4))
    >>> tree.ancestors("camera"), tree.world_of("camera")
    (['camera', 'base', 'map'], 'map')
    """

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._static: dict[str, npt.NDArray[np.float64]] = {}
        self._moving: dict[str, dict[int, npt.NDArray[np.float64]]] = {}
        self._tracks: dict[str, PoseTrack] = {}

    def add(
        self,
        parent: str,
        child: str,
        stamp_ns: int | None,
        T_parent_child: npt.NDArray[np.float64],
    ) -> None:
        """Add one (4, 4) transform. ``stamp_ns`` None means a static transform."""
        parent, child = parent.lstrip("/"), child.lstrip("/")
        self._parents[child] = parent
        if stamp_ns is None:
            self._static[child] = T_parent_child
        else:
            self._static.pop(child, None)
            self._moving.setdefault(child, {})[stamp_ns] = T_parent_child
            self._tracks.pop(child, None)

    def ancestors(self, frame: str) -> list[str]:
        """Return ``frame`` and its ancestors, nearest first.

        An unknown frame gives an empty list.
        """
        frame = frame.lstrip("/")
        if frame not in self._parents and frame not in self._parents.values():
            return []
        chain = [frame]
        while chain[-1] in self._parents and self._parents[chain[-1]] not in chain:
            chain.append(self._parents[chain[-1]])
        return chain

    def world_of(self, frame: str) -> str | None:
        """Return the world frame: the ancestor named map, world or odom, else the root."""
        chain = self.ancestors(frame)
        for name in _WORLD_FRAMES:
            if name in chain[1:]:
                return name
        return chain[-1] if len(chain) > 1 else None

    def is_moving(self, ancestor: str, frame: str) -> bool:
        """Return whether a transform between two frames was recorded as moving."""
        chain = self.ancestors(frame)
        if ancestor not in chain:
            return False
        return any(child in self._moving for child in chain[: chain.index(ancestor)])

    def frames(self) -> set[str]:
        """Return the names of all frames."""
        return {*self._parents, *self._parents.values()}

    def moving_frames(self) -> list[str]:
        """Return the frames that move in their parents."""
        return [frame for frame in self._moving if frame not in self._static]

    def moving_stamps(self, frame: str) -> list[int]:
        """Return the stamps of the most frequent transform above a frame."""
        found = [sorted(self._moving[f]) for f in self.ancestors(frame) if f in self._moving]
        return max(found, key=lambda stamps: len(stamps), default=[])

    def rigid_with(self, frame: str) -> list[str]:
        """Return the frames between ``frame`` and the first one that moves, nearest first."""
        chain = self.ancestors(frame)
        rigid = chain[:1]
        for child, parent in zip(chain, chain[1:], strict=False):
            if child in self._moving:
                break
            rigid.append(parent)
        # The last one is the root: with no motion at all nothing says that it is carried along.
        return rigid if any(child in self._moving for child in chain) else chain[:1]

    def between(
        self, target: str, source: str, stamp_ns: int | None, tolerance_ns: int
    ) -> npt.NDArray[np.float64] | None:
        """Return the (4, 4) transform from ``source`` to ``target``, or None.

        The frames need not be above each other. Without a stamp, only whether they are connected
        counts, and the result is the identity.
        """
        target, source = target.lstrip("/"), source.lstrip("/")
        if target == source:
            return np.eye(4)
        up, down = self.ancestors(source), self.ancestors(target)
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            return None
        if stamp_ns is None:
            return np.eye(4)
        T_common_source = self.lookup(common, source, stamp_ns, tolerance_ns)
        T_common_target = self.lookup(common, target, stamp_ns, tolerance_ns)
        if T_common_source is None or T_common_target is None:
            return None
        return np.asarray(np.linalg.inv(T_common_target) @ T_common_source)

    def lookup(
        self, ancestor: str, frame: str, stamp_ns: int, tolerance_ns: int
    ) -> npt.NDArray[np.float64] | None:
        """Return the (4, 4) transform from ``frame`` to ``ancestor`` at a time, or None.

        Moving transforms are interpolated between their neighbours, as tf2 does, but not across
        gaps (`PoseTrack.between_neighbours`).
        """
        chain = self.ancestors(frame)
        ancestor = ancestor.lstrip("/")
        if ancestor not in chain:
            return None
        result = np.eye(4)
        for child in chain[: chain.index(ancestor)]:
            step = self._step(child, stamp_ns, tolerance_ns)
            if step is None:
                return None
            result = step @ result
        return result

    def _step(
        self, child: str, stamp_ns: int, tolerance_ns: int
    ) -> npt.NDArray[np.float64] | None:
        if child in self._static:
            return self._static[child]
        if child not in self._tracks:
            self._tracks[child] = track_of(self._moving[child])
        return self._tracks[child].between_neighbours(stamp_ns, tolerance_ns)


def track_of(poses: dict[int, npt.NDArray[np.float64]]) -> PoseTrack:
    """Return a `PoseTrack` of poses by stamp."""
    stamps = sorted(poses)
    return PoseTrack(
        np.array(stamps, dtype=np.int64),
        np.array([poses[stamp] for stamp in stamps], dtype=np.float64),
    )
