"""Depth frame by frame against the sensor: the standard metrics, raw and median-scaled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DataError, E2ESlamError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.evaluation.depth.baselines import at_size
from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics, depth_metrics
from e2e_slam_ros.evaluation.depth.predictor import Guess, Predictor
from e2e_slam_ros.evaluation.depth.sparsification import Sparsification, sparsification
from e2e_slam_ros.evaluation.depth.texture import is_textured
from e2e_slam_ros.evaluation.working_frames import WorkingFrames


@dataclass(frozen=True)
class Scores:
    """One set of pixels: the prediction as it is, and times the image's scale.

    None where no pixel counts.
    """

    raw: DepthMetrics | None
    median_scaled: DepthMetrics | None


@dataclass(frozen=True)
class FrameScore:
    """What came out for one frame.

    Attributes:
        every, textured, untextured: by set of pixels; the scale is that of ``every`` throughout.
        scale: median(truth) / median(prediction) over the pixels that count.
        pixels: how many true depths are in range; ``every.raw.pixels`` of them were predicted.
        baselines: name -> scores of that baseline.
        curves: sparsification of the median-scaled relative error, where there is uncertainty.
    """

    every: Scores
    textured: Scores
    untextured: Scores
    scale: float
    pixels: int
    baselines: dict[str, Scores]
    curves: Sparsification | None


@dataclass(frozen=True, eq=False)
class Sample:
    """One frame for the pictures, all on the CPU.

    Attributes:
        index: the frame's place in its sequence.
        image: (3, H, W) in [0, 1].
        truth, predicted: (H, W) metres; predicted is not scaled.
        scale: as `FrameScore.scale`.
        abs_rel: median-scaled.
    """

    index: int
    image: torch.Tensor
    truth: torch.Tensor
    predicted: torch.Tensor
    scale: float
    abs_rel: float


@dataclass
class Outcome:
    """Everything a run of the protocol found; filled frame by frame."""

    scores: list[FrameScore] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)


class DepthProtocol:
    """Compares a depth source with the sensor over a sequence.

    A true depth counts strictly between ``depth.min_m`` and ``depth.max_m``, at the working size;
    a prediction counts whatever it is, as long as it is positive and finite.

    Args:
        predict: asked once a frame, in order.
        config: range, working size and source.
        baselines: name -> (h, w) map in metres, for every frame the same.
    """

    def __init__(
        self, predict: Predictor, config: Config, baselines: Mapping[str, torch.Tensor]
    ) -> None:
        self._predict = predict
        self._config = config
        self._range = (config.depth.min_m, config.depth.max_m)
        self._baselines = baselines
        # Stereo from motion learns from every frame, also where there is no truth.
        self._moves = config.depth.source == "motion_stereo"

    def run(self, frames: WorkingFrames, keyframes: Iterable[Keyframe], samples: int) -> Outcome:
        """Score the frames that have a true depth.

        Args:
            frames: counts what is left out and why.
            keyframes: what ``frames`` yields, maybe through a progress bar.
            samples: of how many evenly spread frames to keep pictures.

        Raises:
            DataError: no frame could be scored; with the reasons.
        """
        outcome = Outcome()
        for keyframe in keyframes:
            done = self._frame(keyframe, frames)
            if done is None:
                continue
            score, guess = done
            outcome.scores.append(score)
            due = len(outcome.samples) * max(1, len(frames) - 1) // max(1, samples - 1)
            if len(outcome.samples) < samples and keyframe.index >= due:
                outcome.samples.append(self._sample(keyframe, guess, score))
        if not outcome.scores:
            raise _nothing_scored(frames, self._config)
        return outcome

    @torch.inference_mode()
    def _frame(
        self, keyframe: Keyframe, frames: WorkingFrames
    ) -> tuple[FrameScore, torch.Tensor] | None:
        low, high = self._range
        truth = keyframe.sensor_depth
        has_truth = truth is not None and bool(((truth > low) & (truth < high)).any())
        if self._moves and not frames.has_pose(keyframe):
            frames.skip("no pose")
            return None
        if not has_truth and not self._moves:
            frames.skip("no true depth in range")
            return None
        try:
            guess = self._predict(keyframe)
        except E2ESlamError as problem:
            frames.skip("no prediction")
            frames.first_problem = frames.first_problem or str(problem)
            return None
        if truth is None or not has_truth:
            frames.skip("no true depth in range")
            return None
        score = self._score(keyframe, guess, truth[0, 0])
        if score is None:
            frames.skip("no pixel with both depths")
            return None
        return score, guess.depth[0, 0]

    def _score(self, keyframe: Keyframe, guess: Guess, truth: torch.Tensor) -> FrameScore | None:
        low, high = self._range
        depth = guess.depth[0, 0]
        wanted = (truth > low) & (truth < high)
        counted = wanted & torch.isfinite(depth) & (depth > 0)
        if not bool(counted.any()):
            return None
        scale = _scale(depth, truth, counted)
        textured = is_textured(keyframe.image)[0, 0]
        curves = None
        if guess.log_uncertainty is not None:
            error = ((depth * scale - truth).abs() / truth)[counted]
            curves = sparsification(error, guess.log_uncertainty[0, 0][counted])
        return FrameScore(
            every=self._scores(depth, scale, truth),
            textured=self._scores(depth, scale, torch.where(textured, truth, 0.0)),
            untextured=self._scores(depth, scale, torch.where(textured, 0.0, truth)),
            scale=float(scale),
            pixels=int(wanted.sum()),
            baselines={
                name: self._baseline(depth, truth) for name, depth in self._baselines.items()
            },
            curves=curves,
        )

    def _scores(self, depth: torch.Tensor, scale: torch.Tensor, truth: torch.Tensor) -> Scores:
        low, high = self._range
        return Scores(
            depth_metrics(depth, truth, low, high),
            depth_metrics(depth * scale, truth, low, high),
        )

    def _baseline(self, depth: torch.Tensor, truth: torch.Tensor) -> Scores:
        depth = at_size(depth, *truth.shape).to(truth.device)
        low, high = self._range
        return self._scores(depth, _scale(depth, truth, (truth > low) & (truth < high)), truth)

    def _sample(self, keyframe: Keyframe, depth: torch.Tensor, score: FrameScore) -> Sample:
        truth, scaled = keyframe.sensor_depth, score.every.median_scaled
        assert truth is not None and scaled is not None  # it has been scored
        return Sample(
            index=keyframe.frame_index,
            image=keyframe.image[0].cpu(),
            truth=truth[0, 0].cpu(),
            predicted=depth.cpu(),
            scale=score.scale,
            abs_rel=scaled.abs_rel,
        )


def _scale(depth: torch.Tensor, truth: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    return truth[counted].double().median() / depth[counted].double().median()


def _nothing_scored(frames: WorkingFrames, config: Config) -> DataError:
    reasons = ", ".join(f"{reason} ({count:,})" for reason, count in frames.skipped.items())
    if frames.first_problem:
        reasons += f"; the first problem: {frames.first_problem}"
    return DataError.from_parts(
        "frames to evaluate",
        f"none of {len(frames):,} that could be compared: {reasons}",
        f"frames with true depth between depth.min_m = {config.depth.min_m:g} and "
        f"depth.max_m = {config.depth.max_m:g} m",
        "choose a sequence with registered depth images, or other --frames",
    )
