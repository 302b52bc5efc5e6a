"""The points in the map that the tracker finds the camera's pose from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking.rigid import Floats

Ids = npt.NDArray[np.int64]
_FIRST_CAPACITY = 1024


class Landmarks:
    """Points in the map, by id; only those of `shorten` are ever used again.

    A landmark without a position (NaN) is a track whose depth is not known yet.

    Attributes:
        position: (N, 3) in the map, metres; NaN while unknown.
        anchor: (N,) the keyframe that first saw it; its patch is the landmark's appearance.
        anchor_pixel: (N, 2) its pixel in that keyframe, as recorded.
        edge: (N,) bool; True for a point on a straight edge, found across it only.
        alive: (N,) bool; False once culled or merged into another.
        searched: (N,) number of keyframes that looked for it.
        found: (N,) number of those that found it.

    Example:
        >>> landmarks = Landmarks()
        >>> ids = landmarks.add(np.array([[10.0, 12.0], [30.0, 8.0]]), anchor=0)
        >>> landmarks.observe(ids, keyframe=0)
        >>> landmarks.position[1] = 0.0, 0.0, 2.0
        >>> ids.tolist(), landmarks.known(ids).tolist(), landmarks.observers(1)
        ([0, 1], [False, True], [0])
    """

    def __init__(self) -> None:
        self._count = 0
        self._position = np.full((_FIRST_CAPACITY, 3), np.nan)
        self._anchor = np.full(_FIRST_CAPACITY, -1, np.int64)
        self._anchor_pixel = np.zeros((_FIRST_CAPACITY, 2))
        self._alive = np.zeros(_FIRST_CAPACITY, np.bool_)
        self._edge = np.zeros(_FIRST_CAPACITY, np.bool_)
        self._searched = np.zeros(_FIRST_CAPACITY, np.int64)
        self._found = np.zeros(_FIRST_CAPACITY, np.int64)
        self._observers: list[list[int]] = []

    def __len__(self) -> int:
        return self._count

    @property
    def position(self) -> Floats:
        """(N, 3), a view that can be written to."""
        return self._position[: self._count]

    @property
    def anchor(self) -> Ids:
        """(N,) index of the first keyframe of each."""
        return self._anchor[: self._count]

    @property
    def anchor_pixel(self) -> Floats:
        """(N, 2) recorded pixel in that keyframe."""
        return self._anchor_pixel[: self._count]

    @property
    def edge(self) -> npt.NDArray[np.bool_]:
        """(N,), a view that can be written to."""
        return self._edge[: self._count]

    @property
    def alive(self) -> npt.NDArray[np.bool_]:
        """(N,), a view that can be written to."""
        return self._alive[: self._count]

    @property
    def searched(self) -> Ids:
        """(N,), a view that can be written to."""
        return self._searched[: self._count]

    @property
    def found(self) -> Ids:
        """(N,), a view that can be written to."""
        return self._found[: self._count]

    def known(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Return a mask (N,) of the ids that are alive and have a position."""
        return self._alive[ids] & np.isfinite(self._position[ids, 0])

    def add(self, pixels: Floats, anchor: int) -> Ids:
        """Return new ids without a position, first seen at ``pixels`` (N, 2) of ``anchor``."""
        count = len(pixels)
        needed = self._count + count
        while len(self._alive) < needed:
            self._grow()
        ids = np.arange(self._count, needed)
        self._count = needed
        self._anchor[ids] = anchor
        self._anchor_pixel[ids] = pixels
        self._alive[ids] = True
        self._edge[ids] = False
        self._observers.extend([] for _ in range(count))
        return ids

    def observe(self, ids: Ids, keyframe: int) -> None:
        """Remember that a keyframe sees landmarks ``ids`` (N,)."""
        for landmark in ids.tolist():
            self._observers[landmark].append(keyframe)

    def forget(self, ids: Ids, keyframe: int) -> None:
        """Undo `observe`; a landmark without observers is no longer alive."""
        for landmark in ids.tolist():
            seen = self._observers[landmark]
            if keyframe in seen:
                seen.remove(keyframe)
            if not seen:
                self._alive[landmark] = False

    def shorten(self, count: int) -> None:
        """Forget all landmarks but the first ``count``; nobody may observe the others any more."""
        self._position[count : self._count] = np.nan
        self._searched[count : self._count] = 0
        self._found[count : self._count] = 0
        self._alive[count : self._count] = False
        del self._observers[count:]
        self._count = count

    def observers(self, landmark: int) -> list[int]:
        """Return the keyframes that see a landmark, oldest first."""
        return self._observers[landmark]

    def observer_counts(self, ids: Ids) -> Ids:
        """Return the number of keyframes (N,) that see each landmark."""
        return np.array([len(self._observers[i]) for i in ids.tolist()], dtype=np.int64)

    def _grow(self) -> None:
        more = len(self._alive)
        self._position = np.concatenate([self._position, np.full((more, 3), np.nan)])
        self._anchor = np.concatenate([self._anchor, np.full(more, -1, np.int64)])
        self._anchor_pixel = np.concatenate([self._anchor_pixel, np.zeros((more, 2))])
        self._alive = np.concatenate([self._alive, np.zeros(more, np.bool_)])
        self._edge = np.concatenate([self._edge, np.zeros(more, np.bool_)])
        self._searched = np.concatenate([self._searched, np.zeros(more, np.int64)])
        self._found = np.concatenate([self._found, np.zeros(more, np.int64)])
