"""The robot's half: TF at camera rate, and the keyframes for other processes."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence

import torch
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError, E2ESlamError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.nodes.camera_input import CameraInput
from e2e_slam_ros.nodes.configured_node import ConfiguredNode
from e2e_slam_ros.nodes.conversions import depth_to_metres, image_message
from e2e_slam_ros.nodes.keyframe_delivery import KeyframeDelivery
from e2e_slam_ros.nodes.keyframe_job import KeyframeJob
from e2e_slam_ros.nodes.keyframe_output import KeyframeOutput, plane
from e2e_slam_ros.nodes.keyframe_results import KeyframeFate, ResultInput
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.spinning import run_node
from e2e_slam_ros.nodes.stage_watch import StageWatch
from e2e_slam_ros.nodes.stamps import ns_to_stamp, stamp_to_ns
from e2e_slam_ros.slam.depth_sources import depth_traits, needs_depth_images
from e2e_slam_ros.slam.keyframe_selector import KeyframeSelector
from e2e_slam_ros.slam.preprocess import Preprocessor
from e2e_slam_ros.slam.worker import KeyframeWorker

# Keyframes whose depth may still come back, for the keyframe rule.
_REMEMBERED = 10
_POLL_S = 0.05


class KeyframeNode(ConfiguredNode):
    """Images, camera_info and poses in; TF, odometry, path and ``keyframe/*`` out.

    Runs without a GPU. With ``depth.source: sensor`` it also sends the depth at the
    keyframe's size on ``keyframe/sensor_depth``. It listens to ``keyframe/depth`` to know how
    far the scene is, which the keyframe rule measures motion against.

    Raises:
        E2ESlamError: a parameter that cannot be used.
    """

    def __init__(
        self, context: Context | None = None, parameter_overrides: Sequence[Parameter] = ()
    ) -> None:
        super().__init__("keyframe_node", context, parameter_overrides)
        self._begin()

    def _configure(self) -> None:
        config = self.config
        if config.pose.is_tracked:
            raise ConfigError.from_parts(
                "parameter pose.source",
                f"{config.pose.source!r} in keyframe_node",
                "topic, odometry or tf: the tracker needs the depth that slam_node has",
                "run slam_node, or give poses",
            )
        # Preparing a keyframe takes milliseconds: the robot's CPU does it.
        self._preprocess = Preprocessor(config.camera, torch.device("cpu"))
        self._selector = KeyframeSelector(config.keyframe, depth_traits(config))
        self._prepared = 0
        self._recent: OrderedDict[int, tuple[Keyframe, str]] = OrderedDict()
        self._sent = 0
        # Between the worker that sends a keyframe and a reset that forgets those sent.
        self._lock = threading.Lock()
        self._output = KeyframeOutput(self, config)
        self._sensor_depth = self.create_publisher(Image, "keyframe/sensor_depth", reliable())
        self.worker: KeyframeWorker[KeyframeJob] = KeyframeWorker(
            self._prepare, config.runtime.offline, self._on_failure, self._on_drop
        )
        self._open.callback(self.worker.stop)
        self.camera_input = CameraInput(
            self, config, self._selector, self.diagnostics, self.worker.submit, repeat=self._repeat
        )
        self._feedback = self.create_subscription(
            Image, "keyframe/depth", self._on_depth, reliable()
        )
        self._delivery: KeyframeDelivery[tuple[Keyframe, str]] = KeyframeDelivery(
            lambda item: self._send(*item), self._on_lost
        )
        self._stages = StageWatch(self, "keyframe_node", self._delivery.again)
        self._results = ResultInput(self, self._on_result)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(
            _POLL_S, lambda: self._delivery.poll(self._stages.complete), clock=steady
        )
        self._refused_behind = self._dropped_behind = 0
        self._triggers.quick("reset", self._reset)

    def _prepare(self, job: KeyframeJob) -> None:
        """Make a keyframe and send it (worker thread)."""
        if job.epoch != self.camera_input.epoch:
            return
        with self._selector.withdrawn_on_error(job.frame.stamp_ns):
            keyframe = self._preprocess.keyframe(job.frame, job.decision, self._prepared)
        self._prepared += 1
        with self._lock:
            if job.epoch != self.camera_input.epoch:
                return
            self._recent[keyframe.stamp_ns] = (keyframe, job.frame_id)
            while len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)
            self._sent += 1
        # From here the mapper answers for it.
        self.camera_input.acknowledger.forget(keyframe.stamp_ns)
        self._delivery.offer(keyframe.stamp_ns, (keyframe, job.frame_id), self._stages.complete)

    def _on_result(self, stamp_ns: int, fate: KeyframeFate, said: str) -> None:
        """Learn what became of a keyframe: one that is not in the map is no reference."""
        self._delivery.answered(stamp_ns, fate is KeyframeFate.FUSED)
        if fate is KeyframeFate.FUSED:
            return
        self._selector.withdraw(stamp_ns)
        if fate is KeyframeFate.REFUSED:
            self._refused_behind += 1
            self.diagnostics.problem("refused_behind", said)
        else:
            self._dropped_behind += 1

    def _on_lost(self, stamp_ns: int) -> None:
        self._selector.withdraw(stamp_ns)
        self.diagnostics.problem(
            "keyframe_lost",
            f"keyframe at {stamp_ns * 1e-9:.3f} s: nobody answers, and only the newest are kept; "
            "start the stage that is missing",
        )

    def _faults(self) -> list[str]:
        return self._stages.faults() if self.state == "active" else []

    def _send(self, keyframe: Keyframe, frame_id: str) -> None:
        measured = keyframe.sensor_depth
        if measured is None and needs_depth_images(self.config):
            # A keyframe is complete with a depth image only: nothing was measured.
            measured = torch.zeros_like(keyframe.image[:, :1])
        if measured is not None:
            stamp = ns_to_stamp(keyframe.stamp_ns)
            depth = image_message(plane(measured), "32FC1", stamp, frame_id)
            self._sensor_depth.publish(depth)
        self._output.publish(keyframe, frame_id)

    def _repeat(self, stamp_ns: int) -> bool:
        """Send a keyframe again whose answer a player in lock-step missed."""
        known = self._recent.get(stamp_ns)
        if known is not None:
            self._send(*known)
        return known is not None

    def _on_depth(self, msg: Image) -> None:
        known = self._recent.get(stamp_to_ns(msg.header.stamp))
        if known is None:
            return
        try:
            depth = torch.tensor(depth_to_metres(msg))[None, None]
        except E2ESlamError as error:
            self.diagnostics.refused(error)
            return
        if depth.shape[-2:] == known[0].image.shape[-2:]:
            self._selector.mapped(known[0], depth)

    def _on_failure(self, job: KeyframeJob, error: Exception) -> None:
        self.diagnostics.refused(error)
        self.camera_input.acknowledger.done(job.frame.stamp_ns)

    def _on_drop(self, job: KeyframeJob) -> None:
        self._selector.withdraw(job.frame.stamp_ns)
        self.camera_input.acknowledger.done(job.frame.stamp_ns)

    def _reset(self) -> str:
        self.camera_input.reset()
        with self._lock:
            self._selector.restart()
            self._prepared = 0
            self._recent.clear()
            self._delivery.clear()
            self._sent = 0
        return "the next frame becomes a keyframe"

    def _reconfigure(self, config: Config) -> None:
        self.camera_input.reconfigure(config)

    def _facts(self) -> dict[str, object]:
        return {
            "frames": self.camera_input.frames,
            "lost_images": self.camera_input.lost.in_gaps,
            "lost_on_the_way": self.camera_input.lost.on_the_way,
            "keyframes": self._sent,
            "unanswered": self._delivery.unanswered,
            "kept": self._delivery.kept,
            "refused_behind": self._refused_behind,
            "dropped_behind": self._dropped_behind,
        }


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    return run_node(KeyframeNode, args)


if __name__ == "__main__":
    sys.exit(main())
