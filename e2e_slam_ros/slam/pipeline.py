"""The system without ROS: one object, one method a keyframe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import KeyframeDecision, KeyframeResult
from e2e_slam_ros.depth.build import build_depth_source
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.slam.frontend import Frontend


class SlamPipeline:
    """Frames in, a map out.

    `track` is cheap and runs at camera rate; `integrate` maps one keyframe and may run in
    another thread. Both raise `E2ESlamError` for input they refuse and leave the map as it was.
    """

    def __init__(self, config: Config, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.frontend = Frontend(config, device)
        self.depth_source = build_depth_source(config, device)
        self.surfels = SurfelMap(config.map, device)

    def track(self, frame: Frame) -> KeyframeDecision:
        """Return whether the frame becomes a keyframe; its depth may still be missing."""
        return self.frontend.decide(frame.stamp_ns, frame.image, frame.camera, frame.T_map_camera)

    def integrate(self, frame: Frame, decision: KeyframeDecision) -> KeyframeResult:
        """Map one keyframe: prepare, predict depth, fuse."""
        latency_ms: dict[str, float] = {}
        try:
            with self._timed("prepare", latency_ms):
                keyframe = self.frontend.prepare(frame, decision)
            with self._timed("depth", latency_ms):
                estimate = self.depth_source.estimate(keyframe)
            with self._timed("fuse", latency_ms):
                fusion = self.surfels.fuse(keyframe, estimate)
        except Exception:
            self.frontend.withdraw(frame.stamp_ns)
            raise
        self.frontend.note_depth(keyframe, estimate.depth)
        return KeyframeResult(keyframe, estimate, estimate, fusion, latency_ms)

    def reset(self) -> None:
        """Forget the map and the last keyframe."""
        self.frontend.reset()
        self.depth_source.reset()
        self.surfels.clear()

    @contextmanager
    def _timed(self, stage: str, latency_ms: dict[str, float]) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        latency_ms[stage] = (time.perf_counter() - start) * 1e3
