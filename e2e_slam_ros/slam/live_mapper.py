"""Images of one camera in, poses and a map out, without ROS."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import KeyframeDecision
from e2e_slam_ros.mapping.map_checkpoint import save_map
from e2e_slam_ros.slam.observer import RunObserver
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.refusals import refusal_kind
from e2e_slam_ros.slam.worker import KeyframeWorker
from e2e_slam_ros.tracking.state import TrackedPose

# A keyframe on the slowest machine takes a few seconds.
_PATIENCE_S = 300.0


@dataclass(frozen=True, eq=False)
class _Job:
    frame: Frame
    decision: KeyframeDecision


class LiveMapper:
    """Tracks every image, and maps keyframes in the background.

    With ``runtime.offline`` each image waits until its keyframe is mapped: the same images then
    give the same map. Otherwise tracking never waits; of keyframes that come too fast, the newest
    is mapped and the others are counted.

    Args:
        config: with ``pose.source: visual``.
        device: where depth and map are computed.
        observer: is told of images, poses, keyframes and the map.
        on_problem: called with a kind and an error for every image or keyframe that was refused.

    Attributes:
        pipeline: tracker and map; read the map after `stop` only.
        frames: number of images.

    Raises:
        ConfigError: poses or depth from elsewhere.
        E2ESlamError: weights or a device that cannot be used.

    Example:
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> import numpy as np
        >>> camera = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
        >>> values = {"pose.source": "visual", "depth.source": "network", "runtime.offline": True}
        >>> mapper = LiveMapper(Config().with_values(values), torch.device("cpu"), RunObserver())
        >>> dark = Frame(0, 0, np.zeros((48, 64, 3), np.uint8), camera)
        >>> mapper.add(dark).reason
        'too few corners in the image'
        >>> mapper.stop()
        >>> mapper.dropped, len(mapper.pipeline.surfels)
        (0, 0)
    """

    def __init__(
        self,
        config: Config,
        device: torch.device,
        observer: RunObserver,
        on_problem: Callable[[str, Exception], None] | None = None,
    ) -> None:
        if config.pose.source != "visual":
            raise ConfigError.from_parts(
                "parameter pose.source",
                repr(config.pose.source),
                "'visual'",
                "leave it out: there are images only",
            )
        self.frames = 0
        self.pipeline = SlamPipeline(config, device)
        assert self.pipeline.tracking is not None
        self._tracking = self.pipeline.tracking
        if self._tracking.needs_mapping:
            self.pipeline.close()
            raise ConfigError.from_parts(
                "parameter depth.source",
                repr(config.depth.source),
                "'network'",
                "leave it out: there are no depth images",
            )
        self._observer = observer
        self._problem = on_problem or (lambda kind, error: None)
        self._tracking.on_problem = partial(self._problem, "tracking")
        self._offline = config.runtime.offline
        self._worker: KeyframeWorker[_Job] = KeyframeWorker(
            self._map, self._offline, self._on_failure, self._on_drop
        )

    @property
    def dropped(self) -> int:
        """The number of keyframes that a newer one replaced before they were mapped."""
        return self._worker.dropped

    def add(self, frame: Frame) -> TrackedPose:
        """Track an image, and have it mapped if it is a keyframe.

        Args:
            frame: an image with its intrinsics; nothing else of it is used.
        """
        start = time.perf_counter()
        tracked = self._tracking.track(frame)
        self._observer.on_latency("track", (time.perf_counter() - start) * 1e3)
        self._observer.on_image(frame, tracked)
        self._observer.on_frame(frame.stamp_ns, tracked.T_map_camera)
        self.frames += 1
        if tracked.T_map_camera is not None:
            self._choose(replace(frame, depth=None, T_map_camera=tracked.T_map_camera))
        return tracked

    def drain(self) -> bool:
        """Wait until every keyframe is mapped that is not dropped; return whether all are."""
        return self._worker.drain(_PATIENCE_S)

    def stop(self) -> None:
        """Finish the keyframe at work and end the threads."""
        self._worker.stop(_PATIENCE_S)
        self.pipeline.close()

    def save(self, path: Path) -> Path:
        """Write the map's checkpoint, to go on in it later; return its path. Call `stop` first.

        Raises:
            MapError: the file cannot be written.
        """
        surfels = self.pipeline.surfels
        return save_map(
            path,
            surfels.surfels,
            surfels.keyframes,
            learned=self.pipeline.state_dict(),
            tracking=self._tracking.state_dict(),
        )

    def _choose(self, frame: Frame) -> None:
        try:
            decision = self.pipeline.choose_keyframe(frame)
        except Exception as error:
            self.pipeline.withdraw(frame.stamp_ns)
            self._problem(refusal_kind(error), error)
            return
        if decision.problem is not None:
            self._problem(refusal_kind(decision.problem), decision.problem)
        if decision.is_keyframe:
            self._worker.submit(_Job(frame, decision))
            if self._offline:
                self._worker.drain(_PATIENCE_S)

    def _map(self, job: _Job) -> None:
        """Map one keyframe (worker thread)."""
        result = self.pipeline.map_keyframe(job.frame, job.decision)
        self._observer.on_keyframe(result)
        self._observer.on_map(self.pipeline.surfels.snapshot)

    def _on_failure(self, job: _Job, error: Exception) -> None:
        self._problem(refusal_kind(error), error)

    def _on_drop(self, job: _Job) -> None:
        self.pipeline.withdraw(job.frame.stamp_ns)
