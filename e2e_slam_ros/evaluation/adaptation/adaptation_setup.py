"""The parts of the pair and online protocols: the pipeline, the truth and the scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.evaluation.adaptation.degraded_depth import DegradedDepth
from e2e_slam_ros.evaluation.adaptation.report import Forgetting
from e2e_slam_ros.evaluation.adaptation.score import KeyframeScore, RefinedKeyframe, score_keyframe
from e2e_slam_ros.evaluation.depth.scores import in_range
from e2e_slam_ros.evaluation.even_sample import EvenSample
from e2e_slam_ros.evaluation.left_out import LeftOut
from e2e_slam_ros.refine.scale_estimators import GroundtruthMedianScale, build_scale_estimator
from e2e_slam_ros.slam.depth_sources import build_depth_source
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.result import KeyframeResult

# Share of the measured pixels that a sparse depth topic shows (paper 4.3); these are not scored.
_SPARSE = 0.01
# Keyframes in the pictures.
_SAMPLES = 6

Sample = tuple[RefinedKeyframe, KeyframeScore]


@dataclass(frozen=True, eq=False)
class AdaptationResult:
    """Scores of a run, a few evenly spread keyframes for pictures, and what was forgotten.

    >>> AdaptationResult([], [], None).forgetting is None
    True
    """

    scores: list[KeyframeScore]
    samples: list[Sample]
    forgetting: Forgetting | None


class AdaptationSetup:
    """The pipeline of the product, with the truth taken out of each keyframe.

    Attributes:
        config: of the run.
        pipeline: maps the keyframes; the network of its source, if any, is adapted.
        original: the same source with weights that nobody changes.
        truth: of the keyframe that was prepared last, (1, 1, H, W) metres, 0 = unknown; or None.
        scores: of the keyframes so far.
        left_out: the frames without a score.

    Args:
        degraded: start from the degraded truth instead of the configured source.

    Raises:
        ConfigError, DepthError: the source or the refinement cannot be built.

    >>> config = Config().with_values({"refine.strategy": "output"})
    >>> AdaptationSetup(config, torch.device("cpu"), degraded=True).pipeline.source.traits.name
    'poor'
    """

    def __init__(self, config: Config, device: torch.device, degraded: bool) -> None:
        # In lock-step, so that equal input gives equal figures.
        config = config.with_values({"runtime.offline": True})
        self.config = config
        self._degraded = DegradedDepth(config.depth) if degraded else None
        self._estimator = build_scale_estimator(config.refine, config.depth)
        self.pipeline = SlamPipeline(config, device, self._degraded, self._without_truth)
        self.original: DepthSource = self.pipeline.source
        if config.refine.strategy == "network":
            self.original = build_depth_source(config, device)
        self.truth: torch.Tensor | None = None
        self.scores: list[KeyframeScore] = []
        self.left_out = LeftOut()
        self._samples: EvenSample[Sample] = EvenSample(_SAMPLES)

    @property
    def adapts(self) -> bool:
        """Whether the weights of the pipeline's source change."""
        return self.original is not self.pipeline.source

    def map_keyframe(
        self, frame: Frame, decision: KeyframeDecision
    ) -> tuple[RefinedKeyframe, KeyframeResult]:
        """Map a keyframe; return its depth, by the present weights before refinement."""
        result = self.pipeline.map_keyframe(frame, decision)
        assert result.outcome is not None  # protocols need a strategy
        refined = RefinedKeyframe(
            keyframe=result.keyframe,
            truth=self.truth,
            before=result.raw.depth,
            aligned=result.unrefined.depth,
            after=result.estimate.depth,
            outcome=result.outcome,
            seconds=result.latency_ms.get("refine", 0.0) * 1e-3,
        )
        return refined, result

    def score(self, refined: RefinedKeyframe) -> bool:
        """Compare a keyframe with its truth. False, counted, where nothing can be compared."""
        limits = (self.config.depth.min_m, self.config.depth.max_m)
        if refined.truth is None or not bool(in_range(refined.truth, *limits).any()):
            self.left_out.add("no true depth in range")
            return False
        score = score_keyframe(refined, *limits)
        if score is None:
            self.left_out.add("no pixel with all depths")
            return False
        self.scores.append(score)
        self._samples.offer((refined, score))
        return True

    def result(self, frames: int, forgetting: Forgetting | None = None) -> AdaptationResult:
        """Return the result of a sequence of ``frames`` frames.

        Raises:
            DataError: no keyframe could be scored; with the reasons.
        """
        if not self.scores:
            needed, do = (
                "frames with a pose and true depth",
                "choose another sequence, or other --frames",
            )
            refusal: DataError = self.left_out.refusal(frames, needed, do, self.config.depth)
            raise refusal
        return AdaptationResult(self.scores, self._samples.chosen(), forgetting)

    def _without_truth(self, keyframe: Keyframe) -> Keyframe:
        """Return a keyframe without its true depth, and keep that apart."""
        measured, shown = keyframe.sensor_depth, None
        self.truth = measured
        if measured is not None and self._estimator is not None and self._estimator.by_sensor:
            generator = torch.Generator().manual_seed(keyframe.stamp_ns % 2**31)
            drawn = torch.rand(measured.shape, generator=generator).to(measured.device)
            shown = torch.where(drawn < _SPARSE, measured, 0.0)
            self.truth = torch.where(drawn < _SPARSE, 0.0, measured)
        if isinstance(self._estimator, GroundtruthMedianScale):
            shown = measured
        keyframe = replace(keyframe, sensor_depth=shown)
        if self._degraded is not None and measured is not None:
            self._degraded.show(keyframe, measured)
        return keyframe
