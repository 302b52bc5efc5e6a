"""The map of keyframes and depths that other processes made."""

from __future__ import annotations

import sys
import time
import zlib
from collections import OrderedDict
from collections.abc import Sequence

import torch
from rclpy.context import Context
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from e2e_slam_ros.config.device import resolve_device
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import DepthEstimate, FusionStats, Keyframe, RawDepth
from e2e_slam_ros.data.pose_table import PoseTable
from e2e_slam_ros.depth.gate import gate_depth, require_depth
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.nodes.acknowledger import Acknowledger
from e2e_slam_ros.nodes.keyframe_input import (
    KeyframeInput,
    KeyframeMessages,
    confidence_tensor,
    depth_tensor,
    keyframe_of,
)
from e2e_slam_ros.nodes.keyframe_output import CloudOutput, rgb8
from e2e_slam_ros.nodes.keyframe_results import KeyframeFate, ResultOutput
from e2e_slam_ros.nodes.mapping_node import MappingNode
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.spinning import run_node
from e2e_slam_ros.nodes.stage_watch import StageWatch
from e2e_slam_ros.nodes.stamps import stamp_to_ns
from e2e_slam_ros.slam.result import KeyframeResult
from e2e_slam_ros.slam.worker import KeyframeWorker

# Uncertainty of keyframes whose depth is still under way.
_DOUBTS = 20
# Keyframes that are known when they come again.
_SEEN = 1000


class MapperNode(MappingNode):
    """``keyframe/*`` and ``keyframe/depth`` in; the map as clouds and as a grid out.

    Depth weighs 1 - ``keyframe/uncertainty`` where that has come by the time of fusion.

    Raises:
        E2ESlamError: a parameter or device that cannot be used.
    """

    def __init__(
        self, context: Context | None = None, parameter_overrides: Sequence[Parameter] = ()
    ) -> None:
        super().__init__("mapper_node", context, parameter_overrides)
        self._begin()

    def _configure(self) -> None:
        super()._configure()
        config = self.config
        self._device = resolve_device(config.runtime.device)
        self._source = config.depth.source
        self._resets = self._fused = 0
        # Stamp and image of keyframes in the map: one that comes again is not fused again.
        self._seen: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._observer = self._observers()
        self.surfels = SurfelMap(config.map, self._device)
        self._acknowledger = Acknowledger(self)
        self._results = ResultOutput(self)
        self._stages = StageWatch(self, "mapper_node")
        self._cloud = CloudOutput(self, config)
        self._poses = PoseTable()
        self._serve_map(self.surfels, lambda: self._poses)
        self.worker: KeyframeWorker[tuple[int, KeyframeMessages]] = KeyframeWorker(
            self._fuse,
            config.runtime.offline,
            self._on_failure,
            self._on_drop,
            # As in depth_node.
            key=lambda job: (job[0], job[1].stamp_ns),
        )
        self._open.callback(self.worker.stop)
        # Before the depth, which completes a keyframe. Few sources send it: nothing waits for it.
        self._doubts: OrderedDict[int, Image] = OrderedDict()
        self._uncertainty = self.create_subscription(
            Image, "keyframe/uncertainty", self._receive_doubt, reliable(_DOUBTS)
        )
        self._input = KeyframeInput(
            self, "keyframe/depth", self._receive, config.runtime.kept_keyframes
        )

    def _begin_reset(self) -> None:
        self._resets += 1

    @property
    def epoch(self) -> int:
        """Number of resets so far."""
        return self._resets

    def _forget_map(self) -> None:
        self.surfels.clear()
        self._poses.clear()
        self._seen.clear()
        self._fused = 0

    def _receive_doubt(self, msg: Image) -> None:
        self._doubts[stamp_to_ns(msg.header.stamp)] = msg
        while len(self._doubts) > _DOUBTS:
            self._doubts.popitem(last=False)

    def _receive(self, messages: KeyframeMessages) -> None:
        self.worker.submit((self._resets, messages))

    def _fuse(self, job: tuple[int, KeyframeMessages]) -> None:
        """Fuse one keyframe and publish what it brought (worker thread)."""
        epoch, messages = job
        stamp_ns, start = messages.stamp_ns, time.perf_counter()
        keyframe = keyframe_of(messages, self._fused, self._device)
        depth = gate_depth(depth_tensor(messages, self._device), self.config.depth)
        require_depth(depth, self.config.depth, keyframe)
        doubt = self._doubts.pop(stamp_ns, None)
        confidence = (
            None if doubt is None else confidence_tensor(doubt, messages.image, self._device)
        )
        estimate = DepthEstimate(depth, confidence, self._source, "as published")
        with self._map_lock:
            self._clear_if_reset()
            # It comes twice if the sender missed the answer, or another stage was missing.
            known = stamp_ns, zlib.crc32(messages.image.data)
            fresh = epoch == self._resets and known not in self._seen
            if fresh:
                stats = self.surfels.fuse(keyframe, estimate)
                self._observer.on_map(self.surfels.snapshot)
                self.map_output.publish_active(keyframe)
                self._poses.add(keyframe.index, keyframe.T_map_camera)
                self._seen[known] = None
                while len(self._seen) > _SEEN:
                    self._seen.popitem(last=False)
                self._fused += 1
        if fresh:
            self.diagnostics.latency("fuse", (time.perf_counter() - start) * 1e3)
            self._map_changed(stamp_ns)
            self._cloud.publish(keyframe, depth)
            self._show(keyframe, estimate, stats)
        self._acknowledger.done(stamp_ns)
        self._results.send(stamp_ns, KeyframeFate.FUSED)

    def _show(self, keyframe: Keyframe, estimate: DepthEstimate, stats: FusionStats) -> None:
        """Show a viewer the keyframe; it sees no other camera frame."""
        stamp_ns, pose = keyframe.stamp_ns, keyframe.T_map_camera.numpy()
        image = rgb8(keyframe.image)
        frame = Frame(keyframe.index, stamp_ns, image, keyframe.camera, None, pose)
        raw = RawDepth(estimate.depth, estimate.confidence, self._source, "as published")
        self._observer.on_image(frame, None)
        self._observer.on_frame(stamp_ns, pose)
        self._observer.on_keyframe(KeyframeResult(keyframe, raw, estimate, estimate, stats))

    def _on_failure(self, job: tuple[int, KeyframeMessages], error: Exception) -> None:
        self.diagnostics.refused(error)
        self._give_up(job[1].stamp_ns, KeyframeFate.REFUSED, str(error))

    def _on_drop(self, job: tuple[int, KeyframeMessages]) -> None:
        self._give_up(job[1].stamp_ns, KeyframeFate.DROPPED)

    def _give_up(self, stamp_ns: int, fate: KeyframeFate, reason: str = "") -> None:
        self._acknowledger.done(stamp_ns)
        self._results.send(stamp_ns, fate, reason)

    def _faults(self) -> list[str]:
        return self._stages.faults() if self.state == "active" else []

    def _facts(self) -> dict[str, object]:
        return {
            "keyframes": self._fused,
            "unsaved_keyframes": self.saver.unsaved,
            "surfels": len(self.surfels),
            "device": self._device,
        }


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    torch.set_grad_enabled(False)
    return run_node(MapperNode, args)


if __name__ == "__main__":
    sys.exit(main())
