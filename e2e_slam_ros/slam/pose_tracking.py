"""The visual tracker as the system runs it: its thread, its depth, and the map that follows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.slam.adjustment_thread import AdjustmentThread
from e2e_slam_ros.slam.keyframe_depth import DepthOf
from e2e_slam_ros.slam.mapped_poses import MappedPoses
from e2e_slam_ros.slam.result import PoseFacts
from e2e_slam_ros.slam.trackers import build_tracker
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.given_pose import GivenPose
from e2e_slam_ros.tracking.map_scale import MapScale
from e2e_slam_ros.tracking.map_state import StateDict, TrackingMap
from e2e_slam_ros.tracking.place_search import PoseGuess
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState
from e2e_slam_ros.tracking.visual_tracker import VisualTracker

Matrix = npt.NDArray[np.float64]

# The first camera looks level along the map's x axis, as REP-103 has it: z forward becomes x.
T_MAP_FIRST = np.array(
    [[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
_UP = T_MAP_FIRST[:3, :3].T @ np.array([0.0, 0.0, 1.0])


def no_notice(kind: str, text: str) -> None:
    """Take a notice that nobody listens for."""
    del kind, text


class PoseTracking:
    """Poses of camera frames from their images.

    `track` runs at camera rate on the receiving thread. The adjustment of the tracker's keyframes
    runs on a thread of its own; offline it runs at once, so that equal input gives equal poses.

    Args:
        config: ``tracking`` and ``runtime.offline``.
        depth_of: gives the tracker's keyframes their depth; None: it is measured, and arrives by
            `mapped`, or with the frames if `needs_depth`.
        device: where dense odometry aligns images; None: the CPU.
        refines: frames come with a pose, and depth only with the keyframes that are mapped anyway.

    Attributes:
        on_problem: called from the thread with an error that cost a keyframe its adjustment.
        on_notice: called with a kind and a sentence for the user.

    Example:
        >>> tracking = PoseTracking(Config().with_values({"runtime.offline": True}), None)
        >>> tracking.state.value, tracking.needs_mapping, tracking.loops
        ('initialising', True, 0)
    """

    def __init__(
        self,
        config: Config,
        depth_of: DepthOf | None,
        device: torch.device | None = None,
        refines: bool = False,
    ) -> None:
        self._tracker = build_tracker(config, device or torch.device("cpu"))
        self._dense = config.pose.is_dense
        # The tracker whose map can be saved and loaded; None for dense odometry.
        self._visual = self._tracker if isinstance(self._tracker, VisualTracker) else None
        self._sigmas = config.tracking.adjustment
        self._depth_of = depth_of
        self._refines = refines
        self._T_map_tracker = np.eye(4) if refines else T_MAP_FIRST
        self.on_problem: Callable[[Exception], None] | None = None
        self.on_notice: Callable[[str, str], None] = no_notice
        self._stopped = ""
        # The last frame with a pose, and its keyframe, until `finish`.
        self._unfinished: tuple[Frame, int | None] | None = None
        self._poses = MappedPoses(self._tracker, self._T_map_tracker)
        self._adjustment = AdjustmentThread(
            self._give_depth,
            self._adjust,
            self._on_error,
            offline=config.runtime.offline,
            awaits_depth=depth_of is None and not refines,
        )

    @property
    def needs_mapping(self) -> bool:
        """Whether the tracker's keyframes must be mapped, because that brings their depth."""
        return self._depth_of is None and not self._dense and not self._refines

    @property
    def needs_depth(self) -> bool:
        """Whether frames must come with their measured depth."""
        return self._depth_of is None and self._dense

    @property
    def state(self) -> TrackingState:
        """Whether the camera is tracked."""
        return TrackingState.LOST if self._stopped else self._tracker.state

    @property
    def localizes_only(self) -> bool:
        """Whether nothing may be mapped."""
        return self._visual is not None and self._visual.localizes_only

    @property
    def has_loaded_map(self) -> bool:
        """Whether the tracker's map came from a file."""
        return self._visual is not None and self._visual.map.fixed > 0

    @property
    def can_load(self) -> bool:
        """Whether the tracker can find the camera in a map from a file."""
        return self._visual is not None

    @property
    def facts(self) -> PoseFacts:
        """How the poses come about."""
        # Dense odometry has measured depth alone.
        scale = MapScale.by_sensor() if self._visual is None else self._visual.scale
        readout_s = self._tracker.readout_s
        return PoseFacts(self.state.value, "images", scale.source, scale.sigma, readout_s)

    @property
    def loops(self) -> int:
        """Number of loops closed."""
        return len(self._tracker.loops)

    def begin_at(self, T_map_camera: Matrix) -> None:
        """Set the pose (4, 4) that the map begins at."""
        assert self._visual is not None
        self._visual.begin_at(T_map_camera)

    def landmarks(self) -> Matrix:
        """Return the known landmarks (L, 3) in the map, metres."""
        T = self._T_map_tracker
        points: Matrix = self._tracker.points() @ T[:3, :3].T + T[:3, 3]
        return points

    def track(self, frame: Frame, given: GivenPose | None = None) -> TrackedPose:
        """Return the pose of a frame in the map; the pose is None while the camera is lost."""
        if self._stopped:
            return TrackedPose(frame.stamp_ns, None, None, self.state, 0, self._stopped)
        self.finish()
        depth = frame.depth if self.needs_depth else None
        tracked = self._tracker.track(replace(frame, depth=depth, T_map_camera=None), given)
        if tracked.T_map_camera is None:
            return tracked
        self._unfinished = frame, tracked.keyframe
        return replace(tracked, T_map_camera=self._T_map_tracker @ tracked.T_map_camera)

    def finish(self) -> None:
        """Do what the pose of the last frame did not wait for; `track` begins with it.

        Call it once the pose is out: a new keyframe of the tracker gets its corners here.
        """
        unfinished, self._unfinished = self._unfinished, None
        relative = None if unfinished is None else self._tracker.relative
        if unfinished is None or relative is None:
            return
        frame, keyframe = unfinished
        self._poses.remember(frame.stamp_ns, relative)
        if keyframe is not None and not self.needs_depth:
            self._adjustment.submit(frame)

    def chosen(self, frame: Frame) -> None:
        """Learn that a frame is going to be mapped: its depth helps the tracker."""
        self.finish()
        if self._refines and self._depth_of is None and self._visual is not None:
            self._visual.keep_last(frame)

    def refreshed(self, frame: Frame) -> Frame:
        """Return a frame at its pose as the last adjustment left it."""
        relative = self._poses.relative(frame.stamp_ns)
        if relative is None:
            return frame
        pose = self._poses.refreshed(frame.stamp_ns, relative)
        sigma = np.inf if self._visual is None else self._visual.sigma_of(relative[0])
        tracked = sigma if np.isfinite(sigma) else None
        return replace(frame, T_map_camera=pose, tracked_sigma_rad=tracked)

    def mapped(self, keyframe: Keyframe, depth: torch.Tensor) -> None:
        """Learn that a keyframe is in the map, and take its measured depth.

        Args:
            keyframe: at the working size.
            depth: (1, 1, H, W) metres, 0 = unknown.
        """
        self._poses.mapped(keyframe)
        if self._depth_of is not None:
            return
        values = depth.detach().reshape(depth.shape[-2:]).float().cpu().numpy()
        image = DepthImage(
            values, keyframe.camera, self._sigmas.sensor_sigma, self._sigmas.sensor_sigma_m
        )
        self._tracker.give_depth(keyframe.stamp_ns, image)
        self._adjustment.measured(keyframe.stamp_ns)

    def corrections(self, poses: Mapping[int, torch.Tensor]) -> dict[int, torch.Tensor]:
        """Return the corrections of mapped keyframes, index -> T_new_old (4, 4) float64.

        A correction is a similarity where a loop has changed the scale, else rigid. Call
        `corrected` once the map follows.

        Args:
            poses: index -> T_map_camera of the keyframes as they are in the map.
        """
        return self._poses.corrections(poses)

    def corrected(self, moves: Mapping[int, torch.Tensor]) -> None:
        """Learn that the map took over these corrections."""
        self._poses.corrected(moves)

    def reset(self) -> None:
        """Forget everything; the next frame is the origin of a new map."""
        self._tracker.reset()
        self._forget()

    def state_dict(self) -> StateDict:
        """Return the tracker's map as named tensors, to be saved; empty without keyframes."""
        return {} if self._visual is None else self._visual.state_dict()

    def load(self, loaded: TrackingMap, state: StateDict) -> None:
        """Replace the tracker's map by one from a file; look for the camera in it (any thread).

        Call it only if `can_load`.

        Args:
            loaded: the map; it is taken over.
            state: the tensors that it was made from.
        """
        assert self._visual is not None
        self._visual.load(loaded, state)
        self._forget()

    def stop(self, reason: str) -> None:
        """Give no poses until the next `reset` or `load`: there is no map to find them in."""
        self._forget()
        self._stopped = reason

    def look(self) -> None:
        """Look for the camera in the map, as if it had been carried elsewhere."""
        if self._visual is not None:
            self._visual.look()

    def look_near(self, T_map_camera: Matrix, radius_m: float, angle_deg: float) -> None:
        """Look for the camera in the map, first near a pose.

        Args:
            T_map_camera: (4, 4) optical frame to map.
            radius_m: horizontal distance within which keyframes are compared.
            angle_deg: angle between the viewing directions likewise.
        """
        T_tracker_camera = np.linalg.inv(T_MAP_FIRST) @ T_map_camera
        if self._visual is not None:
            self._visual.look(PoseGuess(T_tracker_camera, radius_m, angle_deg, _UP))

    @property
    def has_map(self) -> bool:
        """Whether there are keyframes to find the camera by."""
        visual = self._visual
        return visual is not None and not self._stopped and len(visual.map.keyframes) > 0

    @property
    def guess_failures(self) -> int:
        """How often the camera was not found near a given pose."""
        return 0 if self._visual is None else self._visual.guess_failures

    def _forget(self) -> None:
        self._stopped, self._unfinished = "", None
        self._adjustment.clear()
        self._poses.clear()

    def close(self) -> None:
        """End the thread."""
        self._adjustment.close()

    def _give_depth(self, frame: Frame) -> None:
        depth = None if self._depth_of is None else self._depth_of(frame)
        if depth is not None:
            self._tracker.give_depth(frame.stamp_ns, depth)

    def _adjust(self) -> None:
        while self._tracker.adjust():
            if self._visual is None:
                continue
            for warning in self._visual.warnings():
                self.on_notice("calibration", warning)
            while self._visual.scale.warnings:
                self.on_notice("scale", self._visual.scale.warnings.popleft())

    def _on_error(self, error: Exception) -> None:
        if self.on_problem is not None:
            self.on_problem(error)
