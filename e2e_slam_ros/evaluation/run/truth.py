"""Ground truth of the frames of a run, found by stamp in the reader that played them."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.sequence import WrappedReader

# Frames kept whole while they may still be in work (640x480 with depth: 2.2 MB each).
_FRAMES_KEPT = 16


class GroundTruth:
    """True poses and depths by image stamp.

    `observe` wraps the reader, so that whoever plays it fills this in passing and no image is
    decoded twice. A frame that was never observed is looked for in the reader itself.
    Thread-safe.
    """

    def __init__(self, reader: FrameReader | None) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._index: dict[int, int] = {}
        self._poses: dict[int, npt.NDArray[np.float64]] = {}
        self._recent: OrderedDict[int, Frame] = OrderedDict()

    def observe(self, frame: Frame, position: int) -> None:
        """Remember what is true of a frame; ``position`` is where the reader has it."""
        with self._lock:
            self._index[frame.stamp_ns] = position
            if frame.T_map_camera is not None:
                self._poses[frame.stamp_ns] = frame.T_map_camera
            self._recent[frame.stamp_ns] = frame
            if len(self._recent) > _FRAMES_KEPT:
                self._recent.popitem(last=False)

    def pose(self, stamp_ns: int) -> npt.NDArray[np.float64] | None:
        """Return the true (4, 4) camera-to-map pose at a stamp, or None."""
        with self._lock:
            if stamp_ns in self._index:
                return self._poses.get(stamp_ns)
        frame = self._find(stamp_ns)
        return None if frame is None else frame.T_map_camera

    def depth(
        self, stamp_ns: int, height: int, width: int, undistort: bool
    ) -> torch.Tensor | None:
        """Return the true depth at a stamp, resized (nearest) to (H, W) float32 metres, or None.

        ``undistort`` renders it into the view without lens distortion first, as the pipeline
        does with the image.
        """
        frame = self._find(stamp_ns)
        if frame is None or frame.depth is None:
            return None
        truth = torch.as_tensor(frame.depth)[None, None]
        if undistort and frame.camera.is_distorted:
            from e2e_slam_ros.geometry.undistort import Undistorter

            truth = Undistorter(frame.camera, torch.device("cpu"))(truth, mode="nearest")
        resized = torch.nn.functional.interpolate(truth, (height, width), mode="nearest-exact")
        return resized[0, 0]

    def _find(self, stamp_ns: int) -> Frame | None:
        """Return the frame with this stamp; None when there is no such readable frame."""
        with self._lock:
            if stamp_ns in self._recent:
                return self._recent[stamp_ns]
            position = self._index.get(stamp_ns)
        if self._reader is None:
            return None
        try:
            if position is not None:
                return self._reader[position]
            return self._search(self._reader, stamp_ns)
        except E2ESlamError:
            return None

    def _search(self, reader: FrameReader, stamp_ns: int) -> Frame | None:
        """Bisect: readers are ordered by time."""
        low, high = 0, len(reader) - 1
        while low <= high:
            middle = (low + high) // 2
            frame = reader[middle]
            self.observe(frame, middle)
            if frame.stamp_ns == stamp_ns:
                return frame
            if frame.stamp_ns < stamp_ns:
                low = middle + 1
            else:
                high = middle - 1
        return None


class ObservedReader(WrappedReader):
    """A `FrameReader` that tells a `GroundTruth` about every frame read through it."""

    def __init__(self, reader: FrameReader, truth: GroundTruth) -> None:
        super().__init__(reader)
        self._truth = truth

    def __getitem__(self, index: int) -> Frame:
        frame = self._reader[index]
        self._truth.observe(frame, index)
        return frame
