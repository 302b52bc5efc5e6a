"""Depth of the keyframes that another process chose."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import torch
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2

from e2e_slam_ros.depth.build import build_depth_source
from e2e_slam_ros.device import resolve_device
from e2e_slam_ros.nodes.acknowledger import Acknowledger
from e2e_slam_ros.nodes.diagnostics import Diagnostics
from e2e_slam_ros.nodes.keyframe_input import KeyframeInput, KeyframeMessages, keyframe_of
from e2e_slam_ros.nodes.keyframe_output import DepthOutput
from e2e_slam_ros.nodes.parameters import NodeParameters
from e2e_slam_ros.nodes.process_facts import memory_mb, use_threads
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.refusals import refusal_kind
from e2e_slam_ros.nodes.spinning import run_node
from e2e_slam_ros.slam.worker import KeyframeWorker


class DepthNode(Node):  # type: ignore[misc]
    """``keyframe/*`` and ``map/active`` in; ``keyframe/depth`` out.

    Raises:
        E2ESlamError: a parameter, device or depth source that cannot be used.
    """

    def __init__(
        self,
        context: Context | None = None,
        parameter_overrides: Sequence[Parameter] = (),
    ) -> None:
        super().__init__(
            "depth_node", context=context, parameter_overrides=list(parameter_overrides)
        )
        config = NodeParameters(self, lambda _: None).config
        use_threads(config.runtime.threads)
        self._device = resolve_device(config.runtime.device)
        self._source = build_depth_source(config, self._device)
        self._done = 0
        self._active: PointCloud2 | None = None
        self.diagnostics = Diagnostics(self, self._facts)
        self._acknowledger = Acknowledger(self)
        self._output = DepthOutput(self)
        self.worker: KeyframeWorker[KeyframeMessages] = KeyframeWorker(
            self._estimate, config.runtime.offline, self._on_failure, self._give_up
        )
        measured = config.depth.source == "sensor"
        self._input = KeyframeInput(
            self, "keyframe/sensor_depth" if measured else None, self.worker.submit
        )
        self._map_input = self.create_subscription(
            PointCloud2, "map/active", self._on_active, reliable(1)
        )

    def close(self) -> None:
        """End the thread."""
        self.worker.stop()

    def _estimate(self, messages: KeyframeMessages) -> None:
        """Predict and publish one keyframe's depth (worker thread)."""
        start = time.perf_counter()
        keyframe = keyframe_of(messages, self._done, self._device)
        estimate = self._source.estimate(keyframe)
        self._output.publish(keyframe, estimate, messages.frame_id)
        self._done += 1
        self.diagnostics.latency("depth", (time.perf_counter() - start) * 1e3)

    def _on_failure(self, messages: KeyframeMessages, error: Exception) -> None:
        self.diagnostics.problem(refusal_kind(error), error)
        self._give_up(messages)

    def _give_up(self, messages: KeyframeMessages) -> None:
        # No mapper will see this keyframe: a player in lock-step must not wait for it.
        self._acknowledger.done(messages.stamp_ns)

    def _on_active(self, msg: PointCloud2) -> None:
        # What refinement will be supervised with; the latest is enough.
        self._active = msg

    def _facts(self) -> dict[str, object]:
        return {
            "keyframes": self._done,
            "dropped": self.worker.dropped,
            "active_surfels": 0 if self._active is None else self._active.width,
            "depth_source": self._source.name,
            "device": self._device,
            "memory_mb": memory_mb(),
        }


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    torch.set_grad_enabled(False)
    return run_node(DepthNode, args)


if __name__ == "__main__":
    sys.exit(main())
