"""Where frames are relative to the tracker's map, and where mapped keyframes should be by now."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.geometry.se3 import similarity_scale
from e2e_slam_ros.tracking.state import Tracker

Matrix = npt.NDArray[np.float64]
# A mapped keyframe moves when its pose or its scale was corrected by more than this.
_MOVED_M, _MOVED_DEG, _SCALED = 0.01, 0.3, 0.005
# Frames whose place relative to the tracker's map is kept, for those that are still to be mapped.
_REMEMBERED = 1000


class MappedPoses:
    """Poses of frames, each relative to a keyframe of the tracker, and the corrections of them.

    Args:
        tracker: knows where its keyframes are.
        T_map_tracker: (4, 4) the tracker's map in the map.

    Example:
        >>> from e2e_slam_ros.config import Config
        >>> from e2e_slam_ros.slam.trackers import build_tracker
        >>> poses = MappedPoses(build_tracker(Config(), torch.device("cpu")), np.eye(4))
        >>> poses.relative(7) is None, poses.corrections({})
        (True, {})
    """

    def __init__(self, tracker: Tracker, T_map_tracker: Matrix) -> None:
        self._tracker = tracker
        self._T_map_tracker = T_map_tracker
        self._relative: OrderedDict[int, tuple[int, Matrix]] = OrderedDict()
        self._mapped: dict[int, int] = {}
        # Scale that loops had given each keyframe when the map took it over.
        self._scales: dict[int, float] = {}
        self._scale_at: dict[int, float] = {}

    def remember(self, stamp_ns: int, relative: tuple[int, Matrix]) -> None:
        """Keep the place of a frame: a keyframe of the tracker, and the pose (4, 4) in it."""
        self._relative[stamp_ns] = relative
        while len(self._relative) > _REMEMBERED:
            self._relative.popitem(last=False)

    def relative(self, stamp_ns: int) -> tuple[int, Matrix] | None:
        """Return the place of a frame; None where it is not known."""
        return self._relative.get(stamp_ns)

    def refreshed(self, stamp_ns: int, relative: tuple[int, Matrix]) -> Matrix:
        """Return the pose (4, 4) of a frame that is about to be mapped, as it is now."""
        pose, scale = self._placed(relative)
        self._scale_at = {stamp_ns: scale}
        return pose

    def mapped(self, keyframe: Keyframe) -> None:
        """Learn that a keyframe is in the map, at the pose that `refreshed` returned."""
        self._mapped[keyframe.index] = keyframe.stamp_ns
        self._scales[keyframe.index] = self._scale_at.pop(keyframe.stamp_ns, 1.0)

    def corrections(self, poses: Mapping[int, torch.Tensor]) -> dict[int, torch.Tensor]:
        """Return the corrections of mapped keyframes, index -> T_new_old (4, 4) float64.

        Args:
            poses: index -> T_map_camera of the keyframes as they are in the map.
        """
        moves = {}
        for index, old in poses.items():
            relative = self._relative.get(self._mapped.get(index, -1))
            if relative is None:
                continue
            (new, scale), before = self._placed(relative), old.numpy()
            scale /= self._scales[index]
            T_new_old = new @ np.diag([scale, scale, scale, 1.0]) @ np.linalg.inv(before)
            moved_m = np.linalg.norm(new[:3, 3] - before[:3, 3])
            cosine = (np.trace(new[:3, :3] @ before[:3, :3].T) - 1.0) / 2.0
            turned_deg = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
            if moved_m > _MOVED_M or turned_deg > _MOVED_DEG or abs(scale - 1.0) > _SCALED:
                moves[index] = torch.from_numpy(T_new_old)
        return moves

    def corrected(self, moves: Mapping[int, torch.Tensor]) -> None:
        """Learn that the map took over these corrections."""
        for index, T_new_old in moves.items():
            if index in self._scales:
                self._scales[index] *= similarity_scale(T_new_old)

    def clear(self) -> None:
        """Forget everything."""
        self._relative.clear()
        self._mapped.clear()
        self._scales.clear()

    def _placed(self, relative: tuple[int, Matrix]) -> tuple[Matrix, float]:
        """Return a frame's pose in the map, and the scale that loops gave its surroundings."""
        pose, scale = self._tracker.placed(*relative)
        return self._T_map_tracker @ pose, scale
