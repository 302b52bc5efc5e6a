"""Ground truth of the frames of a run, by stamp, from the reader that played them."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.sequence import WrappedReader
from e2e_slam_ros.geometry.undistort import Undistorter

# Frames kept whole while they may still be in work (640x480 with depth: 2.2 MB each).
_FRAMES_KEPT = 16


class ObservedReader(WrappedReader):
    """A reader that knows the truth of every frame read through it. Thread-safe.

    The latest frames are kept, so that no image is decoded twice.

    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> reader = ObservedReader(ProceduralReader(0, 1, 32, 24, texture_size=64))
    >>> reader.true_pose(reader[0].stamp_ns).shape
    (4, 4)
    """

    def __init__(self, reader: FrameReader) -> None:
        super().__init__(reader)
        self._lock = threading.Lock()
        self._index: dict[int, int] = {}
        self._poses: dict[int, npt.NDArray[np.float64]] = {}
        self._recent: OrderedDict[int, Frame] = OrderedDict()

    def __getitem__(self, index: int) -> Frame:
        frame = self._reader[index]
        with self._lock:
            self._index[frame.stamp_ns] = index
            if frame.T_map_camera is not None:
                self._poses[frame.stamp_ns] = frame.T_map_camera
            self._recent[frame.stamp_ns] = frame
            if len(self._recent) > _FRAMES_KEPT:
                self._recent.popitem(last=False)
        return frame

    def true_pose(self, stamp_ns: int) -> npt.NDArray[np.float64] | None:
        """Return the true (4, 4) camera-to-map pose of the frame with this stamp, or None."""
        with self._lock:
            return self._poses.get(stamp_ns)

    def true_depth(
        self, stamp_ns: int, height: int, width: int, undistort: bool
    ) -> torch.Tensor | None:
        """Return the true depth (H, W) float32 of the frame with this stamp, metres, or None.

        It is resized to ``height`` x ``width`` (nearest); with ``undistort``, lens distortion
        is taken out first, as the pipeline does with the image.
        """
        frame = self._find(stamp_ns)
        if frame is None or frame.depth is None:
            return None
        truth = torch.as_tensor(frame.depth)[None, None]
        if undistort and frame.camera.is_distorted:
            truth = Undistorter(frame.camera, torch.device("cpu"))(truth, mode="nearest")
        resized = torch.nn.functional.interpolate(truth, (height, width), mode="nearest-exact")
        return resized[0, 0]

    def _find(self, stamp_ns: int) -> Frame | None:
        """Return the frame; None when it was never read, or cannot be read again."""
        with self._lock:
            if stamp_ns in self._recent:
                return self._recent[stamp_ns]
            position = self._index.get(stamp_ns)
        if position is None:
            return None
        try:
            return self._reader[position]
        except E2ESlamError:
            return None
