"""Camera frames between keyframes, kept because they show a keyframe's surroundings again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import torch

from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.slam.preprocess import WorkingImage

# Frames kept; at camera rate only those that moved are.
_KEPT = 8
_BETWEEN = KeyframeDecision(False, "between keyframes")


class BetweenFrames:
    """The last camera frames that became no keyframe, each a little way from the one before.

    Nothing is computed until a keyframe asks. Not for several threads at once.

    Args:
        least_m: distance between the cameras of two frames, metres.
    """

    def __init__(self, least_m: float) -> None:
        self._least_m = least_m
        self._frames: deque[Frame] = deque(maxlen=_KEPT)

    def offer(self, frame: Frame) -> None:
        """Keep a frame with a pose if it moved since the last one that was kept."""
        assert frame.T_map_camera is not None
        if self._frames:
            last = self._frames[-1].T_map_camera
            assert last is not None
            if np.linalg.norm(frame.T_map_camera[:3, 3] - last[:3, 3]) < self._least_m:
                return
        self._frames.append(frame)

    def before(self, stamp_ns: int, count: int) -> list[Frame]:
        """Return up to ``count`` frames earlier than a stamp, the newest first."""
        earlier = [frame for frame in reversed(self._frames) if frame.stamp_ns < stamp_ns]
        return earlier[:count]

    def clear(self) -> None:
        """Forget all."""
        self._frames.clear()


def as_views(
    frames: list[Frame], preprocess: Callable[[Frame], WorkingImage]
) -> tuple[Keyframe, ...]:
    """Return frames as tensors at the working size; those that cannot be used are left out."""
    views = []
    for frame in frames:
        try:
            working = preprocess(frame)
        except E2ESlamError:
            continue
        views.append(
            Keyframe(
                index=-1,
                frame_index=frame.index,
                stamp_ns=frame.stamp_ns,
                image=working.image,
                camera=working.camera,
                T_map_camera=torch.tensor(frame.T_map_camera, dtype=torch.float64),
                sensor_depth=None,
                decision=_BETWEEN,
            )
        )
    return tuple(views)
