"""The frames of a recording as the system sees them, for protocols that look at every frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from e2e_slam_ros.config import CameraConfig
from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.slam.preprocess import Preprocessor

_DECISION = KeyframeDecision(True, "every frame")


class WorkingFrames:
    """Every readable frame of a sequence as a keyframe, in order.

    Undistorted and at the working size. A frame without a pose gets the identity: whoever needs
    poses asks `has_pose`.

    Attributes:
        skipped: reason -> how many frames were left out for it.
        first_problem: what was wrong with the first unreadable frame; "" when all could be read.
    """

    def __init__(self, reader: FrameReader, config: CameraConfig, device: torch.device) -> None:
        self._reader = reader
        self._preprocess = Preprocessor(config, device)
        self._posed: set[int] = set()
        self.skipped: dict[str, int] = {}
        self.first_problem = ""

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
                self.skip("unreadable")
                self.first_problem = self.first_problem or str(problem)

    def has_pose(self, keyframe: Keyframe) -> bool:
        """Say whether the recording has a pose for it."""
        return keyframe.index in self._posed

    def skip(self, reason: str) -> None:
        """Count a frame that is left out."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def _keyframe(self, position: int, frame: Frame) -> Keyframe:
        working = self._preprocess(frame)
        pose = torch.eye(4, dtype=torch.float64)
        if frame.T_map_camera is not None:
            pose = torch.tensor(frame.T_map_camera, dtype=torch.float64)
            self._posed.add(position)
        return Keyframe(
            index=position,
            frame_index=frame.index,
            stamp_ns=frame.stamp_ns,
            image=working.image,
            camera=working.camera,
            T_map_camera=pose,
            sensor_depth=working.depth,
            decision=_DECISION,
        )
