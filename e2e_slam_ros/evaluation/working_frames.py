"""The frames of a recording as keyframes, for protocols that look at every frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch

from e2e_slam_ros.config import CameraConfig, Config
from e2e_slam_ros.config.errors import DataError, E2ESlamError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.evaluation.score_table import counted
from e2e_slam_ros.slam.preprocess import Preprocessor

_DECISION = KeyframeDecision(True, "every frame")


class WorkingFrames:
    """Every readable frame of a sequence as a keyframe, in order.

    Images are undistorted and have the working size. A frame without a pose gets the identity;
    `has_pose` tells them apart.

    Attributes:
        skipped: reason -> number of frames left out.
        first_problem: the error of the first unreadable frame; "" when all could be read.
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
        """Return True when the recording has a pose for the frame."""
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


def no_frame_scored(
    frames: int, left_out: Mapping[str, int], problem: str, needed: str, do: str, config: Config
) -> DataError:
    """Return the error of a sequence without a frame that could be scored.

    Args:
        frames: number of frames.
        left_out: reason -> number of frames.
        problem: text of the first error; may be empty.
        needed: the frames that can be scored, in words.
        do: advice.
        config: gives the range of depth.
    """
    reasons = ", ".join(counted(left_out))
    if problem:
        reasons += f"; the first problem: {problem}"
    return DataError.from_parts(
        "frames to evaluate",
        f"none of {frames:,} that could be compared: {reasons}",
        f"{needed} between depth.min_m = {config.depth.min_m:g} and "
        f"depth.max_m = {config.depth.max_m:g} m",
        do,
    )
