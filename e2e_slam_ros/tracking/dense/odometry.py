"""Dense odometry: each frame is aligned with a keyframe by all its pixels."""

from __future__ import annotations

import threading

import numpy as np
import torch

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.dense.alignment import Aligner, DenseAlignment
from e2e_slam_ros.tracking.dense.gradicp import gradicp_alignment
from e2e_slam_ros.tracking.dense.icp import icp
from e2e_slam_ros.tracking.dense.keyframe import DenseKeyframe
from e2e_slam_ros.tracking.dense.keyframes import DenseKeyframes
from e2e_slam_ros.tracking.dense.map_reference import MapReference
from e2e_slam_ros.tracking.dense.photometric import photometric
from e2e_slam_ros.tracking.dense.preparation import DensePreparation
from e2e_slam_ros.tracking.dense.view import DenseView
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.given_pose import GivenPose
from e2e_slam_ros.tracking.motion_model import MotionModel
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState

ALIGNERS: dict[str, Aligner] = {
    "icp": icp,
    "gradicp": gradicp_alignment,
    "photometric": photometric,
}
# Turns that a lost camera is looked for with, degrees about x and y.
_TURNS = ((0.0, 0.0), (8.0, 0.0), (-8.0, 0.0), (0.0, 8.0), (0.0, -8.0))
# Relative standard deviation below which depth is a sensor's.
_MEASURED_SIGMA = 0.05


