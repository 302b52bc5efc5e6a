"""The parts of the pair and online protocols: sources, adaptation and scorer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.depth.gate import gate_depth
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.evaluation.adaptation.degraded_depth import DegradedDepth
from e2e_slam_ros.evaluation.adaptation.figures import AdaptationSample
from e2e_slam_ros.evaluation.adaptation.report import Forgetting
from e2e_slam_ros.evaluation.adaptation.score import Depths, KeyframeScore, Scorer
from e2e_slam_ros.evaluation.working_frames import WorkingFrames, no_frame_scored
from e2e_slam_ros.multiview.motion_stereo import filled_depth
from e2e_slam_ros.multiview.plane_choice import inverse_planes
from e2e_slam_ros.multiview.plane_sweep import plane_sweep, sweep_view
from e2e_slam_ros.refine.result import RefineOutcome
from e2e_slam_ros.slam.adaptation import Adaptation, AdaptedDepth, build_adaptable_source

Answer = TypeVar("Answer")

# Share of the measured pixels that "depth_topic" gets to see (paper 4.3); these are not scored.
_SPARSE = 0.01


@dataclass(frozen=True, eq=False)
class EvaluatedKeyframe:
    """A keyframe without its truth, and the truth apart from it.

    Attributes:
        keyframe: without measured depth, or with the sparse part that a depth topic would bring.
        truth: (1, 1, H, W) metres that the keyframe does not show, 0 = unknown; or None.
        measured: the whole truth, for the evaluation alone.
    """

    keyframe: Keyframe
    truth: torch.Tensor | None
    measured: torch.Tensor | None


@dataclass
class AdaptationResult:
    """Scores and samples of a run of a protocol; filled keyframe by keyframe."""

    scores: list[KeyframeScore] = field(default_factory=list)
    samples: list[AdaptationSample] = field(default_factory=list)
    forgetting: Forgetting | None = None


class AdaptationSetup:
    """The parts of a run.

    Attributes:
        config, device: of the run.
        source: gives the depth that is refined; its network, if any, is adapted.
        original: the same with weights that nobody changes.
        adaptation: works on what ``source`` says.
        scorer: compares with the truth.

    Args:
        config: what to build.
        device: where.
        poor: start from the distorted truth.

    Raises:
        ConfigError, DepthError: the source or the refinement cannot be built.
    """

    def __init__(self, config: Config, device: torch.device, poor: bool) -> None:
        self.config, self.device = config, device
        self._poor = DegradedDepth(config.depth) if poor else None
        self.source: DepthSource = self._poor or build_adaptable_source(config, device)
        adapts = config.refine.strategy == "network"
        self.original = build_adaptable_source(config, device) if adapts else self.source
        self.adaptation = Adaptation(config, self.source, device)
        self.scorer = Scorer(config.depth.min_m, config.depth.max_m)

    def view(self, keyframe: Keyframe) -> EvaluatedKeyframe:
        """Take the truth away from a keyframe."""
        measured = keyframe.sensor_depth
        if measured is None or self.config.refine.scale.source != "depth_topic":
            return EvaluatedKeyframe(replace(keyframe, sensor_depth=None), measured, measured)
        generator = torch.Generator().manual_seed(keyframe.stamp_ns % 2**31)
        shown = (torch.rand(measured.shape, generator=generator) < _SPARSE).to(measured.device)
        sparse = torch.where(shown, measured, 0.0)
        truth = torch.where(shown, 0.0, measured)
        return EvaluatedKeyframe(replace(keyframe, sensor_depth=sparse), truth, measured)

    def truth_for_scale(self, view: EvaluatedKeyframe) -> torch.Tensor | None:
        """Return the truth where the configured scale source is the truth's median."""
        wanted = self.config.refine.scale.source == "groundtruth_median"
        return view.measured if wanted else None

    def estimate(self, source: DepthSource, view: EvaluatedKeyframe) -> DepthEstimate:
        """Ask a source.

        Raises:
            DepthError: it has no answer.
        """
        if self._poor is not None and view.measured is not None:
            self._poor.show(view.keyframe, view.measured)
        return source.estimate(view.keyframe)

    def timed(self, call: Callable[[], Answer]) -> tuple[Answer, float]:
        """Return an answer and the seconds it took, the device's work included."""
        self._wait()
        start = time.perf_counter()
        answer = call()
        self._wait()
        return answer, time.perf_counter() - start

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def outcome_of(adapted: AdaptedDepth) -> RefineOutcome:
    """Return the refinement's outcome; there is one, as protocols need a strategy."""
    assert adapted.outcome is not None
    return adapted.outcome


def sample_of(view: EvaluatedKeyframe, depths: Depths, score: KeyframeScore) -> AdaptationSample:
    """Return a keyframe for the pictures."""
    assert view.truth is not None
    maps = (view.truth, depths.before, depths.after)
    truth, before, after = (depth[0, 0].float().cpu() for depth in maps)
    remark = score.refused or score.stopped
    image = view.keyframe.image[0].cpu()
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


def skipped_all(frames: WorkingFrames, config: Config) -> DataError:
    """Return `nothing_scored` of working frames."""
    return nothing_scored(len(frames), frames.skipped, frames.first_problem, config)
