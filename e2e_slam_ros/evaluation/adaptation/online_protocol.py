"""Refinement along a sequence: what is learned is carried on, and what it forgets is measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from e2e_slam_ros.config.errors import ConfigError, E2ESlamError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, KeyframeDecision
from e2e_slam_ros.evaluation.adaptation.adaptation_setup import (
    AdaptationResult,
    AdaptationSetup,
    EvaluatedKeyframe,
    nothing_scored,
    outcome_of,
    sample_of,
)
from e2e_slam_ros.evaluation.adaptation.report import Forgetting
from e2e_slam_ros.evaluation.adaptation.score import Depths
from e2e_slam_ros.evaluation.depth.scores import DepthScores, mean_scores
from e2e_slam_ros.evaluation.even_sample import EvenSample
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.slam.adaptation import AdaptedDepth
from e2e_slam_ros.slam.frontend import Frontend

# How many of the first keyframes are asked once more at the end.
_ASKED_AGAIN = 20
_EVERY = KeyframeDecision(True, "every frame", has_parallax=True)
_BETWEEN = KeyframeDecision(False, "between")


@dataclass(eq=False)
class _Mapped:
    """A keyframe in the map whose depth may still get better."""

    view: EvaluatedKeyframe
    before: torch.Tensor
    adapted: AdaptedDepth
    seconds: float


class OnlineProtocol:
    """Runs a sequence as the system does: keyframe rule, scale, refinement, map.

    "before" is what the original weights say about the same keyframes, without refinement.

    Args:
        setup: what is run.
        every: every so manieth frame is a keyframe; None: the keyframe rule decides.
    """

    def __init__(self, setup: AdaptationSetup, every: int | None) -> None:
        self._setup, self._every = setup, every
        self._frontend = Frontend(setup.config, setup.device)
        self._surfels = SurfelMap(setup.config.map, setup.device)
        self._waiting: deque[_Mapped] = deque()
        self._first: list[EvaluatedKeyframe] = []
        self.left_out: dict[str, int] = {}
        self._first_problem = ""

    def run(self, reader: FrameReader, positions: Iterable[int], samples: int) -> AdaptationResult:
        """Run the sequence and score its keyframes.

        Args:
            reader: the sequence.
            positions: all of them in order, maybe through a progress bar.
            samples: of how many evenly spread keyframes to keep pictures.

        Raises:
            DataError: no keyframe could be scored; with the reasons.
        """
        outcome, kept = AdaptationResult(), EvenSample[_Mapped](max(1, samples))
        for position in positions:
            try:
                self._frame(position, reader[position])
            except ConfigError:
                raise
            except E2ESlamError as problem:
                self._skip("not mapped")
                self._first_problem = self._first_problem or str(problem)
            self._score(outcome, kept, len(self._waiting) - 1 - self._wait)
        self._score(outcome, kept, len(self._waiting))
        if not outcome.scores:
            raise nothing_scored(
                len(reader), self.left_out, self._first_problem, self._setup.config
            )
        if samples > 0:
            by_frame = {score.frame: score for score in outcome.scores}
            for done in kept.chosen():
                score = by_frame[done.view.keyframe.frame_index]
                outcome.samples.append(sample_of(done.view, _depths(done), score))
        outcome.forgetting = self._ask_again()
        return outcome

    @property
    def _wait(self) -> int:
        return self._setup.config.refine.wait_keyframes

    def _frame(self, position: int, frame: Frame) -> None:
        if frame.T_map_camera is None:
            self._skip("no pose")
            return
        decision = self._decide(position, frame)
        if not decision.is_keyframe:
            return
        try:
            self._keyframe(self._frontend.prepare(frame, decision))
        except E2ESlamError:
            self._frontend.withdraw(frame.stamp_ns)
            raise

    def _decide(self, position: int, frame: Frame) -> KeyframeDecision:
        if self._every is None:
            return self._frontend.decide(
                frame.stamp_ns, frame.image, frame.camera, frame.T_map_camera
            )
        return _EVERY if position % self._every == 0 else _BETWEEN

    def _keyframe(self, keyframe: Keyframe) -> None:
        setup, view = self._setup, self._setup.view(keyframe)
        unrefined = setup.estimate(setup.source, view)
        # Before the refinement: it may change the weights that gave both.
        before = unrefined.depth
        if setup.original is not setup.source:
            before = setup.estimate(setup.original, view).depth
        adapted, seconds = setup.timed(lambda: self._refined(view, unrefined))
        try:
            self._surfels.fuse(view.keyframe, adapted.estimate)
        except E2ESlamError:
            setup.adaptation.withdraw(view.keyframe)
            raise
        self._frontend.note_depth(view.keyframe, adapted.estimate.depth)
        self._waiting.append(_Mapped(view, before, adapted, seconds))
        if self._wait > 0:
            self._look_back()

    def _refined(self, view: EvaluatedKeyframe, unrefined: DepthEstimate) -> AdaptedDepth:
        return self._setup.adaptation.refine(
            view.keyframe,
            unrefined,
            self._in_view(view.keyframe),
            self._setup.truth_for_scale(view),
            self._frontend.between(view.keyframe, self._setup.adaptation.between),
        )

    def _look_back(self) -> None:
        """Take the better depth of an earlier keyframe, where there is one."""
        again, seconds = self._setup.timed(lambda: self._setup.adaptation.look_back(self._in_view))
        for done in self._waiting:
            if again is not None and done.view.keyframe is again.keyframe:
                self._surfels.revise(again.keyframe, again.estimate)
                done.adapted, done.seconds = again, done.seconds + seconds

    def _in_view(self, keyframe: Keyframe) -> torch.Tensor | None:
        if not self._setup.adaptation.wants_map or len(self._surfels) == 0:
            return None
        return self._surfels.points_in_view(keyframe.camera, keyframe.T_map_camera)

    def _score(self, outcome: AdaptationResult, kept: EvenSample[_Mapped], count: int) -> None:
        """Score the ``count`` oldest keyframes: their depth stays as it is."""
        for _ in range(count):
            done = self._waiting.popleft()
            view, scorer = done.view, self._setup.scorer
            if view.truth is None or not scorer.has_truth(view.truth):
                self._skip("no true depth in range")
                continue
            score = scorer.score(
                view.keyframe.frame_index,
                view.keyframe.image,
                view.truth,
                _depths(done),
                outcome_of(done.adapted),
                done.seconds,
            )
            if score is None:
                self._skip("no pixel with all depths")
                continue
            outcome.scores.append(score)
            kept.offer(done)
            if len(self._first) < _ASKED_AGAIN:
                self._first.append(view)

    def _ask_again(self) -> Forgetting | None:
        """Compare adapted and original weights on the first keyframes, on the same pixels."""
        setup = self._setup
        if setup.original is setup.source or setup.config.refine.network.reset_per_keyframe:
            return None
        original: list[DepthScores] = []
        adapted: list[DepthScores] = []
        for view in self._first:
            assert view.truth is not None  # it was scored
            depths = [
                setup.estimate(source, view).depth for source in (setup.original, setup.source)
            ]
            both = (depths[0] > 0) & (depths[1] > 0)
            truth = torch.where(both, view.truth, 0.0)
            # Textured or not makes no difference here.
            stages = [setup.scorer.stage(depth, truth, both) for depth in depths]
            original.append(stages[0].every)
            adapted.append(stages[1].every)
        return Forgetting(mean_scores(original), mean_scores(adapted), len(original))

    def _skip(self, reason: str) -> None:
        self.left_out[reason] = self.left_out.get(reason, 0) + 1


def _depths(done: _Mapped) -> Depths:
    return Depths(done.before, done.adapted.unrefined.depth, done.adapted.estimate.depth)
