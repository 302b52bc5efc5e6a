"""The frames of a recording as keyframes, for protocols that look at every frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch

from e2e_slam_ros.config import CameraConfig
from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.evaluation.left_out import LeftOut
from e2e_slam_ros.slam.preprocess import Preprocessor

_DECISION = KeyframeDecision(True, "every frame")


class WorkingFrames:
    """Every readable frame of a sequence as a keyframe, in order.

    Images are undistorted and have the working size. A frame without a pose gets the identity;
    `has_pose` tells them apart.

    Attributes:
        left_out: the frames that cannot be read; protocols add others.

    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> reader = ProceduralReader(0, 1, 64, 48, texture_size=64)
    >>> [keyframe.index for keyframe in WorkingFrames(reader, CameraConfig(), torch.device("cpu"))]
    [0]
    """

    def __init__(self, reader: FrameReader, config: CameraConfig, device: torch.device) -> None:
        self._reader = reader
        self._preprocess = Preprocessor(config, device)
        self._posed: set[int] = set()
        self.left_out = LeftOut()

    def __len__(self) -> int:
        return len(self._reader)

    def __iter__(self) -> Iterator[Keyframe]:
        return self.at(range(len(self._reader)))

    def at(self, positions: Iterable[int]) -> Iterator[Keyframe]:
        """Return the frames at these positions; ``Keyframe.index`` is the position."""
        for position in positions:
            try:
                frame = self._reader[position]
                yield self._keyframe(position, frame)
            except E2ESlamError as problem:
                self.left_out.add("unreadable", problem)

    def has_pose(self, keyframe: Keyframe) -> bool:
        """Return True when the recording has a pose for the frame."""
        return keyframe.index in self._posed

    def _keyframe(self, position: int, frame: Frame) -> Keyframe:
        if frame.T_map_camera is None:
            frame = replace(frame, T_map_camera=np.eye(4))
        else:
            self._posed.add(position)
        return self._preprocess.keyframe(frame, _DECISION, position)
