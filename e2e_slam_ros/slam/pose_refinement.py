"""Given poses, refined by the images once the images disagree with them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.pose import PoseConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.slam.depth_sources import depth_traits
from e2e_slam_ros.slam.given_course import GivenCourse
from e2e_slam_ros.slam.lens_check import LensCheck
from e2e_slam_ros.slam.pose_tracking import PoseTracking, no_notice
from e2e_slam_ros.slam.result import PoseFacts
from e2e_slam_ros.slam.tracker_thread import TrackerJob, TrackerThread
from e2e_slam_ros.tracking.given_pose import GivenPose, PoseSigma
from e2e_slam_ros.tracking.image_agreement import ImageAgreement
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState

Matrix = npt.NDArray[np.float64]
# Images kept until disagreement is seen; noise of a quarter of 3 cm and 1 degree takes as many.
_KEPT = 6
# TF waits so long for the tracker. After that the image goes out with the last pose that was
# found, carried on; what is found for it later counts from then on.
_PATIENCE_S = 0.012
# Mapping waits so long for the pose of its keyframe.
_MAPPING_PATIENCE_S = 0.5


class PoseRefinement:
    """Poses of frames that come with one. Implements `CameraTracking`.

    As long as images agree with the given poses, these are passed on unchanged. From the moment
    that images disagree, a visual tracker finds the poses; the given ones are its prediction and
    its priors. It is built at that moment and not before. It works in a thread of its own, and an
    image with a given pose waits for it 12 ms at most; offline it waits as long as it takes.

    Args:
        config: ``pose`` and ``runtime``.
        build: returns the tracker.

    Attributes:
        on_problem: called with an error of the tracker's thread.
        on_notice: called with a kind and a sentence when something about the given poses is odd.

    Example:
        >>> refinement = PoseRefinement(Config(), lambda: PoseTracking(Config(), None))
        >>> refinement.state.value, refinement.refines
        ('tracking', False)
    """

    def __init__(self, config: Config, build: Callable[[], PoseTracking]) -> None:
        self._config = config.pose
        self._drifts = config.pose.source != "topic"
        # Odometry beside ``pose.source: visual`` is a prior and no more.
        self._always = config.pose.refine == "on" or config.tracking.prior != "none"
        self._measured = depth_traits(config).needs_sensor
        self._build = build
        self._agreement = ImageAgreement(config.pose.disagreement_px)
        self._lens = LensCheck() if config.keyframe.check_lens else None
        self._course = GivenCourse(config.pose.jump_m)
        self._offline = config.runtime.offline
        self._thread: TrackerThread | None = None
        # The last frames and mapped keyframes of before the tracker is built.
        self._frames: deque[Frame] = deque(maxlen=_KEPT)
        self._mapped: deque[tuple[Keyframe, torch.Tensor]] = deque(maxlen=_KEPT)
        self.on_problem: Callable[[Exception], None] | None = None
        self.on_notice: Callable[[str, str], None] = no_notice

    @property
    def refines(self) -> bool:
        """Whether the tracker is at work."""
        return self._thread is not None

    @property
    def _tracking(self) -> PoseTracking | None:
        return None if self._thread is None else self._thread.tracking

    @property
    def needs_mapping(self) -> bool:
        """Whether the tracker's keyframes must be mapped, because that brings their depth.

        With given poses to triangulate by, the depth of the keyframes that are mapped anyway is
        enough.
        """
        return self._measured and self.refines and not self._course.is_trusted

    @property
    def state(self) -> TrackingState:
        """Whether the camera is tracked; given poses count as tracked."""
        return TrackingState.TRACKING if self._tracking is None else self._tracking.state

    @property
    def facts(self) -> PoseFacts:
        """How the poses come about."""
        if self._tracking is None:
            return PoseFacts(self.state.value, "given", "poses", 0.0)
        return replace(self._tracking.facts, poses="refined")

    @property
    def loops(self) -> int:
        """Number of loops closed."""
        return 0 if self._tracking is None else self._tracking.loops

    def track(self, frame: Frame) -> TrackedPose:
        """Return the pose of a frame: the given one, or a better one."""
        given = frame.T_map_camera
        if given is None:
            if self._thread is None:
                return TrackedPose(frame.stamp_ns, None, None, self.state, reason="no pose yet")
            return self._found(self._thread, frame, None)
        if not np.isfinite(given).all():
            return TrackedPose(frame.stamp_ns, given, None, self.state)
        check = None
        if self._thread is None or self._course.is_odd(frame.stamp_ns, given):
            # The edge of what covers a lens stands still in the image, whatever the camera does.
            if self._lens is None or self._lens.look(frame.image).problem is None:
                check = self._agreement.observe(frame, given)
        else:
            self._agreement.skip(frame, given)
        notice = self._course.follow(frame.stamp_ns, given, check, self._agreement.limit_px)
        if notice:
            self.on_notice("given_pose", notice)
        thread = self._tracker(given)
        if thread is None:
            self._frames.append(frame)
            return TrackedPose(frame.stamp_ns, self._placed(given), None, TrackingState.TRACKING)
        if self._course.is_trusted:
            return self._found(thread, frame, GivenPose(self._placed(given), self._sigma(frame)))
        if notice and self.state is TrackingState.INITIALISING:
            # It waits for depth at places that are not true: begin with this image.
            thread.restart(self._placed(given))
        tracked = self._found(thread, frame, None)
        if tracked.T_map_camera is not None:
            self._course.join(tracked.T_map_camera, given)
        return tracked

    def _found(self, thread: TrackerThread, frame: Frame, prior: GivenPose | None) -> TrackedPose:
        """Return the tracked pose, or the given one carried on while the tracker is at work."""
        thread.submit(TrackerJob(frame, prior))
        waits = prior is None or self._offline
        tracked = thread.answer(frame.stamp_ns, None if waits else _PATIENCE_S)
        if tracked is None:
            there = None if prior is None else thread.carried(frame.stamp_ns, prior)
            return TrackedPose(frame.stamp_ns, there, None, self.state, reason="not tracked yet")
        if tracked.T_map_camera is None and prior is not None:
            # An image without corners: the given pose is all there is.
            return replace(tracked, T_map_camera=prior.T_map_camera)
        return tracked

    def finish(self) -> None:
        """Do nothing: the tracker's thread does it."""

    def chosen(self, frame: Frame) -> None:
        """Learn that a frame is going to be mapped."""
        if self._thread is not None:
            self._thread.chosen(frame)

    def refreshed(self, frame: Frame) -> Frame:
        """Return a frame at its pose as the last adjustment left it."""
        if self._thread is not None:
            self._thread.settle(frame.stamp_ns, _MAPPING_PATIENCE_S)
        return frame if self._tracking is None else self._tracking.refreshed(frame)

    def mapped(self, keyframe: Keyframe, depth: torch.Tensor) -> None:
        """Learn that a keyframe is in the map, with its depth (1, 1, H, W) in metres."""
        if self._tracking is not None:
            self._tracking.mapped(keyframe, depth)
        elif self._thread is None:
            self._mapped.append((keyframe, depth))

    def corrections(self, poses: Mapping[int, torch.Tensor]) -> dict[int, torch.Tensor]:
        """Return the corrections of mapped keyframes, index -> T_new_old (4, 4) float64."""
        return {} if self._tracking is None else self._tracking.corrections(poses)

    def corrected(self, moves: Mapping[int, torch.Tensor]) -> None:
        """Learn that the map took over these corrections."""
        if self._tracking is not None:
            self._tracking.corrected(moves)

    def configure(self, config: Config) -> None:
        """Use changed live parameters."""
        self._agreement.limit_px = config.pose.disagreement_px

    def reset(self) -> None:
        """Forget everything; given poses count as right again."""
        self._agreement.reset()
        if self._lens is not None:
            self._lens.reset()
        self._course.reset()
        self._frames.clear()
        self._mapped.clear()
        if self._thread is not None:
            self._thread.restart()

    def close(self) -> None:
        """End the tracker's threads."""
        if self._thread is not None:
            self._thread.close()

    def _tracker(self, given: Matrix) -> TrackerThread | None:
        """Return the tracker's thread; begin when it is needed for the first time."""
        if self._thread is None and (self._always or self._agreement.disagree):
            first = self._frames[0].T_map_camera if self._frames else given
            assert first is not None
            build = partial(self._built, self._placed(first))
            self._thread = TrackerThread(build, self._offline, self._on_error)
            self._catch_up(self._thread)
            if not self._always:
                self.on_notice(
                    "given_pose",
                    "images disagree with the given poses: they are refined from here on "
                    "(pose.refine: off keeps them as they are)",
                )
        return self._thread

    def _built(self, T_map_first: Matrix) -> PoseTracking:
        tracking = self._build()
        tracking.begin_at(T_map_first)
        tracking.on_problem = self.on_problem
        tracking.on_notice = self.on_notice
        return tracking

    def _on_error(self, error: Exception) -> None:
        if self.on_problem is not None:
            self.on_problem(error)

    def _catch_up(self, thread: TrackerThread) -> None:
        """Track the images that were needed to see the disagreement: the map corrects them too."""
        mapped = deque(self._mapped)
        for frame in self._frames:
            assert frame.T_map_camera is not None
            given = self._placed(frame.T_map_camera)
            job = TrackerJob(frame, GivenPose(given, self._sigma(frame)))
            while mapped and mapped[0][0].stamp_ns <= frame.stamp_ns:
                job.mapped.append(mapped.popleft())
            thread.submit(job)
        self._frames.clear()
        self._mapped.clear()

    def _placed(self, given: Matrix) -> Matrix:
        """Return a given pose in the map: the same one, as long as nothing jumped."""
        T_map_given = self._course.T_map_given
        return given if np.array_equal(T_map_given, np.eye(4)) else T_map_given @ given

    def _sigma(self, frame: Frame) -> PoseSigma:
        return pose_sigma(self._config, frame.pose_sigma, self._drifts)


def pose_sigma(config: PoseConfig, stated: tuple[float, float] | None, drifts: bool) -> PoseSigma:
    """Return the uncertainty of a given pose.

    Args:
        config: the configured one.
        stated: the one that came with the pose, metres and radians; or None.
        drifts: given poses are odometry, whose error grows without a bound.
    """
    place = (np.inf, np.inf) if drifts else (config.sigma_m, np.radians(config.sigma_deg))
    position_m, rotation_rad = place if stated is None else stated
    return PoseSigma(
        position_m,
        rotation_rad,
        config.motion_sigma_m,
        float(np.radians(config.motion_sigma_deg)),
        config.motion_sigma_share,
    )
