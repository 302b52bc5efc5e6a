"""The depth protocol: every frame against the sensor, raw and median-scaled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.evaluation.depth.baselines import at_size
from e2e_slam_ros.evaluation.depth.predictor import PredictedDepth, Predictor
from e2e_slam_ros.evaluation.depth.scores import (
    DepthScores,
    TextureScores,
    depth_scores,
    in_range,
    is_predicted,
    median_scale,
    texture_scores,
)
from e2e_slam_ros.evaluation.depth.sparsification import Sparsification, sparsification
from e2e_slam_ros.evaluation.depth.texture import is_textured
from e2e_slam_ros.evaluation.working_frames import WorkingFrames
from e2e_slam_ros.slam.depth_sources import depth_traits


@dataclass(frozen=True)
class FrameScore:
    """The scores of one frame.

    Attributes:
        depth: scores of the prediction.
        scale: median(truth) / median(prediction) over the pixels that count.
        pixels: number of true depths in range.
        baselines: name -> scores of that baseline.
        curves: sparsification of the median-scaled relative error, where there is uncertainty.

    >>> none = DepthScores(None, None)
    >>> FrameScore(TextureScores(none, none, none, 1.0), 1.0, 0, {}, None).pixels
    0
    """

    depth: TextureScores
    scale: float
    pixels: int
    baselines: dict[str, DepthScores]
    curves: Sparsification | None


# A keyframe with its truth, its depth (H, W) metres as predicted, and its score.
DepthSample: TypeAlias = tuple[Keyframe, torch.Tensor, FrameScore]


@dataclass
class DepthResult:
    """Scores and samples of a run of the protocol; filled frame by frame.

    >>> DepthResult().scores
    []
    """

    scores: list[FrameScore] = field(default_factory=list)
    samples: list[DepthSample] = field(default_factory=list)


class DepthProtocol:
    """Compares a depth source with the sensor over a sequence.

    A true depth counts strictly between ``depth.min_m`` and ``depth.max_m``, at the working size;
    every positive and finite prediction counts.

    Args:
        predict: called once a frame, in order.
        baselines: name -> (h, w) map in metres, the same for every frame.

    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> reader = ProceduralReader(0, 1, 64, 48, texture_size=64)
    >>> frames = WorkingFrames(reader, Config().camera, torch.device("cpu"))
    >>> def predict(keyframe: Keyframe) -> PredictedDepth:
    ...     return PredictedDepth(keyframe.sensor_depth)
    >>> DepthProtocol(predict, Config(), {}).run(frames, frames, samples=0).scores[0].scale
    1.0
    """

    def __init__(
        self, predict: Predictor, config: Config, baselines: Mapping[str, torch.Tensor]
    ) -> None:
        self._predict = predict
        self._config = config
        self._range = (config.depth.min_m, config.depth.max_m)
        self._baselines = baselines
        # Such a source needs every frame as a view, also those without truth.
        self._moves = depth_traits(config).needs_views

    def run(
        self, frames: WorkingFrames, keyframes: Iterable[Keyframe], samples: int
    ) -> DepthResult:
        """Score the frames that have a true depth.

        Args:
            frames: the sequence; counts the frames that are left out.
            keyframes: the keyframes of ``frames``, maybe through a progress bar.
            samples: number of evenly spread frames to keep pictures of.

        Raises:
            DataError: no frame could be scored; with the reasons.
        """
        result = DepthResult()
        for keyframe in keyframes:
            done = self._frame(keyframe, frames)
            if done is None:
                continue
            score, guess = done
            result.scores.append(score)
            due = len(result.samples) * max(1, len(frames) - 1) // max(1, samples - 1)
            if len(result.samples) < samples and keyframe.index >= due:
                result.samples.append((keyframe, guess, score))
        if not result.scores:
            do = "choose a sequence with registered depth images, or other --frames"
            raise frames.left_out.refusal(
                len(frames), "frames with true depth", do, self._config.depth
            )
        return result

    @torch.inference_mode()
    def _frame(
        self, keyframe: Keyframe, frames: WorkingFrames
    ) -> tuple[FrameScore, torch.Tensor] | None:
        truth = keyframe.sensor_depth
        has_truth = truth is not None and bool(in_range(truth, *self._range).any())
        if self._moves and not frames.has_pose(keyframe):
            frames.left_out.add("no pose")
            return None
        if not has_truth and not self._moves:
            frames.left_out.add("no true depth in range")
            return None
        try:
            guess = self._predict(keyframe)
        except E2ESlamError as problem:
            frames.left_out.add("no prediction", problem)
            return None
        if truth is None or not has_truth:
            frames.left_out.add("no true depth in range")
            return None
        score = self._score(keyframe, guess, truth[0, 0])
        if score is None:
            frames.left_out.add("no pixel with both depths")
            return None
        return score, guess.depth[0, 0]

    def _score(
        self, keyframe: Keyframe, guess: PredictedDepth, truth: torch.Tensor
    ) -> FrameScore | None:
        depth = guess.depth[0, 0]
        wanted = in_range(truth, *self._range)
        counted = wanted & is_predicted(depth)
        if not bool(counted.any()):
            return None
        textured = is_textured(keyframe.image)[0, 0]
        scores, curves = texture_scores(depth, truth, textured, *self._range), None
        if guess.log_uncertainty is not None:
            error = ((depth * scores.scale - truth).abs() / truth)[counted]
            curves = sparsification(error, guess.log_uncertainty[0, 0][counted])
        return FrameScore(
            depth=scores,
            scale=scores.scale,
            pixels=int(wanted.sum()),
            baselines={name: self._baseline(m, truth) for name, m in self._baselines.items()},
            curves=curves,
        )

    def _baseline(self, depth: torch.Tensor, truth: torch.Tensor) -> DepthScores:
        depth = at_size(depth, *truth.shape).to(truth.device)
        scale = median_scale(depth, truth, in_range(truth, *self._range))
        return depth_scores(depth, truth, scale, *self._range)
