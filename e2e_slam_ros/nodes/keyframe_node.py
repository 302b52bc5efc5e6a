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
from e2e_slam_ros.nodes.conversions import depth_to_metres
from e2e_slam_ros.nodes.keyframe_delivery import KeyframeDelivery
from e2e_slam_ros.nodes.keyframe_job import KeyframeJob
from e2e_slam_ros.nodes.keyframe_output import KeyframeOutput, KeyframeParts
from e2e_slam_ros.nodes.keyframe_results import KeyframeFate, ResultInput
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.spinning import run_node
from e2e_slam_ros.nodes.stage_watch import StageWatch
from e2e_slam_ros.nodes.stamps import stamp_to_ns
from e2e_slam_ros.slam.depth_sources import depth_traits, needs_depth_images
from e2e_slam_ros.slam.keyframe_selector import KeyframeSelector
from e2e_slam_ros.slam.preprocess import Preprocessor
from e2e_slam_ros.slam.worker import KeyframeWorker

# Keyframes whose depth may still come back, for the keyframe rule.
_REMEMBERED = 10
_POLL_S = 0.05
# An answer that is overdue for longer is a fault.
_QUIET_S = 5.0


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
        self._output = KeyframeOutput(self, config, with_depth=needs_depth_images(config))
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
        self._delivery: KeyframeDelivery[KeyframeParts] = KeyframeDelivery(
            self._output.publish,
            self._on_lost,
            self._on_dropped_behind,
            config.runtime.kept_keyframes,
        )
        self._stages = StageWatch(self, "keyframe_node", self._delivery.again)
        self._results = ResultInput(self, self._on_result)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(
            _POLL_S, lambda: self._delivery.poll(self._stages.complete), clock=steady
        )
        self._fused_behind = self._refused_behind = self._dropped_behind = 0
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
        parts = self._output.parts(keyframe, job.frame_id)
        self._delivery.offer(keyframe.stamp_ns, parts, self._stages.complete)

    def _on_result(self, stamp_ns: int, fate: KeyframeFate, said: str) -> None:
        """Learn what became of a keyframe: one that is not in the map is no reference."""
        settled = self._delivery.answered(stamp_ns, fate)
        if settled and fate is KeyframeFate.FUSED:
            self._fused_behind += 1
        elif settled and fate is KeyframeFate.REFUSED:
            self._selector.withdraw(stamp_ns)
            self._refused_behind += 1
            self.diagnostics.problem("refused_behind", said)
        elif settled:
            self._on_dropped_behind(stamp_ns)
        self._delivery.poll(self._stages.complete)

    def _on_dropped_behind(self, stamp_ns: int) -> None:
        self._selector.withdraw(stamp_ns)
        self._dropped_behind += 1

    def _on_lost(self, stamp_ns: int) -> None:
        self._selector.withdraw(stamp_ns)
        self.diagnostics.problem(
            "keyframe_lost",
            f"keyframe at {stamp_ns * 1e-9:.3f} s: nobody answered for it, and the newest "
            f"{self.config.runtime.kept_keyframes} are kept (runtime.kept_keyframes); look at "
            "depth_node, mapper_node and the link to them",
        )

    def _faults(self) -> list[str]:
        if self.state != "active":
            return []
        faults, quiet_s = self._stages.faults(), self._delivery.quiet_s
        if not faults and quiet_s > _QUIET_S:
            faults.append(
                f"no answer to a keyframe for {quiet_s:.0f} s, expected one on keyframe/result; "
                f"{self._delivery.kept} keyframes are kept, at most "
                f"{self.config.runtime.kept_keyframes}; look at the link to depth_node and "
                "mapper_node, and whether they are active"
            )
        return faults

    def _repeat(self, stamp_ns: int) -> bool:
        """Send a keyframe again whose answer a player in lock-step missed."""
        known = self._recent.get(stamp_ns)
        if known is not None:
            self._output.publish(self._output.parts(*known))
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
            self._sent = self._fused_behind = self._refused_behind = self._dropped_behind = 0
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
            "fused_behind": self._fused_behind,
            "refused_behind": self._refused_behind,
            "dropped_behind": self._dropped_behind,
        }


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    return run_node(KeyframeNode, args)


if __name__ == "__main__":
    sys.exit(main())
