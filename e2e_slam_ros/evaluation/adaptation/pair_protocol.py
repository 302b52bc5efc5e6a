"""Refinement keyframe by keyframe, each from the same start (paper section 4.2, table 1)."""

from __future__ import annotations

from collections.abc import Iterable

from e2e_slam_ros.config.errors import ConfigError, E2ESlamError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.keyframe import KeyframeDecision
from e2e_slam_ros.evaluation.adaptation.adaptation_setup import (
    AdaptationResult,
    AdaptationSetup,
    geometric_depth,
    nothing_scored,
    required,
    sample_of,
)
from e2e_slam_ros.evaluation.adaptation.neighbours import Neighbourhood
from e2e_slam_ros.evaluation.adaptation.score import Depths, KeyframeScore
from e2e_slam_ros.refine.result import RefineOutcome

_EVERY = KeyframeDecision(True, "every frame", has_parallax=True)


class PairProtocol:
    """Maps each frame after its neighbours, and forgets everything before the next.

    Neighbours are the frames before it, ``refine.motion.min_baseline_m`` apart; with
    ``refine.wait_keyframes`` also that many after it. The refinement sees no map: a pair has none.

    Args:
        setup: the pipeline and the truth.
        reader: the sequence.
    """

    def __init__(self, setup: AdaptationSetup, reader: FrameReader) -> None:
        self._setup = setup
        self._hood = Neighbourhood(reader, setup.config.refine.motion.min_baseline_m)
        self._frames = len(reader)
        setup.pipeline.configure(setup.config.with_values({"refine.weights.chamfer": 0.0}))

    @property
    def left_out(self) -> dict[str, int]:
        """Reason -> number of frames left out for it."""
        return self._hood.skipped

    def run(self, positions: Iterable[int], samples: int, count: int) -> AdaptationResult:
        """Refine and score the frames at these positions.

        Args:
            positions: maybe through a progress bar.
            samples: number of evenly spread frames to keep pictures of.
            count: number of positions.

        Raises:
            DataError: no frame could be scored; with the reasons.
        """
        result = AdaptationResult()
        for number, position in enumerate(positions):
            due = len(result.samples) * max(1, count - 1) // max(1, samples - 1)
            wanted = len(result.samples) < samples and number >= due
            self._frame(position, result, wanted)
        if not result.scores:
            raise nothing_scored(
                self._frames, self.left_out, self._hood.first_problem, self._setup.config
            )
        return result

    def _frame(self, position: int, result: AdaptationResult, wants_sample: bool) -> None:
        refine, frame = self._setup.config.refine, self._hood.at(position)
        if frame is None:
            return  # counted where it was read
        count = max(refine.neighbours, refine.motion.neighbours)
        earlier = self._hood.earlier(position, count)
        later = self._hood.later(position, refine.wait_keyframes)
        if frame.depth is None:
            self._hood.skip("no true depth in range")
            return
        if not earlier:
            self._hood.skip("no neighbour before it")
            return
        try:
            mapped = self._map(frame, earlier, later)
        except ConfigError:
            raise
        except E2ESlamError as problem:
            self._hood.skip("no prediction", str(problem))
            return
        self._score(mapped, result, wants_sample)

    def _map(
        self, frame: Frame, earlier: list[Frame], later: list[Frame]
    ) -> tuple[Depths, RefineOutcome, float]:
        """Map a frame as a run does: at once, and again when the later frames are there."""
        pipeline = self._setup.pipeline
        pipeline.reset()
        for neighbour in reversed(earlier):
            pipeline.remember_view(neighbour, _EVERY)
        first = pipeline.map_keyframe(frame, _EVERY)
        self._evaluated = self._setup.evaluated
        depths = Depths(first.raw.depth, first.unrefined.depth, first.estimate.depth)
        outcome, seconds = required(first.outcome), first.latency_ms["refine"] * 1e-3
        wait = self._setup.config.refine.wait_keyframes
        if wait == 0 or len(later) < wait:
            return depths, outcome, seconds
        for neighbour in later:
            pipeline.remember_view(neighbour, _EVERY)
        again, more_seconds = self._setup.timed(pipeline.look_back)
        if again is not None:
            depths = Depths(first.raw.depth, again.unrefined.depth, again.estimate.depth)
            outcome = required(again.outcome)
        return depths, outcome, seconds + more_seconds

    def _score(
        self,
        mapped: tuple[Depths, RefineOutcome, float],
        result: AdaptationResult,
        wants_sample: bool,
    ) -> None:
        evaluated, scorer = self._evaluated, self._setup.scorer
        assert evaluated is not None
        if evaluated.truth is None or not scorer.has_truth(evaluated.truth):
            self._hood.skip("no true depth in range")
            return
        depths, outcome, seconds = mapped
        keyframe = evaluated.keyframe
        others = [
            item.keyframe
            for item in self._setup.pipeline.keyframes.recent()
            if item.keyframe.index != keyframe.index
        ]
        score: KeyframeScore | None = scorer.score(
            keyframe.frame_index,
            keyframe.image,
            evaluated.truth,
            depths,
            outcome,
            seconds,
            geometric_depth(keyframe, others, self._setup.config),
        )
        if score is None:
            self._hood.skip("no pixel with all depths")
            return
        result.scores.append(score)
        if wants_sample:
            result.samples.append(sample_of(evaluated, depths, score))
