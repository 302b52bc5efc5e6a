"""Refinement keyframe by keyframe, each from the same start (paper section 4.2, table 1)."""

from __future__ import annotations

import time
from collections.abc import Iterable

import torch

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.config.errors import ConfigError, E2ESlamError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.depth.gate import gate_depth
from e2e_slam_ros.evaluation.adaptation.adaptation_setup import AdaptationResult, AdaptationSetup
from e2e_slam_ros.evaluation.adaptation.neighbours import Neighbourhood
from e2e_slam_ros.evaluation.adaptation.score import RefinedKeyframe
from e2e_slam_ros.multiview.motion_stereo import filled_depth
from e2e_slam_ros.multiview.plane_choice import inverse_planes
from e2e_slam_ros.multiview.plane_sweep import plane_sweep
from e2e_slam_ros.multiview.sweep_view import sweep_view

_EVERY = KeyframeDecision(True, "every frame", has_parallax=True)


class PairProtocol:
    """Maps each frame after its neighbours, and forgets everything before the next.

    Neighbours are the frames before it, ``refine.motion.min_baseline_m`` apart; with
    ``refine.wait_keyframes`` also that many after it. The refinement sees no map: a pair has none.

    >>> from e2e_slam_ros.config import Config
    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> poor = {"refine.strategy": "output", "refine.steps": 1}
    >>> setup = AdaptationSetup(Config().with_values(poor), torch.device("cpu"), degraded=True)
    >>> reader = ProceduralReader(0, 2, 64, 48, rate_hz=2.0, texture_size=64)
    >>> found = PairProtocol(setup, reader).run(range(2))
    >>> [score.frame for score in found.scores], setup.left_out.counts
    ([1], {'no neighbour before it': 1})
    """

    def __init__(self, setup: AdaptationSetup, reader: FrameReader) -> None:
        self._setup, self._left_out = setup, setup.left_out
        apart_m = setup.config.refine.motion.min_baseline_m
        self._hood = Neighbourhood(reader, apart_m, self._left_out)
        self._frames = len(reader)
        setup.pipeline.configure(setup.config.with_values({"refine.weights.chamfer": 0.0}))

    def run(self, positions: Iterable[int]) -> AdaptationResult:
        """Refine and score the frames at these positions, maybe through a progress bar.

        Raises:
            DataError: no frame could be scored; with the reasons.
        """
        for position in positions:
            self._frame(position)
        return self._setup.result(self._frames)

    def _frame(self, position: int) -> None:
        refine, frame = self._setup.config.refine, self._hood.at(position)
        if frame is None:
            return  # counted where it was read
        count = max(refine.neighbours, refine.motion.neighbours)
        earlier = self._hood.earlier(position, count)
        later = self._hood.later(position, refine.wait_keyframes)
        if frame.depth is None:
            self._left_out.add("no true depth in range")
            return
        if not earlier:
            self._left_out.add("no neighbour before it")
            return
        try:
            refined = self._map(frame, earlier, later)
        except ConfigError:
            raise
        except E2ESlamError as problem:
            self._left_out.add("no prediction", problem)
            return
        keyframes = [item.keyframe for item in self._setup.pipeline.keyframes.recent()]
        refined.geometric = geometric_depth(refined.keyframe, keyframes, self._setup.config.depth)
        self._setup.score(refined)

    def _map(self, frame: Frame, earlier: list[Frame], later: list[Frame]) -> RefinedKeyframe:
        """Map a frame as a run does: at once, and again when the later frames are there."""
        pipeline, wait = self._setup.pipeline, self._setup.config.refine.wait_keyframes
        pipeline.reset()
        for neighbour in reversed(earlier):
            pipeline.remember_view(neighbour, _EVERY)
        refined, _ = self._setup.map_keyframe(frame, _EVERY)
        if wait == 0 or len(later) < wait:
            return refined
        for neighbour in later:
            pipeline.remember_view(neighbour, _EVERY)
        start = _now(pipeline.device)
        again = pipeline.look_back()
        refined.seconds += _now(pipeline.device) - start
        if again is not None:
            refined.revise(again)
        return refined


def _now(device: torch.device) -> float:
    """Return seconds of a clock, after the work that the device has been given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@torch.inference_mode()
def geometric_depth(
    target: Keyframe, keyframes: list[Keyframe], config: DepthConfig
) -> torch.Tensor | None:
    """Return the depth of motion stereo from other keyframes, (1, 1, H, W) metres, 0 = unknown.

    The baseline that learning has to beat: a plane sweep, filled. None without a view that moved.
    """
    width = min(config.motion.width, target.camera.width)
    centre = target.T_map_camera[:3, 3]
    others = [
        sweep_view(source, width)
        for source in keyframes
        if source.index != target.index
        and source.camera == target.camera
        and float((source.T_map_camera[:3, 3] - centre).norm()) >= config.motion.min_baseline_m
    ]
    if not others:
        return None
    planes = inverse_planes(config, target.image.device)
    volume = plane_sweep(sweep_view(target, width), others, planes)
    depth, _ = filled_depth(volume, target.camera.height, target.camera.width)
    return gate_depth(depth, config)
