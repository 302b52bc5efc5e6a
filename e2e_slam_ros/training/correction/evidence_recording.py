"""The evidence that the whole system has of the keyframes of a walk with known depth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import torch
from torch.nn import functional

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.refine.learned_correction.features import CorrectionFeatures
from e2e_slam_ros.refine.learned_correction.learned_correction import LearnedDepth, LearnedStep
from e2e_slam_ros.refine.motion_evidence import resized, size_of
from e2e_slam_ros.slam.depth_sources import build_depth_source
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.preprocess import Preprocessor
from e2e_slam_ros.training.correction.disturbed_depth import DisturbedDepth
from e2e_slam_ros.training.correction.evidence import KeyframeEvidence
from e2e_slam_ros.training.correction.walk_frames import WalkFrames

_CPU = torch.device("cpu")
# Poses stay as they are given, and the depth network as it is.
_SETTINGS: dict[str, object] = {
    "depth.source": "network",
    "runtime.offline": True,
    "refine.strategy": "none",
    "pose.refine": "off",
}


class EvidenceRecorder:
    """A `LearnedStep` that keeps what it is given. It takes the place of `DepthStage.learned`.

    Args:
        correction: corrects depth meanwhile; None: nothing does.

    >>> features = CorrectionFeatures(torch.zeros(1, 26, 6, 8), torch.zeros(1, 13, 12, 16))
    >>> recorder = EvidenceRecorder()
    >>> recorder(features, torch.full((1, 1, 24, 32), 2.0)).sigma is None
    True
    >>> recorder.take(torch.full((1, 1, 24, 32), 2.5)).truth.shape
    (12, 16)
    >>> recorder.take(None) is None
    True
    """

    def __init__(self, correction: LearnedStep | None = None) -> None:
        self._correction = correction
        self._seen: tuple[CorrectionFeatures, torch.Tensor] | None = None

    def __call__(self, features: CorrectionFeatures, depth: torch.Tensor) -> LearnedDepth:
        """Return the corrected depth, or the depth as it is.

        Args:
            features: of a keyframe.
            depth: (1, 1, H, W) metres > 0, corrected so far.
        """
        self._seen = (features, depth)
        if self._correction is None:
            return LearnedDepth(depth, None)
        return self._correction(features, depth)

    def take(self, truth: torch.Tensor | None) -> KeyframeEvidence | None:
        """Return the evidence of the last keyframe, and forget it.

        Args:
            truth: (1, 1, H, W) metres of that keyframe, 0 = unknown; None: there is none.

        Returns:
            The evidence; None: nothing was seen, or there is no truth.
        """
        seen, self._seen = self._seen, None
        if seen is None or truth is None:
            return None
        features, depth = seen
        size = size_of(features.fine)
        arrays = (
            features.coarse[0],
            features.fine[0],
            resized(depth.reciprocal(), size).reciprocal()[0, 0],
            functional.interpolate(truth, size, mode="nearest-exact")[0, 0],
        )
        return KeyframeEvidence(*(array.half().cpu().numpy() for array in arrays))


def record_evidence(
    walk: WalkFrames, correction: LearnedStep | None = None
) -> list[KeyframeEvidence]:
    """Return the evidence of every keyframe: as first mapped, and as looked back at.

    Frames without a pose are left out, those without depth are views alone.

    Args:
        walk: frames and how much the depth network is disturbed.
        correction: see `EvidenceRecorder`.

    Raises:
        DepthError: the weights of the package's network cannot be used.
    """
    source = DisturbedDepth(_network(), walk.disturbance, walk.dice)
    return _record(walk.frames, source, EvidenceRecorder(correction))


def _record(
    frames: Iterable[Frame], source: DepthSource, recorder: EvidenceRecorder
) -> list[KeyframeEvidence]:
    config = Config().with_values(_SETTINGS)
    pipeline = SlamPipeline(config, _CPU, source)
    pipeline.depth_stage.learned = recorder
    # It looks back when it is told to: then it is known whose evidence comes.
    pipeline.is_pressed = lambda: True
    # Truth is sampled from the depth image as it was recorded: edges stay where they are.
    prepare = Preprocessor(replace(config.camera, working_width=0), _CPU)
    truths: dict[int, torch.Tensor | None] = {}
    found: list[KeyframeEvidence | None] = []
    try:
        for frame in frames:
            if frame.T_map_camera is None:
                continue
            image = replace(frame, depth=None)
            try:
                decision = pipeline.choose_keyframe(image)
                if not decision.is_keyframe:
                    continue
                truths[frame.stamp_ns] = prepare(frame).depth
                pipeline.map_keyframe(image, decision)
                found.append(recorder.take(truths[frame.stamp_ns]))
                revision = pipeline.look_back()
                if revision is not None:
                    found.append(recorder.take(truths.get(revision.keyframe.stamp_ns)))
            except E2ESlamError:
                # A refused keyframe leaves no trace in the system, and none here.
                recorder.take(None)
    finally:
        pipeline.close()
    return [item for item in found if item is not None]


@cache
def _network() -> DepthSource:
    """Return the package's network; it is loaded once in each process."""
    return build_depth_source(Config().with_values(_SETTINGS), _CPU)
