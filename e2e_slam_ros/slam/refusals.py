"""Errors for refused input, and the kinds under which diagnostics count them."""

from __future__ import annotations

from e2e_slam_ros.config.errors import CameraError, DepthError, MapError, MessageError, PoseError


class NoPoseError(PoseError):
    """No pose near an image's stamp arrived in time."""


class LostError(PoseError):
    """The tracker does not know where the camera is."""


class NoCameraInfoError(CameraError):
    """No camera_info arrived in time."""


class NoDepthError(DepthError):
    """No depth image near a keyframe's stamp arrived in time."""


class UnsynchronisedError(MessageError):
    """Too many images wait for their other messages."""


class StampError(MessageError):
    """A stamp that is no time: zero, negative, or far from all others."""


class CoveredLensError(MessageError):
    """A picture that shows nothing: even, noise, or dark where it was not."""


class FrozenPictureError(MessageError):
    """The same picture again, though the camera has moved."""


# Subclasses come first, because the first matching class gives the kind.
_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (NoPoseError, "no_pose"),
    (LostError, "lost"),
    (NoCameraInfoError, "no_camera_info"),
    (NoDepthError, "no_depth"),
    (UnsynchronisedError, "unsynchronised"),
    (StampError, "stamp"),
    (CoveredLensError, "covered_lens"),
    (FrozenPictureError, "frozen_picture"),
    (PoseError, "pose"),
    (CameraError, "camera_info"),
    (DepthError, "depth"),
    (MapError, "map"),
    (MessageError, "image"),
    (MemoryError, "out_of_memory"),
)


def refusal_kind(error: Exception) -> str:
    """Return the kind under which an error is counted."""
    for error_type, kind in _KINDS:
        if isinstance(error, error_type):
            return kind
    # torch.cuda.OutOfMemoryError derives from RuntimeError and is absent from CPU builds.
    return "out_of_memory" if "out of memory" in str(error) else "internal"