class DenseTracker:
    """Tracks a camera by dense alignment with the last keyframe that has depth.

    ICP and gradICP need the depth of every frame; photometric alignment needs it at keyframes,
    and uses that of other frames where there is some.

    Args:
        align: finds the pose of a view relative to a keyframe's; `ALIGNERS` holds some.
        config: the parameters.
        device: where the images are aligned.
        reference: a map whose depth keyframes get; None: they keep their own.

    Attributes:
        state: whether the camera is tracked.
        keyframes: the keyframes; None before the first frame.

    Example:
        >>> camera = PinholeCamera(width=160, height=120, fx=120.0, fy=120.0, cx=79.5, cy=59.5)
        >>> image = np.random.default_rng(0).integers(0, 256, (120, 160, 1), dtype=np.uint8)
        >>> image, depth = image.repeat(3, axis=2), np.full((120, 160), 2.0, np.float32)
        >>> tracker = DenseTracker(photometric, TrackingConfig(), torch.device("cpu"))
        >>> [tracker.track(Frame(i, i, image, camera, depth)).state.value for i in (1, 2)]
        ['tracking', 'tracking']
    """

    def __init__(
        self,
        align: Aligner,
        config: TrackingConfig,
        device: torch.device,
        reference: MapReference | None = None,
    ) -> None:
        self._align = align
        self._uses_normals = align in (icp, gradicp_alignment)
        self._config = config
        self._device = device
        self._reference = reference
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame is the origin."""
        with self._lock:
            self._camera: PinholeCamera | None = None
            self._prepare: DensePreparation | None = None
            self.keyframes: DenseKeyframes | None = None
            self._motion = MotionModel()
            self._last: tuple[int, int, Floats] | None = None
            self._newest_ns = 0
            self._best_overlap = 0.0
            self._searched = 0
            self.state = TrackingState.INITIALISING
            if self._reference is not None:
                self._reference.clear()

    def track(self, frame: Frame, given: GivenPose | None = None) -> TrackedPose:
        """Return the pose of a frame.

        The tracker refuses a frame that is not newer than the last, or that comes from another
        camera. Such a frame changes nothing.

        Raises:
            DepthError: the depth image is not of the image's size.
        """
        with self._lock:
            if self._last is not None and frame.stamp_ns <= self._newest_ns:
                return self._no_pose(frame, "its stamp is not after the last one")
            if self._last is not None and frame.camera != self._camera:
                return self._no_pose(frame, "another camera took it than the keyframes")
            if self._prepare is None or self.keyframes is None or self._camera != frame.camera:
                self._use_camera(frame.camera)
            assert self._prepare is not None and self.keyframes is not None
            view = self._prepare(frame)
            self._newest_ns = frame.stamp_ns
            if self._last is None:
                return self._initialise(frame, view, self.keyframes)
            return self._follow(frame, view, self.keyframes, self._last)

    def adjust(self) -> bool:
        """Return False: nothing is adjusted."""
        return False

    def give_depth(self, stamp_ns: int, depth: DepthImage) -> bool:
        """Store the depth of the keyframe with a stamp; return whether there is one."""
        with self._lock:
            if self.keyframes is None or self._prepare is None:
                return False
            keyframe = self.keyframes.with_stamp(stamp_ns)
            if keyframe is not None and keyframe.view is not None:
                view = self._prepare.with_depth(keyframe.view, depth)
                if depth.relative_sigma >= _MEASURED_SIGMA:
                    view = self.keyframes.in_scale(keyframe, view)
                if self.keyframes.give(keyframe, view):
                    self._best_overlap = 0.0
            return keyframe is not None

    def pose_of(self, keyframe: int, T_keyframe_camera: Floats) -> Floats:
        """Return the pose T_map_camera (4, 4) from a pose relative to a keyframe."""
        with self._lock:
            assert self.keyframes is not None
            return self.keyframes[keyframe].T_map_camera @ T_keyframe_camera

    def placed(self, keyframe: int, T_keyframe_camera: Floats) -> tuple[Floats, float]:
        """Return `pose_of`, and 1: there are no loops that could change the scale."""
        return self.pose_of(keyframe, T_keyframe_camera), 1.0

    def points(self) -> Floats:
        """Return some points (L, 3) of the keyframes' surfaces in the map, metres."""
        with self._lock:
            return np.zeros((0, 3)) if self.keyframes is None else self.keyframes.points()

    @property
    def relative(self) -> tuple[int, Floats] | None:
        """The keyframe that the last frame was tracked against, and the pose relative to it."""
        return None if self._last is None else self._last[1:]

    @property
    def localizes_only(self) -> bool:
        """False: there is no map to localise in."""
        return False

    @property
    def readout_s(self) -> float:
        """0: rows of a rolling shutter are not corrected."""
        return 0.0

    @property
    def loops(self) -> tuple[tuple[int, int], ...]:
        """None: loops are not closed."""
        return ()

    # --- the steps of a frame ---

    def _use_camera(self, camera: PinholeCamera) -> None:
        limits = self._config.odometry
        self._prepare = DensePreparation(camera, limits.width, self._device)
        self.keyframes = DenseKeyframes(
            self._prepare.camera, limits, self._uses_normals, self._reference
        )
        self._camera = camera

    def _initialise(self, frame: Frame, view: DenseView, keyframes: DenseKeyframes) -> TrackedPose:
        with_depth = frame.depth is not None
        if with_depth and not keyframes.usable(view):
            return self._no_pose(frame, "too few pixels with depth and shape")
        keyframe = keyframes.add(frame.stamp_ns, np.eye(4), view, with_depth)
        self._last = frame.stamp_ns, keyframe.index, np.eye(4)
        if keyframe.has_depth:
            self.state = TrackingState.TRACKING
        return TrackedPose(
            frame.stamp_ns, np.eye(4), np.zeros((6, 6)), self.state, 0, "", keyframe.index
        )

    def _follow(
        self,
        frame: Frame,
        view: DenseView,
        keyframes: DenseKeyframes,
        last: tuple[int, int, Floats],
    ) -> TrackedPose:
        references = keyframes.references()
        if not references:
            return self._no_pose(frame, "no keyframe has depth yet")
        if self._uses_normals and frame.depth is None:
            # One missing image says nothing of the camera's motion: the velocity is kept.
            self.state = TrackingState.LOST
            return self._no_pose(frame, "it has no depth image")
        seconds = (frame.stamp_ns - last[0]) * 1e-9
        T_map_before = self.pose_of(*last[1:])
        expected = T_map_before @ self._motion.predict(seconds)
        found = self._search(view, references, expected, T_map_before)
        if found is None:
            return self._lost(frame, "it does not agree with a keyframe")
        keyframe, T_keyframe_camera, result = found
        T_map_camera = keyframe.T_map_camera @ T_keyframe_camera
        self._motion.moved(rigid.inverse(T_map_before) @ T_map_camera, seconds)
        was_lost = self.state == TrackingState.LOST
        self.state = TrackingState.RELOCALISED if was_lost else TrackingState.TRACKING
        overlap = float(result.overlap[0])
        self._best_overlap = max(self._best_overlap, overlap)
        made = None
        # Not while the last keyframe still waits for its depth.
        waits = keyframes[-1] is not references[-1]
        if not waits and self._is_wanted(keyframe, T_keyframe_camera, overlap, references[-1]):
            made = keyframes.add(frame.stamp_ns, T_map_camera, view, frame.depth is not None)
            self._best_overlap = 0.0
            keyframe, T_keyframe_camera = made, np.eye(4)
        self._last = frame.stamp_ns, keyframe.index, T_keyframe_camera
        return TrackedPose(
            frame.stamp_ns,
            T_map_camera,
            result.covariance[0].double().cpu().numpy(),
            self.state,
            int(result.pixels[0]),
            "",
            None if made is None else made.index,
        )

    def _search(
        self,
        view: DenseView,
        references: list[DenseKeyframe],
        expected: Floats,
        T_map_before: Floats,
    ) -> tuple[DenseKeyframe, Floats, DenseAlignment] | None:
        """Align with the newest keyframe from the prediction, then from the last pose turned.

        A lost camera is also compared with one older keyframe a frame, in turn: the cost of a
        frame stays bounded. Returns the keyframe, the pose relative to it and the alignment.
        """
        pyramid = view.pyramid(self._config.odometry.levels)
        newest = references[-1]
        start = rigid.inverse(newest.T_map_camera) @ expected
        first = self._attempt(pyramid, newest, start[None])
        if first is not None:
            return newest, *first
        turns = [rigid.exp(np.radians([0.0, 0.0, 0.0, x, y, 0.0])) for x, y in _TURNS]
        T_newest_before = rigid.inverse(newest.T_map_camera) @ T_map_before
        starts = np.stack([T_newest_before @ turn for turn in turns])
        again = self._attempt(pyramid, newest, starts)
        if again is not None:
            return newest, *again
        if self.state != TrackingState.LOST:
            return None
        self._searched += 1
        other = references[-1 - self._searched % len(references)]
        T_other_before = rigid.inverse(other.T_map_camera) @ T_map_before
        again = self._attempt(pyramid, other, np.stack([T_other_before, np.eye(4)]))
        return None if again is None else (other, *again)

    def _attempt(
        self, pyramid: list[DenseView], keyframe: DenseKeyframe, starts: Floats
    ) -> tuple[Floats, DenseAlignment] | None:
        """Align from (B, 4, 4) starts; return the best pose that is good enough, or None."""
        T = torch.from_numpy(starts).to(pyramid[0].grey)
        chosen = self._align(pyramid, keyframe.pyramid, T).best(self._config.odometry)
        if chosen is None:
            return None
        pose = chosen.T_reference_camera[0].double().cpu().numpy()
        return rigid.orthonormal(pose), chosen

    def _is_wanted(
        self, keyframe: DenseKeyframe, T: Floats, overlap: float, newest: DenseKeyframe
    ) -> bool:
        rule = self._config.keyframe
        return (
            keyframe is not newest
            or float(np.linalg.norm(T[:3, 3])) > rule.parallax * keyframe.median_depth
            or rigid.angle_deg(T) > rule.rotation_deg
            or overlap < (1.0 - rule.lost) * self._best_overlap
        )

    def _lost(self, frame: Frame, reason: str) -> TrackedPose:
        self.state = TrackingState.LOST
        self._motion.reset()
        return self._no_pose(frame, reason)

    def _no_pose(self, frame: Frame, reason: str) -> TrackedPose:
        return TrackedPose(frame.stamp_ns, None, None, self.state, 0, reason)
