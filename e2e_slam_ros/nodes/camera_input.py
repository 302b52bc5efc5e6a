"""The part of the system that runs at camera rate, in the executor thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import torch
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.bag_topics import is_rectified
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import KeyframeDecision
from e2e_slam_ros.data.stream import COMPRESSED_IMAGE, IMAGE
from e2e_slam_ros.mapping.checks import check_pose
from e2e_slam_ros.nodes.acknowledger import Acknowledger
from e2e_slam_ros.nodes.camera_frame import CameraFrame
from e2e_slam_ros.nodes.configured_node import is_active
from e2e_slam_ros.nodes.depth_input import DepthInput
from e2e_slam_ros.nodes.depth_matcher import DepthMatcher
from e2e_slam_ros.nodes.depth_wait import DepthWait
from e2e_slam_ros.nodes.diagnostics import Diagnostics
from e2e_slam_ros.nodes.frame_assembler import MAX_PENDING, FrameAssembler
from e2e_slam_ros.nodes.info_subscription import InfoSubscription
from e2e_slam_ros.nodes.keyframe_job import KeyframeJob
from e2e_slam_ros.nodes.lost_images import KIND as LOST
from e2e_slam_ros.nodes.lost_images import LostImages
from e2e_slam_ros.nodes.pose_sources import make_pose_source
from e2e_slam_ros.nodes.qos import image_subscription, wants_reliable
from e2e_slam_ros.nodes.silence_watch import SilenceWatch
from e2e_slam_ros.nodes.stamps import stamp_to_ns
from e2e_slam_ros.nodes.stream_check import StreamCheck
from e2e_slam_ros.nodes.tracked_frames import TrackedFrames
from e2e_slam_ros.nodes.trajectory_output import TrajectoryOutput
from e2e_slam_ros.nodes.video_images import VideoImages
from e2e_slam_ros.slam.depth_sources import depth_traits, needs_depth_images
from e2e_slam_ros.slam.observer import RunObserver
from e2e_slam_ros.slam.pose_refinement import PoseRefinement
from e2e_slam_ros.slam.pose_tracking import PoseTracking
from e2e_slam_ros.slam.refusals import NoDepthError, refusal_kind

# How often what waits is looked at. The timer always runs: cancelling one that another thread
# is about to call is an error in rclpy.
_POLL_S = 0.02
# Offline nothing may be lost because the machine was busy for a moment.
_OFFLINE_PATIENCE_S = 1.0
_OFFLINE_PLACES = 256


class KeyframeChooser(Protocol):
    """The choice of keyframes, as the camera input drives it."""

    def choose_keyframe(self, frame: Frame, wanted: bool = False) -> KeyframeDecision:
        """Return whether the frame becomes a keyframe; it does if it is ``wanted``."""

    def withdraw(self, stamp_ns: int) -> None:
        """Forget a keyframe that was dropped or refused."""

    def restart(self) -> None:
        """Begin anew: time jumped."""


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
        self.frames = self.keyframes = 0
        self.epoch = 0
        self._path_is_old = False
        self.paused = False
        self._node = node
        self.config = config
        self.acknowledger = Acknowledger(node)
        self._chooser = chooser
        self._diagnostics = diagnostics
        self._on_keyframe = on_keyframe
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
        depth_topic = node.resolve_topic_name("camera/depth/image_raw")
        self._awaits_depth = needs_depth_images(config)
        self._needs_depth = depth_traits(config).needs_sensor
        self._depth_input = DepthInput(node, config, depth_topic) if self._awaits_depth else None
        self._depths = DepthMatcher()
        # Frames wait for depth before dense odometry, keyframes before they are mapped.
        self._untracked = DepthWait[None](self._depths, self._awaits_depth, self._track_matched)
        self._waiting = DepthWait[KeyframeJob](self._depths, self._awaits_depth, self._map_matched)
        self._use_config(config)
        self._subscribe(node)

    def _subscribe(self, node: Node) -> None:
        runtime = self.config.runtime
        images = image_subscription(runtime)
        kind, suffix, depth_suffix = Image, "", ""
        if self.config.camera.transport == "compressed":
            kind, suffix, depth_suffix = CompressedImage, "/compressed", "/compressedDepth"
        image = node.resolve_topic_name("camera/image_raw") + suffix
        self._silence = SilenceWatch(
            node,
            image,
            wants_reliable(runtime),
            runtime.silence_s,
            lambda reason: self._diagnostics.problem("silence", reason),
            COMPRESSED_IMAGE if suffix else IMAGE,
        )
        self._image_check = StreamCheck(image, "colour", self._on_wrong_stream)
        self._videos = VideoImages(lambda text: self.on_notice("image", text))
        self.lost = LostImages(node, image, self._on_lost)
        self._infos = InfoSubscription(
            node, "camera/camera_info", runtime, self._assembler.add_info
        )
        self._subscriptions = [self.lost.subscribe(node, kind, image, self._receive_image, images)]
        if self._awaits_depth:
            depth = node.resolve_topic_name("camera/depth/image_raw") + depth_suffix
            self._depth_check = StreamCheck(depth, "depth", self._on_wrong_stream)
            self._subscriptions.append(
                self.lost.subscribe(node, kind, depth, self._receive_depth, images)
            )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_POLL_S, self._poll, clock=steady)

    def _on_lost(self, sentence: str) -> None:
        # A recording that is played may lack images for good.
        if not self.config.runtime.offline:
            self.on_notice(LOST, sentence)

    def reconfigure(self, config: Config) -> None:
        """Take dynamic parameters that changed."""
        self._use_config(config)
        self._poses.reconfigure(config)
        self._assembler.patience_s = self._patience_s()
        self._silence.limit_s = config.runtime.silence_s

    def _use_config(self, config: Config) -> None:
        self.config = config
        self._trajectory.reconfigure(config)
        self._untracked.config = self._waiting.config = config.depth

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

    def _on_wrong_stream(self, text: str) -> None:
        self.on_notice("input", text)

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

    def _receive_image(self, msg: Image, info: dict[str, Any]) -> None:
        self._silence.heard()
        self._image_check.look(msg)
        self.lost.heard(stamp_to_ns(msg.header.stamp))
        if self.paused or not is_active(self._node):
            return
        received_ns = info.get("received_timestamp") or time.time_ns()
        for image in self._videos.images(msg):
            stamp_ns = stamp_to_ns(image.header.stamp)
            # One that comes again is answered by `on_duplicate`.
            if stamp_ns != self._assembler.newest_ns:
                self.acknowledger.begin(stamp_ns, image.header.frame_id)
            self._assembler.add_image(image, received_ns)

    def _receive_depth(self, msg: Image) -> None:
        self._depth_check.look(msg)
        self._depths.add(msg)
        self._poll()

    def _poll(self) -> None:
        self._assembler.poll()
        self._untracked.poll()
        self._waiting.poll()

    def _pass_on(self, frame: CameraFrame, depth_image: Image | CompressedImage | None) -> None:
        pose = frame.T_map_camera
        depth = None if depth_image is None else self._metres(depth_image, frame)
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

    def _map_matched(
        self, frame: CameraFrame, job: KeyframeJob, msg: Image | CompressedImage | None
    ) -> None:
        """Hand on a keyframe whose depth has come; refuse one that waited too long."""
        try:
            self._hand_on(job, msg, frame)
        except Exception as error:
            self._chooser.withdraw(frame.stamp_ns)
            self._diagnostics.refused(error)
            self.acknowledger.done(frame.stamp_ns)

    def _hand_on(
        self, job: KeyframeJob, msg: Image | CompressedImage | None, frame: CameraFrame
    ) -> None:
        if msg is None and self._needs_depth:
            raise NoDepthError.from_parts(
                f"depth image at {job.frame.stamp_ns * 1e-9:.6f} s",
                f"none within {self.config.depth.sync_tolerance_s} s of the image",
                "registered depth on camera/depth/image_raw",
                "check the stamps and depth.sync_tolerance_s, or set depth.source",
            )
        if msg is not None:
            job = replace(job, frame=replace(job.frame, depth=self._metres(msg, frame)))
        self.keyframes += 1
        self._on_keyframe(job)

    def _metres(self, msg: Image | CompressedImage, frame: CameraFrame) -> Any:
        # Every frame of the assembler has a lens, and depth comes only where it is awaited.
        assert frame.lens is not None and self._depth_input is not None
        return self._depth_input.metres(msg, frame.lens, frame.image_frame)

    def _latency(self, stage: str, ms: float) -> None:
        self._diagnostics.latency(stage, ms)
        if self._observer is not None:
            self._observer.on_latency(stage, ms)
