"""The parts of the pair and online protocols: the pipeline, the truth and the scorer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.depth.gate import gate_depth
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.evaluation.adaptation.degraded_depth import DegradedDepth
from e2e_slam_ros.evaluation.adaptation.figures import AdaptationSample
from e2e_slam_ros.evaluation.adaptation.report import Forgetting
from e2e_slam_ros.evaluation.adaptation.score import Depths, KeyframeScore, Scorer
from e2e_slam_ros.evaluation.working_frames import no_frame_scored
from e2e_slam_ros.multiview.motion_stereo import filled_depth
from e2e_slam_ros.multiview.plane_choice import inverse_planes
from e2e_slam_ros.multiview.plane_sweep import plane_sweep, sweep_view
from e2e_slam_ros.refine.result import RefineOutcome
from e2e_slam_ros.refine.scale_estimators import GroundtruthMedianScale, build_scale_estimator
from e2e_slam_ros.slam.depth_sources import build_depth_source
from e2e_slam_ros.slam.pipeline import SlamPipeline

Answer = TypeVar("Answer")

# Share of the measured pixels that a sparse depth topic shows (paper 4.3); these are not scored.
_SPARSE = 0.01


@dataclass(frozen=True, eq=False)
class EvaluatedKeyframe:
    """A keyframe as the pipeline maps it, and the truth apart from it.

    Attributes:
        keyframe: without measured depth, or with the part that the scale source may see.
        truth: (1, 1, H, W) metres to compare with, 0 = unknown; or None.
    """

    keyframe: Keyframe
    truth: torch.Tensor | None


@dataclass
class AdaptationResult:
    """Scores and samples of a run of a protocol; filled keyframe by keyframe."""

    scores: list[KeyframeScore] = field(default_factory=list)
    samples: list[AdaptationSample] = field(default_factory=list)
    forgetting: Forgetting | None = None


class AdaptationSetup:
    """The pipeline of the product, with the truth taken out of each keyframe.

    Attributes:
        config, device: of the run.
        pipeline: maps the keyframes; the network of its source, if any, is adapted.
        original: the same source with weights that nobody changes.
        scorer: compares with the truth.
        evaluated: the keyframe that was prepared last.

    Args:
        config: what to build.
        device: where.
        degraded: start from the degraded truth instead of the configured source.

    Raises:
        ConfigError, DepthError: the source or the refinement cannot be built.
    """

    def __init__(self, config: Config, device: torch.device, degraded: bool) -> None:
        self.config, self.device = config, device
        self._degraded = DegradedDepth(config.depth) if degraded else None
        self._estimator = build_scale_estimator(config.refine, config.depth)
        self.evaluated: EvaluatedKeyframe | None = None
        self.pipeline = SlamPipeline(config, device, self._degraded, self._without_truth)
        adapts = config.refine.strategy == "network"
        self.original: DepthSource = (
            build_depth_source(config, device) if adapts else self.pipeline.source
        )
        self.scorer = Scorer(config.depth.min_m, config.depth.max_m)

    @property
    def adapts(self) -> bool:
        """Whether the weights of the pipeline's source change."""
        return self.original is not self.pipeline.source

    def before(self, keyframe: Keyframe, raw: torch.Tensor) -> torch.Tensor:
        """Return the raw depth of a keyframe by the original weights.

        Args:
            keyframe: mapped by the pipeline.
            raw: depth by the weights of then.
        """
        if not self.adapts:
            return raw
        return self.original.estimate(keyframe, self.pipeline.keyframes).depth

    def timed(self, call: Callable[[], Answer]) -> tuple[Answer, float]:
        """Return an answer and the seconds it took, the device's work included."""
        self._wait()
        start = time.perf_counter()
        answer = call()
        self._wait()
        return answer, time.perf_counter() - start

    def _without_truth(self, keyframe: Keyframe) -> Keyframe:
        """Return a keyframe without its true depth, and keep that apart."""
        measured, shown = keyframe.sensor_depth, None
        truth = measured
        if measured is not None and self._estimator is not None and self._estimator.by_sensor:
            generator = torch.Generator().manual_seed(keyframe.stamp_ns % 2**31)
            drawn = torch.rand(measured.shape, generator=generator).to(measured.device)
            shown = torch.where(drawn < _SPARSE, measured, 0.0)
            truth = torch.where(drawn < _SPARSE, 0.0, measured)
        if isinstance(self._estimator, GroundtruthMedianScale):
            shown = measured
        keyframe = replace(keyframe, sensor_depth=shown)
        if self._degraded is not None and measured is not None:
            self._degraded.show(keyframe, measured)
        self.evaluated = EvaluatedKeyframe(keyframe, truth)
        return keyframe

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def required(outcome: RefineOutcome | None) -> RefineOutcome:
    """Return the refinement's outcome; there is one, as protocols need a strategy."""
    assert outcome is not None
    return outcome


def sample_of(
    evaluated: EvaluatedKeyframe, depths: Depths, score: KeyframeScore
) -> AdaptationSample:
    """Return a keyframe for the pictures."""
    assert evaluated.truth is not None
    maps = (evaluated.truth, depths.before, depths.after)
    truth, before, after = (depth[0, 0].float().cpu() for depth in maps)
    remark = score.refused or score.stopped
    image = evaluated.keyframe.image[0].cpu()
    return AdaptationSample(score.frame, image, truth, before, after, remark)


@torch.inference_mode()
def geometric_depth(
    target: Keyframe, sources: list[Keyframe], config: Config
) -> torch.Tensor | None:
    """Return the depth of motion stereo from the same views, (1, 1, H, W) metres, 0 = unknown.

    The baseline that learning has to beat: a plane sweep, filled. None without a view that moved.
    """
    width = min(config.depth.motion.width, target.camera.width)
    centre = target.T_map_camera[:3, 3]
    others = [
        sweep_view(source, width)
        for source in sources
        if source.camera == target.camera
        and float((source.T_map_camera[:3, 3] - centre).norm())
        >= config.depth.motion.min_baseline_m
    ]
    if not others:
        return None
    planes = inverse_planes(config.depth, target.image.device)
    volume = plane_sweep(sweep_view(target, width), others, planes)
    depth, _ = filled_depth(volume, target.camera.height, target.camera.width)
    return gate_depth(depth, config.depth)


def nothing_scored(
    frames: int, left_out: dict[str, int], problem: str, config: Config
) -> DataError:
    """Return the error of a sequence without a keyframe that could be scored."""
    return no_frame_scored(
        frames,
        left_out,
        problem,
        "frames with a pose and true depth",
        "choose another sequence, or other --frames",
        config,
    )
