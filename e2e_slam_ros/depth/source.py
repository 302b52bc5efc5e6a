"""What every source of depth offers."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe


@runtime_checkable
class DepthSource(Protocol):
    """Gives keyframes their depth.

    Attributes:
        name: "sensor", "motion_stereo" or "network"; what `DepthEstimate.source` says.
    """

    name: str

    def estimate(self, keyframe: Keyframe) -> DepthEstimate:
        """Return the keyframe's depth at the keyframe's size, on its device.

        Raises:
            DepthError: there is no usable depth for this keyframe.
        """
        ...

    def reset(self) -> None:
        """Forget earlier keyframes, if any are kept."""
        ...
