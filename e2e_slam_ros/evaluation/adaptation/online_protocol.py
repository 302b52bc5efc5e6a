"""Refinement along a sequence: learned weights are carried on, and forgetting is measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

import torch

from e2e_slam_ros.config.errors import ConfigError, E2ESlamError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.keyframe import KeyframeDecision
from e2e_slam_ros.evaluation.adaptation.adaptation_setup import AdaptationResult, AdaptationSetup
from e2e_slam_ros.evaluation.adaptation.report import Forgetting
from e2e_slam_ros.evaluation.adaptation.score import RefinedKeyframe
from e2e_slam_ros.evaluation.depth.scores import mean_scores, texture_scores

# Number of first keyframes that are predicted once more at the end.
_ASKED_AGAIN = 20
_EVERY = KeyframeDecision(True, "every frame", has_parallax=True)
_BETWEEN = KeyframeDecision(False, "between")


class OnlineProtocol:
    """Runs a sequence through the pipeline as the system does, and scores its keyframes.

    "before" is the depth by the original weights, without refinement.

    Args:
        every: every n-th frame is a keyframe; None: the keyframe rule decides.

    >>> from e2e_slam_ros.config import Config
    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> poor = {"refine.strategy": "output", "refine.steps": 1}
    >>> setup = AdaptationSetup(Config().with_values(poor), torch.device("cpu"), degraded=True)
    >>> reader = ProceduralReader(0, 2, 64, 48, rate_hz=2.0, texture_size=64)
    >>> found = OnlineProtocol(setup, reader, every=1).run(range(2))
    >>> [score.frame for score in found.scores]
    [0, 1]
    """

    def __init__(self, setup: AdaptationSetup, reader: FrameReader, every: int | None) -> None:
        self._setup, self._reader, self._every = setup, reader, every
        # Keyframes whose depth may still get better.
        self._waiting: deque[RefinedKeyframe] = deque()
        self._first: list[RefinedKeyframe] = []

    def run(self, positions: Iterable[int]) -> AdaptationResult:
        """Run the sequence, all positions in order, maybe through a progress bar.

        Raises:
            DataError: no keyframe could be scored; with the reasons.
        """
        wait = self._setup.config.refine.wait_keyframes
        for position in positions:
            try:
                self._frame(position, self._reader[position])
            except ConfigError:
                raise
            except E2ESlamError as problem:
                self._setup.left_out.add("not mapped", problem)
            self._score(len(self._waiting) - 1 - wait)
        self._score(len(self._waiting))
        forgetting = self._predict_again() if self._first else None
        return self._setup.result(len(self._reader), forgetting)

    def _frame(self, position: int, frame: Frame) -> None:
        if frame.T_map_camera is None:
            self._setup.left_out.add("no pose")
            return
        refinement = self._setup.pipeline.refinement
        if refinement is not None:
            tracked = refinement.track(frame)
            frame = replace(frame, T_map_camera=tracked.T_map_camera)
            if tracked.T_map_camera is None:
                self._setup.left_out.add("not tracked")
                return
        if (decision := self._decide(position, frame)).is_keyframe:
            self._map(frame, decision)

    def _decide(self, position: int, frame: Frame) -> KeyframeDecision:
        if self._every is None:
            return self._setup.pipeline.choose_keyframe(frame)
        return _EVERY if position % self._every == 0 else _BETWEEN

    def _map(self, frame: Frame, decision: KeyframeDecision) -> None:
        """Map a keyframe, and note the better depth of an earlier one."""
        setup = self._setup
        refined, result = setup.map_keyframe(frame, decision)
        if setup.adapts:
            views = setup.pipeline.keyframes
            refined.before = setup.original.estimate(refined.keyframe, views).depth
        self._waiting.append(refined)
        again = result.revision
        for done in self._waiting:
            if again is not None and done.keyframe.index == again.keyframe.index:
                done.revise(again)
                done.seconds += result.latency_ms["revise"] * 1e-3

    def _score(self, count: int) -> None:
        """Score the ``count`` oldest keyframes: their depth stays as it is."""
        for _ in range(count):
            refined = self._waiting.popleft()
            if self._setup.score(refined) and len(self._first) < _ASKED_AGAIN:
                self._first.append(refined)

    def _predict_again(self) -> Forgetting | None:
        """Compare adapted and original weights on the first keyframes, on the same pixels."""
        setup, limits = self._setup, self._setup.config.depth
        if not setup.adapts or setup.config.refine.network.reset_per_keyframe:
            return None
        sources, views = (setup.original, setup.pipeline.source), setup.pipeline.keyframes
        scores = []
        for refined in self._first:
            depths = [source.estimate(refined.keyframe, views).depth for source in sources]
            both = (depths[0] > 0) & (depths[1] > 0)
            assert refined.truth is not None  # it was scored
            truth = torch.where(both, refined.truth, 0.0)
            # Textured or not makes no difference here.
            stages = (texture_scores(d, truth, both, limits.min_m, limits.max_m) for d in depths)
            scores.append([stage.every for stage in stages])
        original, adapted = zip(*scores, strict=True)
        return Forgetting(mean_scores(original), mean_scores(adapted), len(scores))
