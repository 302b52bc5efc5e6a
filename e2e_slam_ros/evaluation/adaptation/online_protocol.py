"""Refinement along a sequence: learned weights are carried on, and forgetting is measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from e2e_slam_ros.config.errors import ConfigError, E2ESlamError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.keyframe import KeyframeDecision
from e2e_slam_ros.evaluation.adaptation.adaptation_setup import (
    AdaptationResult,
    AdaptationSetup,
    EvaluatedKeyframe,
    nothing_scored,
    required,
    sample_of,
)
from e2e_slam_ros.evaluation.adaptation.report import Forgetting
from e2e_slam_ros.evaluation.adaptation.score import Depths
from e2e_slam_ros.evaluation.depth.scores import mean_scores
from e2e_slam_ros.evaluation.even_sample import EvenSample
from e2e_slam_ros.refine.result import RefineOutcome
from e2e_slam_ros.slam.result import KeyframeResult

# Number of first keyframes that are predicted once more at the end.
_ASKED_AGAIN = 20
_EVERY = KeyframeDecision(True, "every frame", has_parallax=True)
_BETWEEN = KeyframeDecision(False, "between")


@dataclass(eq=False)
class _Mapped:
    """A keyframe in the map whose depth may still get better."""

    evaluated: EvaluatedKeyframe
    depths: Depths
    outcome: RefineOutcome
    seconds: float


class OnlineProtocol:
    """Runs a sequence through the pipeline as the system does, and scores its keyframes.

    "before" is the depth by the original weights, without refinement.

    Args:
        setup: the pipeline and the truth.
        every: every n-th frame is a keyframe; None: the keyframe rule decides.
    """

    def __init__(self, setup: AdaptationSetup, every: int | None) -> None:
        self._setup, self._every = setup, every
        self._waiting: deque[_Mapped] = deque()
        self._first: list[EvaluatedKeyframe] = []
        self.left_out: dict[str, int] = {}
        self._first_problem = ""

    def run(self, reader: FrameReader, positions: Iterable[int], samples: int) -> AdaptationResult:
        """Run the sequence and score its keyframes.

        Args:
            reader: the sequence.
            positions: all of them in order, maybe through a progress bar.
            samples: number of evenly spread keyframes to keep pictures of.

        Raises:
            DataError: no keyframe could be scored; with the reasons.
        """
        result, kept = AdaptationResult(), EvenSample[_Mapped](max(1, samples))
        for position in positions:
            try:
                self._frame(position, reader[position])
            except ConfigError:
                raise
            except E2ESlamError as problem:
                self._skip("not mapped")
                self._first_problem = self._first_problem or str(problem)
            self._score(result, kept, len(self._waiting) - 1 - self._wait)
        self._score(result, kept, len(self._waiting))
        if not result.scores:
            raise nothing_scored(
                len(reader), self.left_out, self._first_problem, self._setup.config
            )
        if samples > 0:
            by_frame = {score.frame: score for score in result.scores}
            for done in kept.chosen():
                score = by_frame[done.evaluated.keyframe.frame_index]
                result.samples.append(sample_of(done.evaluated, done.depths, score))
        result.forgetting = self._predict_again()
        return result

    @property
    def _wait(self) -> int:
        return self._setup.config.refine.wait_keyframes

    def _frame(self, position: int, frame: Frame) -> None:
        if frame.T_map_camera is None:
            self._skip("no pose")
            return
        decision = self._decide(position, frame)
        if decision.is_keyframe:
            self._take(self._setup.pipeline.map_keyframe(frame, decision))

    def _decide(self, position: int, frame: Frame) -> KeyframeDecision:
        if self._every is None:
            return self._setup.pipeline.choose_keyframe(frame)
        return _EVERY if position % self._every == 0 else _BETWEEN

    def _take(self, result: KeyframeResult) -> None:
        """Note a mapped keyframe, and the better depth of an earlier one."""
        evaluated = self._setup.evaluated
        assert evaluated is not None
        before = self._setup.before(result.keyframe, result.raw.depth)
        depths = Depths(before, result.unrefined.depth, result.estimate.depth)
        seconds = result.latency_ms.get("refine", 0.0) * 1e-3
        self._waiting.append(_Mapped(evaluated, depths, required(result.outcome), seconds))
        again = result.revision
        if again is None:
            return
        for done in self._waiting:
            if done.evaluated.keyframe.index == again.keyframe.index:
                done.depths = Depths(
                    done.depths.before, again.unrefined.depth, again.estimate.depth
                )
                done.outcome = required(again.outcome)
                done.seconds += result.latency_ms["revise"] * 1e-3

    def _score(self, result: AdaptationResult, kept: EvenSample[_Mapped], count: int) -> None:
        """Score the ``count`` oldest keyframes: their depth stays as it is."""
        for _ in range(count):
            done = self._waiting.popleft()
            evaluated, scorer = done.evaluated, self._setup.scorer
            if evaluated.truth is None or not scorer.has_truth(evaluated.truth):
                self._skip("no true depth in range")
                continue
            score = scorer.score(
                evaluated.keyframe.frame_index,
                evaluated.keyframe.image,
                evaluated.truth,
                done.depths,
                done.outcome,
                done.seconds,
            )
            if score is None:
                self._skip("no pixel with all depths")
                continue
            result.scores.append(score)
            kept.offer(done)
            if len(self._first) < _ASKED_AGAIN:
                self._first.append(evaluated)

    def _predict_again(self) -> Forgetting | None:
        """Compare adapted and original weights on the first keyframes, on the same pixels."""
        setup = self._setup
        if not setup.adapts or setup.config.refine.network.reset_per_keyframe:
            return None
        scores = []
        for evaluated in self._first:
            assert evaluated.truth is not None  # it was scored
            keyframe, views = evaluated.keyframe, setup.pipeline.keyframes
            depths = [
                source.estimate(keyframe, views).depth
                for source in (setup.original, setup.pipeline.source)
            ]
            both = (depths[0] > 0) & (depths[1] > 0)
            truth = torch.where(both, evaluated.truth, 0.0)
            # Textured or not makes no difference here.
            scores.append([setup.scorer.stage(depth, truth, both).every for depth in depths])
        original, adapted = zip(*scores, strict=True)
        return Forgetting(mean_scores(original), mean_scores(adapted), len(scores))

    def _skip(self, reason: str) -> None:
        self.left_out[reason] = self.left_out.get(reason, 0) + 1
