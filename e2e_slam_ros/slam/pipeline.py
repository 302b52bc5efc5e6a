"""The system without ROS: one object, one method a keyframe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError, E2ESlamError
from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.slam.adaptation import Adaptation, build_adaptable_source
from e2e_slam_ros.slam.frontend import Frontend
from e2e_slam_ros.slam.result import KeyframeResult, Revision


class SlamPipeline:
    """Frames in, a map out.

    `track` is cheap and runs at camera rate; `integrate` maps one keyframe and may run in
    another thread. Both raise `E2ESlamError` for input they refuse and leave the map as it was.
    """

    def __init__(self, config: Config, device: torch.device) -> None:
        _check_waiting(config)
        self.config = config
        self.device = device
        self.frontend = Frontend(config, device)
        self.depth_source = build_adaptable_source(config, device)
        self.adaptation = Adaptation(config, self.depth_source, device)
        self.surfels = SurfelMap(config.map, device)

    def track(self, frame: Frame) -> KeyframeDecision:
        """Return whether the frame becomes a keyframe; its depth may still be missing."""
        return self.frontend.decide(frame.stamp_ns, frame.image, frame.camera, frame.T_map_camera)

    def integrate(self, frame: Frame, decision: KeyframeDecision) -> KeyframeResult:
        """Map one keyframe: prepare, predict depth, align scale and refine, fuse, revise."""
        latency_ms: dict[str, float] = {}
        keyframe: Keyframe | None = None
        try:
            with self._timed("prepare", latency_ms):
                keyframe = self.frontend.prepare(frame, decision)
            with self._timed("depth", latency_ms):
                predicted = self.depth_source.estimate(keyframe)
            with self._timed("refine", latency_ms, self.adaptation.active):
                between = self.frontend.between(keyframe, self.adaptation.between)
                adapted = self.adaptation.refine(
                    keyframe, predicted, self._in_view(keyframe), between=between
                )
            with self._timed("fuse", latency_ms):
                fusion = self.surfels.fuse(keyframe, adapted.estimate)
        except Exception:
            self.frontend.withdraw(frame.stamp_ns)
            if keyframe is not None:
                self.adaptation.withdraw(keyframe)
            raise
        self.frontend.note_depth(keyframe, adapted.estimate.depth)
        waits = self.adaptation.active and self.config.refine.wait_keyframes > 0
        with self._timed("revise", latency_ms, waits):
            revision, problem = self._revise()
        return KeyframeResult(
            keyframe=keyframe,
            unrefined=adapted.unrefined,
            estimate=adapted.estimate,
            fusion=fusion,
            latency_ms=latency_ms,
            outcome=adapted.outcome,
            alignment=adapted.alignment,
            revision=revision,
            notices=adapted.notices if problem is None else (*adapted.notices, problem),
        )

    def reconfigure(self, refine: RefineConfig) -> None:
        """Refine by other settings from the next keyframe on; any thread.

        Raises:
            ConfigError: the depth source cannot follow them; nothing is changed then.
        """
        self.adaptation.reconfigure(refine)

    def reset(self) -> None:
        """Forget the map, the last keyframes and what was learned."""
        self.frontend.reset()
        self.depth_source.reset()
        self.adaptation.reset()
        self.surfels.clear()

    def _revise(self) -> tuple[Revision | None, str | None]:
        """Refine an earlier keyframe again; return what came of it, or why nothing did.

        The newest keyframe is in the map by now: nothing here may undo that.
        """
        try:
            again = self.adaptation.look_back(self._in_view)
            if again is None:
                return None, None
            self.surfels.revise(again.keyframe, again.estimate)
        except E2ESlamError as error:
            return None, str(error)
        return Revision(again.keyframe, again.estimate, again.outcome), None

    def _in_view(self, keyframe: Keyframe) -> torch.Tensor | None:
        """Return (N, 3) the surfels in view where the refinement wants them."""
        if not self.adaptation.wants_map or len(self.surfels) == 0:
            return None
        return self.surfels.points_in_view(keyframe.camera, keyframe.T_map_camera)

    @contextmanager
    def _timed(
        self, stage: str, latency_ms: dict[str, float], wanted: bool = True
    ) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if not wanted:
            return
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        latency_ms[stage] = (time.perf_counter() - start) * 1e3


def _check_waiting(config: Config) -> None:
    wait, kept = config.refine.wait_keyframes, config.map.revisable_keyframes
    # A keyframe that was revised counts among the last ones again.
    least = 2 * wait + 1
    if wait > 0 and kept < least:
        raise ConfigError.from_parts(
            "parameter map.revisable_keyframes",
            kept,
            f"at least {least}, 2 refine.wait_keyframes + 1",
            "raise it, or set refine.wait_keyframes to 0",
        )
