"""All stages in one process: tensors never leave the device."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import torch
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.device import resolve_device
from e2e_slam_ros.nodes.adaptation_service import RESET_DONE, AdaptationService, adaptation_facts
from e2e_slam_ros.nodes.camera_input import CameraInput
from e2e_slam_ros.nodes.diagnostics import Diagnostics
from e2e_slam_ros.nodes.keyframe_job import KeyframeJob
from e2e_slam_ros.nodes.keyframe_output import CloudOutput, DepthOutput, KeyframeOutput
from e2e_slam_ros.nodes.map_output import MapOutput
from e2e_slam_ros.nodes.map_services import MapServices
from e2e_slam_ros.nodes.observer import Observers, RunObserver
from e2e_slam_ros.nodes.parameters import NodeParameters
from e2e_slam_ros.nodes.process_facts import memory_mb, use_threads
from e2e_slam_ros.nodes.refusals import refusal_kind
from e2e_slam_ros.nodes.spinning import run_node
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.result import KeyframeResult
from e2e_slam_ros.slam.worker import KeyframeWorker
from e2e_slam_ros.viewers.rerun_viewer import RerunViewer


class SlamNode(Node):  # type: ignore[misc]
    """Images, camera_info, poses (and depth) in; TF, keyframes and the map out.

    The executor thread takes images at camera rate; a worker maps keyframes; a third thread
    publishes the map. What refuses input counts it and goes on.

    Args:
        context: rclpy context; None: the default one.
        parameter_overrides: values that win over parameter files.
        observer: watches the run from inside; or None.

    Raises:
        E2ESlamError: a parameter, device or depth source that cannot be used.
    """

    def __init__(
        self,
        context: Context | None = None,
        parameter_overrides: Sequence[Parameter] = (),
        observer: RunObserver | None = None,
    ) -> None:
        super().__init__(
            "slam_node", context=context, parameter_overrides=list(parameter_overrides)
        )
        self._settings = NodeParameters(self, self._reconfigure, self._check)
        config = self._settings.config
        use_threads(config.runtime.threads)
        self.pipeline = SlamPipeline(config, resolve_device(config.runtime.device))
        # Held by whoever reads or writes the map; the executor never waits for it at camera rate.
        self._map_lock = threading.Lock()
        self._viewer = _viewer(config)
        self.mapped = self._map_epoch = 0
        self._last: KeyframeResult | None = None
        self.diagnostics = Diagnostics(self, self._facts)
        self._observer = Observers(observer, self._viewer, on_problem=self.diagnostics.problem)
        self._keyframe_output = KeyframeOutput(self, config)
        self._depth_output = DepthOutput(self)
        self._cloud_output = CloudOutput(self, config)
        self.map_output = MapOutput(
            self,
            config,
            self.pipeline.surfels,
            self._map_lock,
            self.diagnostics.problem,
            self.pipeline,
        )
        self.worker: KeyframeWorker[KeyframeJob] = KeyframeWorker(
            self._map, config.runtime.offline, self._on_failure, self._on_drop
        )
        self.camera_input = CameraInput(
            self, config, self.pipeline, self.diagnostics, self.worker.submit, self._observer
        )
        self._map_services = MapServices(
            self, self.map_output, self.diagnostics, self.camera_input.reset, self._clear
        )
        self._adaptation_service = AdaptationService(
            self, self.diagnostics, self._reset_adaptation
        )
        self._pause = self.create_service(Trigger, "~/pause", self._on_pause)
        self._resume = self.create_service(Trigger, "~/resume", self._on_resume)
        self.get_logger().info(
            f"mapping on {self.pipeline.device}, depth from {config.depth.source}, "
            f"poses from {config.pose.source}, refinement: {config.refine.strategy}"
        )

    @property
    def config(self) -> Config:
        """The parameters as they are now."""
        return self._settings.config

    def reset(self) -> str:
        """Forget the map, the path and what waits; return what was forgotten, in words."""
        self.camera_input.reset()
        return self._clear()

    def save_map(self) -> tuple[bool, str]:
        """Save the map; return success and the absolute path, or the reason."""
        return self._map_services.save_and_log()

    def close(self, save: bool = True) -> None:
        """End the threads; an offline run with an output folder saves its map."""
        self.worker.stop()
        self.map_output.close()
        if self._viewer is not None:
            self._viewer.close()
        runtime = self.config.runtime
        if save and runtime.offline and runtime.output and len(self.pipeline.surfels) > 0:
            self.save_map()

    def _clear(self) -> str:
        """Forget the map of the time before the last reset (any thread; waits for the map)."""
        with self._map_lock:
            surfels = len(self.pipeline.surfels)
            self._clear_if_reset()
        self.map_output.changed(0)
        return f"forgot {surfels} surfels"

    def _clear_if_reset(self) -> None:
        """Clear the map once for each reset; call with the lock held.

        A keyframe of after a reset may get the lock before the thread that clears: then it
        clears, and is not forgotten with the old map.
        """
        if self._map_epoch == self.camera_input.epoch:
            return
        self._map_epoch = self.camera_input.epoch
        self.pipeline.reset()
        self.mapped, self._last = 0, None

    def _map(self, job: KeyframeJob) -> None:
        """Map one keyframe and publish what it brought (worker thread)."""
        with self._map_lock:
            if job.epoch != self.camera_input.epoch:
                return
            self._clear_if_reset()
            result = self.pipeline.map_keyframe(job.frame, job.decision)
            self.map_output.publish_active(result.keyframe)
            self.mapped += 1
            self._last = result
        if job.epoch != self.camera_input.epoch:
            return
        self.map_output.changed(job.frame.stamp_ns)
        for stage, ms in result.latency_ms.items():
            self.diagnostics.latency(stage, ms)
        for notice in result.notices:
            self.diagnostics.problem("refine", notice)
        self._observer.on_keyframe(result)
        self._keyframe_output.publish(result.keyframe, job.frame_id)
        self._depth_output.publish(result.keyframe, result.estimate, job.frame_id)
        self._cloud_output.publish(result.keyframe, result.estimate.depth)
        self.camera_input.acknowledger.done(job.frame.stamp_ns)

    def _on_failure(self, job: KeyframeJob, error: Exception) -> None:
        self.diagnostics.problem(refusal_kind(error), error)
        self.camera_input.acknowledger.done(job.frame.stamp_ns)

    def _on_drop(self, job: KeyframeJob) -> None:
        self.pipeline.withdraw(job.frame.stamp_ns)
        self.camera_input.acknowledger.done(job.frame.stamp_ns)

    def _on_pause(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.camera_input.paused = True
        response.success, response.message = True, "images are ignored until ~/resume"
        return response

    def _on_resume(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.camera_input.paused = False
        response.success, response.message = True, "images are used again"
        return response

    def _reset_adaptation(self) -> str:
        """Forget what the refinement learned (any thread; waits for the keyframe at work)."""
        with self._map_lock:
            self.pipeline.depth_stage.forget_learned()
        return RESET_DONE

    def _check(self, config: Config) -> None:
        self.pipeline.depth_stage.check(config.refine)

    def _reconfigure(self, config: Config) -> None:
        self.pipeline.configure(config)
        self.camera_input.reconfigure(config)
        self.map_output.config = config

    def _facts(self) -> dict[str, object]:
        last = self._last
        return {
            "frames": self.camera_input.frames,
            "keyframes": self.mapped,
            "dropped": self.worker.dropped,
            "waiting": self.worker.pending,
            "paused": self.camera_input.paused,
            "surfels": len(self.pipeline.surfels),
            "memory_mb": memory_mb(),
            "device": self.pipeline.device,
            "depth_source": self.config.depth.source,
            "scale_source": last.estimate.scale_source if last else "none yet",
            **adaptation_facts(self.pipeline.depth_stage, self.config.refine.strategy),
        }


def _viewer(config: Config) -> RerunViewer | None:
    if config.runtime.viewer == "none":
        return None
    return RerunViewer(Path(config.runtime.output or "."))


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    torch.set_grad_enabled(False)
    return run_node(SlamNode, args)


if __name__ == "__main__":
    sys.exit(main())
