"""All stages in one process: tensors never leave the device."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from rclpy.context import Context
from rclpy.parameter import Parameter

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.device import resolve_device
from e2e_slam_ros.depth.source import described
from e2e_slam_ros.nodes.adaptation_facts import RESET_DONE, adaptation_facts
from e2e_slam_ros.nodes.camera_input import CameraInput
from e2e_slam_ros.nodes.initial_pose import InitialPose
from e2e_slam_ros.nodes.keyframe_job import KeyframeJob
from e2e_slam_ros.nodes.keyframe_output import CloudOutput, DepthOutput, KeyframeOutput
from e2e_slam_ros.nodes.mapping_node import MappingNode
from e2e_slam_ros.nodes.spinning import run_node
from e2e_slam_ros.slam.camera_tracking import CameraTracking
from e2e_slam_ros.slam.observer import RunObserver
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.pose_tracking import PoseTracking
from e2e_slam_ros.slam.result import KeyframeResult
from e2e_slam_ros.slam.worker import KeyframeWorker


class SlamNode(MappingNode):
    """Images, camera_info, poses (and depth) in; TF, keyframes and the map out.

    The executor thread takes images at camera rate; a worker maps keyframes; a third thread
    publishes the map. What refuses input counts it and goes on.

    Raises:
        E2ESlamError: a parameter, device or depth source that cannot be used.
    """

    def __init__(
        self,
        context: Context | None = None,
        parameter_overrides: Sequence[Parameter] = (),
        observer: RunObserver | None = None,
    ) -> None:
        super().__init__("slam_node", context, parameter_overrides)
        self._given_observer = observer
        self._begin()

    def _configure(self) -> None:
        super()._configure()
        config = self.config
        self.pipeline = SlamPipeline(config, resolve_device(config.runtime.device))
        self._open.callback(self.pipeline.close)
        self.mapped = 0
        self._last: KeyframeResult | None = None
        self._observer = self._observers(self._given_observer)
        self._keyframe_output = KeyframeOutput(self, config)
        self._depth_output = DepthOutput(self)
        self._cloud_output = CloudOutput(self, config)
        self.worker: KeyframeWorker[KeyframeJob] = KeyframeWorker(
            self._map, config.runtime.offline, self._on_failure, self._on_drop
        )
        self._open.callback(self.worker.stop)
        self.pipeline.is_pressed = lambda: self.worker.is_pressed
        for poses in (self.pipeline.tracking, self.pipeline.refinement):
            if poses is not None:
                poses.on_problem = partial(self.diagnostics.problem, "tracking")
                poses.on_notice = self.diagnostics.problem
        self.camera_input = CameraInput(
            self,
            config,
            self.pipeline,
            self.diagnostics,
            self.worker.submit,
            self._observer,
            tracking=self.pipeline.tracking,
            refinement=self.pipeline.refinement,
        )
        if self.pipeline.tracking is not None:
            self._initial_pose = InitialPose(
                self, config, self.pipeline.tracking, self.diagnostics.problem
            )
        self._serve_map(self.pipeline.surfels, self.pipeline.keyframes.poses, self.pipeline)
        self._triggers.slow("reset_adaptation", "reset_adaptation", self._reset_adaptation)
        self._triggers.quick("pause", self._pause)
        self._triggers.quick("resume", self._resume)
        self.get_logger().info(
            f"mapping on {self.pipeline.device}, depth from {described(self.pipeline.source)}, "
            f"poses from {config.pose.source}, refinement: {config.refine.strategy}"
        )

    def close(self, save: bool = True) -> None:
        """End the threads and save the map, as `MappingNode` does."""
        super().close(save and not self.config.tracking.localize_only)

    def _is_saved(self) -> bool:
        return self.config.tracking.localize_only or super()._is_saved()

    def _on_loaded(self) -> None:
        self.camera_input.follow_loaded_map()
        # The new epoch's map is the loaded one: it is not cleared as after a reset.
        self._map_epoch = self.epoch

    def _begin_reset(self) -> None:
        self.camera_input.reset()

    @property
    def epoch(self) -> int:
        """Number of resets so far."""
        return self.camera_input.epoch

    def _forget_map(self) -> None:
        self.pipeline.reset()
        self.mapped, self._last = 0, None

    def _map(self, job: KeyframeJob) -> None:
        """Map one keyframe and publish what it brought (worker thread)."""
        with self._map_lock:
            if job.epoch != self.camera_input.epoch:
                self._answer(job)
                return
            self._clear_if_reset()
            if self.config.tracking.localize_only:
                self.pipeline.measure_keyframe(job.frame, job.decision)
                self.camera_input.acknowledger.done(job.frame.stamp_ns)
                return
            result = self.pipeline.map_keyframe(job.frame, job.decision)
            self.map_output.publish_active(result.keyframe)
            self._observer.on_map(self.pipeline.surfels.snapshot)
            self.mapped += 1
            self._last = result
        if job.epoch != self.camera_input.epoch:
            return
        self._map_changed(job.frame.stamp_ns)
        for stage, ms in result.latency_ms.items():
            self.diagnostics.latency(stage, ms)
        for notice in result.notices:
            self.diagnostics.problem("refine", notice)
        if result.calibration is not None:
            self.diagnostics.problem("calibration", result.calibration)
        self._observer.on_keyframe(result)
        keyframe, name = result.keyframe, job.frame_id
        self._keyframe_output.publish(self._keyframe_output.parts(keyframe, name))
        self._depth_output.publish(self._depth_output.parts(keyframe, result.estimate, name))
        self._cloud_output.publish(keyframe, result.estimate.depth)
        self.camera_input.acknowledger.done(job.frame.stamp_ns)

    def _answer(self, job: KeyframeJob) -> None:
        """Answer for a keyframe of before a reset or a loaded map, if nobody has."""
        acknowledger = self.camera_input.acknowledger
        if job.frame.stamp_ns in acknowledger.open_stamps():
            acknowledger.done(job.frame.stamp_ns)

    def _on_failure(self, job: KeyframeJob, error: Exception) -> None:
        self.diagnostics.refused(error)
        self.camera_input.acknowledger.done(job.frame.stamp_ns)

    def _on_drop(self, job: KeyframeJob) -> None:
        self.pipeline.withdraw(job.frame.stamp_ns)
        self.camera_input.acknowledger.done(job.frame.stamp_ns)

    def _pause(self) -> str:
        self.camera_input.paused = True
        return "images are ignored until ~/resume"

    def _resume(self) -> str:
        self.camera_input.paused = False
        return "images are used again"

    def _reset_adaptation(self) -> str:
        """Forget what the refinement learned (any thread; waits for the keyframe at work)."""
        with self._map_lock:
            self.pipeline.learning.forget()
        return RESET_DONE

    def _check(self, config: Config) -> None:
        super()._check(config)
        self.pipeline.depth_stage.check(config.refine)

    def _reconfigure(self, config: Config) -> None:
        self.pipeline.configure(config)
        self.camera_input.reconfigure(config)
        super()._reconfigure(config)

    def _stated(self) -> Mapping[str, object]:
        tracking = self.pipeline.tracking
        poses = tracking or self.pipeline.refinement
        facts = None if poses is None else poses.facts
        state = "tracking" if tracking is None else str(tracking.state.value)
        if self.camera_input.frames == 0 and tracking is None:
            state = "waiting for frames"
        return {
            "state": "paused" if self.camera_input.paused else state,
            "frames": self.camera_input.frames,
            "keyframes": self.mapped,
            "surfels": len(self.pipeline.surfels),
            "unsaved_keyframes": self.saver.unsaved,
            "loops": 0 if poses is None else poses.loops,
            "poses": "given" if facts is None else facts.poses,
            "scale_source": "poses" if facts is None else facts.scale_source,
            "scale_sigma": None if facts is None else facts.scale_sigma,
            "folder": self.folder.path,
        }

    def _facts(self) -> dict[str, object]:
        last = self._last
        return {
            "frames": self.camera_input.frames,
            "lost_images": self.camera_input.lost.in_gaps,
            "lost_on_the_way": self.camera_input.lost.on_the_way,
            "keyframes": self.mapped,
            "waiting": self.worker.pending,
            "paused": self.camera_input.paused,
            "unsaved_keyframes": self.saver.unsaved,
            "surfels": len(self.pipeline.surfels),
            "device": self.pipeline.device,
            "depth_source": self.config.depth.source,
            **tracking_facts(self.pipeline.tracking),
            **pose_facts(self.pipeline.tracking or self.pipeline.refinement),
            "scale_source": last.estimate.scale_source if last else "none yet",
            **adaptation_facts(
                self.pipeline.depth_stage,
                self.config.refine.strategy,
                self.pipeline.learning.taken_over,
                self.pipeline.learning.blend,
            ),
        }


def tracking_facts(tracking: PoseTracking | None) -> dict[str, object]:
    """Return the values that diagnostics show of the visual tracker."""
    if tracking is None:
        return {}
    return {
        "tracking": str(tracking.state.value),
        "loops": tracking.loops,
        "localize_only": tracking.localizes_only,
    }


def pose_facts(poses: CameraTracking | None) -> dict[str, object]:
    """Return the values that diagnostics show of the poses and their scale."""
    if poses is None:
        return {}
    facts = poses.facts
    return {
        "poses": facts.poses,
        "pose_scale": facts.scale_source,
        "pose_scale_sigma": f"{facts.scale_sigma:.4f}",
    }


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    torch.set_grad_enabled(False)
    return run_node(SlamNode, args)


if __name__ == "__main__":
    sys.exit(main())
