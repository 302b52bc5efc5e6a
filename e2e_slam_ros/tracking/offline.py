"""A recorded sequence tracked from beginning to end."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.given_pose import GivenPose, PoseSigma
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.state import Tracker, TrackingState

# The depth of a frame that became a keyframe; None where there is none.
DepthOf: TypeAlias = Callable[[Frame], DepthImage | None]


@dataclass(frozen=True, eq=False)
class TrackedSequence:
    """The result of a run; row i belongs to frame i.

    Attributes:
        stamps_ns: (N,) int64.
        T_map_camera: (N, 4, 4) final poses, after the last adjustment; NaN where the camera was
            not tracked.
        online: (N, 4, 4) poses at the time of each frame; NaN alike.
        states: (N,) state at each frame.
        reasons: (N,) reason for an unusual result, empty otherwise.
        track_ms, adjust_ms: wall time of each frame and of each adjustment, milliseconds.
        keyframes: frame index of each keyframe.
        landmarks: (L, 3) the known landmarks in the map, metres.
        readout_s: the readout time in use at the end, seconds.

    Example:
        >>> from e2e_slam_ros.config.tracking import TrackingConfig
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> from e2e_slam_ros.tracking.visual_tracker import VisualTracker
        >>> camera = PinholeCamera(width=64, height=48, fx=50.0, fy=50.0, cx=31.5, cy=23.5)
        >>> dark = [Frame(i, i, np.zeros((48, 64, 3), np.uint8), camera) for i in range(2)]
        >>> sequence = track_sequence(dark, VisualTracker(TrackingConfig()))
        >>> sequence.tracked, sequence.keyframes, sequence.reasons[0]
        (0.0, (), 'too few corners in the image')
    """

    stamps_ns: npt.NDArray[np.int64]
    T_map_camera: Floats
    online: Floats
    states: tuple[TrackingState, ...]
    reasons: tuple[str, ...]
    track_ms: Floats
    adjust_ms: Floats
    keyframes: tuple[int, ...]
    landmarks: Floats
    readout_s: float

    @property
    def tracked(self) -> float:
        """Share of the frames with a pose, 0 to 1."""
        return float(np.isfinite(self.T_map_camera[:, 0, 0]).mean()) if len(self.states) else 0.0


def track_sequence(
    frames: Iterable[Frame],
    tracker: Tracker,
    depth_of: DepthOf | None = None,
    sigma: PoseSigma | None = None,
) -> TrackedSequence:
    """Track frames in lock-step: each keyframe is adjusted before the next frame.

    The same frames give the same poses each time.

    Args:
        frames: in order.
        tracker: in its initial state.
        depth_of: returns the depth of a keyframe; the frames' own depth is then not used. None:
            the frames carry measured depth.
        sigma: how far the frames' own poses can be trusted; None: they are not used.
    """
    stamps, online, relative = [], [], []
    states, reasons, keyframes = [], [], []
    track_ms, adjust_ms = [], []
    for frame in frames:
        given = frame if depth_of is None else dataclasses.replace(frame, depth=None)
        began = time.perf_counter()
        there = frame.T_map_camera
        prior = None if sigma is None or there is None else GivenPose(there, sigma)
        pose = tracker.track(given, prior)
        track_ms.append((time.perf_counter() - began) * 1e3)
        if pose.keyframe is not None:
            keyframes.append(frame.index)
            depth = None if depth_of is None else depth_of(frame)
            if depth is not None:
                tracker.give_depth(pose.stamp_ns, depth)
        began = time.perf_counter()
        while tracker.adjust():
            adjust_ms.append((time.perf_counter() - began) * 1e3)
            began = time.perf_counter()
        stamps.append(frame.stamp_ns)
        states.append(pose.state)
        reasons.append(pose.reason)
        nowhere = np.full((4, 4), np.nan)
        online.append(nowhere if pose.T_map_camera is None else pose.T_map_camera)
        relative.append(None if pose.T_map_camera is None else tracker.relative)
    if tracker.localizes_only:
        final = online  # nothing was adjusted that they are relative to
    else:
        final = [np.full((4, 4), np.nan) if r is None else tracker.pose_of(*r) for r in relative]
    return TrackedSequence(
        stamps_ns=np.asarray(stamps, dtype=np.int64),
        T_map_camera=np.stack(final) if final else np.zeros((0, 4, 4)),
        online=np.stack(online) if online else np.zeros((0, 4, 4)),
        states=tuple(states),
        reasons=tuple(reasons),
        track_ms=np.asarray(track_ms),
        adjust_ms=np.asarray(adjust_ms),
        keyframes=tuple(keyframes),
        landmarks=tracker.points(),
        readout_s=tracker.readout_s,
    )
