"""Refinement keyframe by keyframe, each from the same start (paper section 4.2, table 1)."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from e2e_slam_ros.config.errors import ConfigError, E2ESlamError
from e2e_slam_ros.data.keyframe import DepthEstimate
from e2e_slam_ros.evaluation.adaptation.adaptation_setup import (
    AdaptationResult,
    AdaptationSetup,
    EvaluatedKeyframe,
    geometric_depth,
    outcome_of,
    sample_of,
    skipped_all,
)
from e2e_slam_ros.evaluation.adaptation.neighbours import Neighbourhood
from e2e_slam_ros.evaluation.adaptation.score import Depths
from e2e_slam_ros.evaluation.working_frames import WorkingFrames
from e2e_slam_ros.slam.adaptation import AdaptedDepth


class PairProtocol:
    """Refines each frame with its neighbours and forgets everything before the next.

    Neighbours are the frames before it, ``refine.motion.min_baseline_m`` apart; with
    ``refine.wait_keyframes`` also so many after it.
    There is no map: a pair knows none.

    Args:
        setup: what is run.
        frames: the sequence; counts what is left out.
    """

    def __init__(self, setup: AdaptationSetup, frames: WorkingFrames) -> None:
        self._setup, self._frames = setup, frames
        self._hood = Neighbourhood(frames, setup.config.refine.motion.min_baseline_m)

    def run(self, positions: Iterable[int], samples: int, count: int) -> AdaptationResult:
        """Refine and score the frames at these positions.

        Args:
            positions: maybe through a progress bar.
            samples: of how many evenly spread frames to keep pictures.
            count: how many positions there are.

        Raises:
            DataError: no frame could be scored; with the reasons.
        """
        outcome = AdaptationResult()
        for number, position in enumerate(positions):
            due = len(outcome.samples) * max(1, count - 1) // max(1, samples - 1)
            wanted = len(outcome.samples) < samples and number >= due
            self._frame(position, outcome, wanted)
        if not outcome.scores:
            raise skipped_all(self._frames, self._setup.config)
        return outcome

    def _frame(self, position: int, outcome: AdaptationResult, wants_sample: bool) -> None:
        setup, refine = self._setup, self._setup.config.refine
        keyframe = self._hood.at(position)
        if keyframe is None:
            return  # counted where it was read
        view = setup.view(keyframe)
        earlier = self._hood.earlier(position, max(refine.neighbours, refine.motion.neighbours))
        later = self._hood.later(position, refine.wait_keyframes)
        if view.truth is None or not setup.scorer.has_truth(view.truth):
            self._frames.skip("no true depth in range")
            return
        if not earlier:
            self._frames.skip("no neighbour before it")
            return
        before_it = [setup.view(k) for k in reversed(earlier)]
        after_it = [setup.view(k) for k in later]
        try:
            unrefined = self._unrefined(view, before_it)
            adapted, seconds = setup.timed(
                lambda: self._refined(view, unrefined, before_it, after_it)
            )
        except ConfigError:
            raise
        except E2ESlamError as problem:
            self._frames.skip("no prediction")
            self._frames.first_problem = self._frames.first_problem or str(problem)
            return
        depths = Depths(unrefined.depth, adapted.unrefined.depth, adapted.estimate.depth)
        sources = [v.keyframe for v in (*before_it, *after_it)]
        score = setup.scorer.score(
            keyframe.frame_index,
            keyframe.image,
            view.truth,
            depths,
            outcome_of(adapted),
            seconds,
            geometric_depth(view.keyframe, sources, setup.config),
        )
        if score is None:
            self._frames.skip("no pixel with all depths")
            return
        outcome.scores.append(score)
        if wants_sample:
            outcome.samples.append(sample_of(view, depths, score))

    def _unrefined(
        self, view: EvaluatedKeyframe, before_it: list[EvaluatedKeyframe]
    ) -> DepthEstimate:
        setup = self._setup
        setup.source.reset()
        setup.adaptation.reset()
        if setup.source.name == "motion_stereo":
            # It compares with the keyframes it was asked for before.
            for neighbour in before_it:
                setup.source.estimate(neighbour.keyframe)
        return setup.estimate(setup.source, view)

    def _refined(
        self,
        view: EvaluatedKeyframe,
        unrefined: DepthEstimate,
        before_it: list[EvaluatedKeyframe],
        after_it: list[EvaluatedKeyframe],
    ) -> AdaptedDepth:
        """Refine as a run does: at once, and again when the later keyframes are there."""
        setup, adaptation = self._setup, self._setup.adaptation
        for neighbour in before_it:
            adaptation.remember(neighbour.keyframe)
        truth: torch.Tensor | None = setup.truth_for_scale(view)
        adapted = adaptation.refine(view.keyframe, unrefined, None, truth)
        wait = setup.config.refine.wait_keyframes
        if wait == 0 or len(after_it) < wait:
            return adapted
        for neighbour in after_it:
            adaptation.remember(neighbour.keyframe)
        return adaptation.look_back() or adapted
