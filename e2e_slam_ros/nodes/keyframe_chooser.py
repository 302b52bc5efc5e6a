"""The interface of the choice of keyframes, as the camera input uses it."""

from __future__ import annotations

from typing import Protocol

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import KeyframeDecision


class KeyframeChooser(Protocol):
    """The choice of keyframes, as the camera input drives it."""

    def choose_keyframe(self, frame: Frame, wanted: bool = False) -> KeyframeDecision:
        """Return whether the frame becomes a keyframe; it does if it is ``wanted``."""

    def withdraw(self, stamp_ns: int) -> None:
        """Forget a keyframe that was dropped or refused."""

    def restart(self) -> None:
        """Begin anew: time jumped."""
