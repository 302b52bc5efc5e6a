"""Depth of the keyframes that another process chose."""

from __future__ import annotations

import sys
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Sequence

import torch
from rclpy.context import Context
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2

from e2e_slam_ros.config import Config, RefineConfig
from e2e_slam_ros.config.device import resolve_device
from e2e_slam_ros.data.keyframes import Keyframes
from e2e_slam_ros.nodes.acknowledger import Acknowledger
from e2e_slam_ros.nodes.adaptation_facts import RESET_DONE, adaptation_facts
from e2e_slam_ros.nodes.cloud_messages import cloud_arrays
from e2e_slam_ros.nodes.configured_node import ConfiguredNode
from e2e_slam_ros.nodes.keyframe_input import KeyframeInput, KeyframeMessages, keyframe_of
from e2e_slam_ros.nodes.keyframe_output import DepthOutput, DepthParts
from e2e_slam_ros.nodes.keyframe_results import KeyframeFate, ResultOutput
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.spinning import run_node
from e2e_slam_ros.nodes.stage_watch import StageWatch
from e2e_slam_ros.refine.depth_stage import DepthStage
from e2e_slam_ros.slam.build_map import kept_keyframes
from e2e_slam_ros.slam.depth_sources import build_depth_source, needs_depth_images
from e2e_slam_ros.slam.worker import KeyframeWorker


class DepthNode(ConfiguredNode):
    """``keyframe/*`` and ``map/active`` in; ``keyframe/depth`` out.

    Raises:
        E2ESlamError: a parameter, device or depth source that cannot be used.
    """

    def __init__(
        self, context: Context | None = None, parameter_overrides: Sequence[Parameter] = ()
    ) -> None:
        super().__init__("depth_node", context, parameter_overrides)
        self._begin()

    def _configure(self) -> None:
        config = self.config
        self._device = resolve_device(config.runtime.device)
        self._source = build_depth_source(config, self._device)
        self.depth_stage = DepthStage(config, self._source, self._device)
        self._keyframes = Keyframes(kept_keyframes(config))
        # Held by whoever uses the adapted weights or the keyframes.
        self._lock = threading.Lock()
        self._active: PointCloud2 | None = None
        self._acknowledger = Acknowledger(self)
        self._results = ResultOutput(self)
        self._stages = StageWatch(self, "depth_node")
        # Depth by stamp and image. A keyframe that comes again gets the same depth: it is learned
        # from once. keyframe_node keeps as many.
        self._done: OrderedDict[tuple[int, int], DepthParts] = OrderedDict()
        self._output = DepthOutput(self)
        self.worker: KeyframeWorker[KeyframeMessages] = KeyframeWorker(
            self._estimate,
            config.runtime.offline,
            self._on_failure,
            self._on_drop,
            # keyframe_node sends a keyframe again whose answer takes long.
            key=lambda messages: messages.stamp_ns,
        )
        self._open.callback(self.worker.stop)
        self._input = KeyframeInput(
            self,
            "keyframe/sensor_depth" if needs_depth_images(config) else None,
            self.worker.submit,
            config.runtime.kept_keyframes,
        )
        self._triggers.slow("reset_adaptation", "reset_adaptation", self._reset_adaptation)
        self._map_input = self.create_subscription(
            PointCloud2, "map/active", self._on_active, reliable(1)
        )

    def _estimate(self, messages: KeyframeMessages) -> None:
        """Estimate and publish one keyframe's depth (worker thread)."""
        name = messages.stamp_ns, zlib.crc32(messages.image.data)
        if (known := self._done.get(name)) is not None:
            self._output.publish(known)
            return
        config, start = self.config.refine, time.perf_counter()
        with self._lock:
            keyframe = keyframe_of(messages, self._keyframes.next_index, self._device)
            raw = self._source.estimate(keyframe, self._keyframes)
            self.diagnostics.latency("depth", (time.perf_counter() - start) * 1e3)
            start = time.perf_counter()
            points = self._map_points(config)
            metric = self.depth_stage(keyframe, raw, self._keyframes, config, points)
            self._keyframes.add(metric.remembered(raw, ()))
            self.depth_stage.keep(metric)
        for notice in metric.notices:
            self.diagnostics.problem("refine", notice)
        if self.depth_stage.active(config):
            self.diagnostics.latency("refine", (time.perf_counter() - start) * 1e3)
        parts = self._done[name] = self._output.parts(keyframe, metric.mapped, messages.frame_id)
        while len(self._done) > self.config.runtime.kept_keyframes:
            self._done.popitem(last=False)
        self._output.publish(parts)

    def _map_points(self, config: RefineConfig) -> torch.Tensor | None:
        """Return the latest part of the map that was in view, if the refinement uses it."""
        msg = self._active
        if msg is None or msg.width == 0 or not config.uses_map:
            return None
        return torch.from_numpy(cloud_arrays(msg)[0]).to(self._device)

    def _on_failure(self, messages: KeyframeMessages, error: Exception) -> None:
        self.diagnostics.refused(error)
        self._give_up(messages, KeyframeFate.REFUSED, str(error))

    def _on_drop(self, messages: KeyframeMessages) -> None:
        self._give_up(messages, KeyframeFate.DROPPED)

    def _give_up(self, messages: KeyframeMessages, fate: KeyframeFate, reason: str = "") -> None:
        # No mapper will see this keyframe: a player in lock-step must not wait for it.
        self._acknowledger.done(messages.stamp_ns)
        self._results.send(messages.stamp_ns, fate, reason)

    def _faults(self) -> list[str]:
        return self._stages.faults() if self.state == "active" else []

    def _on_active(self, msg: PointCloud2) -> None:
        # What refinement is supervised with; the latest is enough.
        self._active = msg

    def _reset_adaptation(self) -> str:
        """Forget what was learned and the last keyframes (any thread; waits for the worker)."""
        with self._lock:
            self.depth_stage.forget_learned()
            self._keyframes.clear(self._keyframes.next_index)
            self._done.clear()
        return RESET_DONE

    def _check(self, config: Config) -> None:
        self.depth_stage.check(config.refine)

    def _facts(self) -> dict[str, object]:
        return {
            "keyframes": len(self._keyframes),
            "active_surfels": 0 if self._active is None else self._active.width,
            "depth_source": self._source.traits.name,
            "device": self._device,
            **adaptation_facts(self.depth_stage, self.config.refine.strategy),
        }


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    torch.set_grad_enabled(False)
    return run_node(DepthNode, args)


if __name__ == "__main__":
    sys.exit(main())
