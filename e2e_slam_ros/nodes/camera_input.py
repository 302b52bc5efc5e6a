"""The part of the system that runs at camera rate, in the executor thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.bag_topics import is_rectified
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.mapping.checks import check_pose
from e2e_slam_ros.nodes.acknowledger import Acknowledger
from e2e_slam_ros.nodes.camera_frame import CameraFrame
from e2e_slam_ros.nodes.camera_streams import CameraStreams
from e2e_slam_ros.nodes.depth_matcher import DepthMatcher
from e2e_slam_ros.nodes.depth_wait import DepthWait
from e2e_slam_ros.nodes.diagnostics import Diagnostics
from e2e_slam_ros.nodes.frame_assembler import MAX_PENDING, FrameAssembler
from e2e_slam_ros.nodes.keyframe_chooser import KeyframeChooser
from e2e_slam_ros.nodes.keyframe_handover import KeyframeHandover
from e2e_slam_ros.nodes.keyframe_job import KeyframeJob
from e2e_slam_ros.nodes.lost_images import LostImages
from e2e_slam_ros.nodes.pose_sources import make_pose_source
from e2e_slam_ros.nodes.stamps import stamp_to_ns
from e2e_slam_ros.nodes.tracked_frames import TrackedFrames
from e2e_slam_ros.nodes.trajectory_output import TrajectoryOutput
from e2e_slam_ros.slam.depth_sources import needs_depth_images
from e2e_slam_ros.slam.observer import RunObserver
from e2e_slam_ros.slam.pose_refinement import PoseRefinement
from e2e_slam_ros.slam.pose_tracking import PoseTracking
from e2e_slam_ros.slam.refusals import refusal_kind

# How often what waits is looked at. The timer always runs: cancelling one that another thread
# is about to call is an error in rclpy.
_POLL_S = 0.02
# Offline nothing may be lost because the machine was busy for a moment.
_OFFLINE_PATIENCE_S = 1.0
_OFFLINE_PLACES = 256


class CameraInput:
    """Images in; TF, odometry and path out at camera rate; keyframes handed on.

    Args:
        config: may be replaced by `reconfigure`.
        on_keyframe: takes each keyframe; must not block.
        tracking: finds the poses of frames that come without one; or None.
        refinement: refines the poses of frames that come with one; or None.
        repeat: called with the stamp of an image that came twice; true: it answers for it.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        chooser: KeyframeChooser,
        diagnostics: Diagnostics,
        on_keyframe: Callable[[KeyframeJob], None],
        observer: RunObserver | None = None,
        repeat: Callable[[int], bool] | None = None,
        tracking: PoseTracking | None = None,
        refinement: PoseRefinement | None = None,
    ) -> None:
        self.frames = 0
        self.epoch = 0
        self._path_is_old = False
        self.config = config
        self.acknowledger = Acknowledger(node)
        self._chooser = chooser
        self._diagnostics = diagnostics
        self._observer = observer
        self._repeat = repeat
        self._tracking = tracking
        self._refinement = refinement
        self._tracked = TrackedFrames(
            tracking, refinement, diagnostics.problem, self._latency, observer
        )
        self._trajectory = TrajectoryOutput(node, config, self.on_notice)
        self._poses = make_pose_source(node, config, self._poll)
        topic = node.resolve_topic_name("camera/image_raw")
        rectified = config.camera.rectified
        self._assembler = FrameAssembler(
            self._poses,
            self,
            config.frames.camera,
            self._patience_s(),
            rectified=rectified == "yes" or (rectified == "auto" and is_rectified(topic)),
            places=_OFFLINE_PLACES if config.runtime.offline else MAX_PENDING,
        )
        self._depths, awaits_depth = DepthMatcher(), needs_depth_images(config)
        # Frames wait for depth before dense odometry, keyframes before they are mapped.
        self._untracked = DepthWait[None](self._depths, awaits_depth, self._track_matched)
        self._waiting = KeyframeHandover(
            node, config, self._depths, on_keyframe, self._on_keyframe_refused
        )
        self._use_config(config)
        self._streams = CameraStreams(
            node,
            config,
            self.on_notice,
            self._take_image,
            self._assembler.add_info,
            self._take_depth if awaits_depth else None,
        )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_POLL_S, self._poll, clock=steady)

    @property
    def lost(self) -> LostImages:
        """The images that were sent and did not arrive."""
        return self._streams.lost

    @property
    def paused(self) -> bool:
        """Whether images are ignored."""
        return self._streams.paused

    @paused.setter
    def paused(self, is_paused: bool) -> None:
        self._streams.paused = is_paused

    def reconfigure(self, config: Config) -> None:
        """Take dynamic parameters that changed."""
        self._use_config(config)
        self._poses.reconfigure(config)
        self._assembler.patience_s = self._patience_s()
        self._streams.reconfigure(config)

    def _use_config(self, config: Config) -> None:
        self.config = config
        self._trajectory.reconfigure(config)
        self._untracked.config = config.depth
        self._waiting.reconfigure(config.depth)

    def reset(self) -> None:
        """Forget the path, what waits and what was received; answer for what waited."""
        self.epoch += 1
        for stamp_ns in self.acknowledger.open_stamps():
            self.acknowledger.done(stamp_ns)
        self._waiting.clear()
        self._untracked.clear()
        self._assembler.clear()
        self._depths.clear()
        self._trajectory.clear()
        if self._tracking is not None:
            self._tracking.reset()
        if self._refinement is not None:
            self._refinement.reset()

    def follow_loaded_map(self) -> None:
        """Leave out the keyframes and the path of before a map was loaded (any thread)."""
        if self._tracking is not None:
            self.epoch += 1
            self._path_is_old = True

    def on_frame(self, frame: CameraFrame) -> None:
        """Publish a complete frame's pose and hand it on if it becomes a keyframe."""
        if self._tracking is not None and self._tracking.needs_depth:
            self._untracked.add(frame, None)
        else:
            self._handle(frame, None)

    def _handle(self, frame: CameraFrame, depth: Image | CompressedImage | None) -> None:
        try:
            self._pass_on(frame, depth)
        except Exception as error:
            # It may be the rule's reference already: the next frame takes its place.
            self._chooser.withdraw(frame.stamp_ns)
            self.on_refused(frame.stamp_ns, refusal_kind(error), error)

    def _on_keyframe_refused(self, stamp_ns: int, error: Exception) -> None:
        self._chooser.withdraw(stamp_ns)
        self._diagnostics.refused(error)
        self.acknowledger.done(stamp_ns)

    def on_refused(self, stamp_ns: int, kind: str, error: Exception) -> None:
        """Count an image that did not become a frame."""
        self._diagnostics.problem(kind, error)
        if self._observer is not None:
            self._observer.on_frame(stamp_ns, None)
        self.acknowledger.done(stamp_ns)

    def on_duplicate(self, stamp_ns: int) -> None:
        """Answer an image that came twice: a player in lock-step missed the first answer."""
        if self._repeat is None or not self._repeat(stamp_ns):
            self.acknowledger.again(stamp_ns)

    def on_notice(self, kind: str, text: str) -> None:
        """Count something unusual that costs no frame."""
        self._diagnostics.problem(kind, text)

    def on_time_jump(self, stamp_ns: int) -> None:
        """Start the keyframe rule anew; the map stays, if the poses come from outside."""
        self._depths.restart(stamp_ns)
        self._chooser.restart()
        if self._refinement is not None:
            self._refinement.reset()
        if self._tracking is not None and self._tracking.has_loaded_map:
            self._tracking.look()
        elif self._tracking is not None:
            # The tracker begins a map of its own: that of before would not fit.
            self._tracking.reset()
            self.epoch += 1

    def _patience_s(self) -> float:
        patience = self.config.publish.transform_tolerance_s
        return max(patience, _OFFLINE_PATIENCE_S) if self.config.runtime.offline else patience

    def _take_image(self, image: Image | CompressedImage, received_ns: int) -> None:
        stamp_ns = stamp_to_ns(image.header.stamp)
        # One that comes again is answered by `on_duplicate`.
        if stamp_ns != self._assembler.newest_ns:
            self.acknowledger.begin(stamp_ns, image.header.frame_id)
        self._assembler.add_image(image, received_ns)

    def _take_depth(self, msg: Image | CompressedImage) -> None:
        self._depths.add(msg)
        self._poll()

    def _poll(self) -> None:
        self._assembler.poll()
        self._untracked.poll()
        self._waiting.poll()

    def _pass_on(self, frame: CameraFrame, depth_image: Image | CompressedImage | None) -> None:
        pose = frame.T_map_camera
        depth = None if depth_image is None else self._waiting.metres(depth_image, frame)
        image = Frame(
            self.frames, frame.stamp_ns, frame.image, frame.camera, depth, pose, frame.pose_sigma
        )
        # Read before the frame is tracked: a map that is loaded meanwhile outdates its pose.
        epoch = self.epoch
        if self._path_is_old:
            self._path_is_old = False
            self._trajectory.clear()
        image, wanted, covariance = self._tracked.located(image)
        frame = replace(frame, T_map_camera=image.T_map_camera)
        assert image.T_map_camera is not None
        # What is refused must not be on TF either.
        check_pose(torch.from_numpy(image.T_map_camera))
        self._trajectory.publish(
            frame.stamp_ns,
            frame.frame_id,
            image.T_map_camera,
            frame.T_odom_camera,
            covariance,
            frame.pose_sigma,
        )
        self._latency("image_to_tf", (time.time_ns() - frame.received_ns) * 1e-6)
        start = time.perf_counter()
        decision = self._chooser.choose_keyframe(image, wanted)
        self._latency("decide", (time.perf_counter() - start) * 1e3)
        if decision.problem is not None:
            self._diagnostics.refused(decision.problem)
        if self._observer is not None:
            self._observer.on_frame(frame.stamp_ns, frame.T_map_camera)
        self.frames += 1
        if not decision.is_keyframe:
            self.acknowledger.done(frame.stamp_ns)
            return
        self._waiting.add(frame, KeyframeJob(image, decision, frame.frame_id, epoch))

    def _track_matched(
        self, frame: CameraFrame, _: None, msg: Image | CompressedImage | None
    ) -> None:
        self._handle(frame, msg)

    def _latency(self, stage: str, ms: float) -> None:
        self._diagnostics.latency(stage, ms)
        if self._observer is not None:
            self._observer.on_latency(stage, ms)
