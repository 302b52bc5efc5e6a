"""One keyframe's depth before and after its refinement, against the sensor's."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics, depth_metrics
from e2e_slam_ros.evaluation.depth.protocol import Scores
from e2e_slam_ros.evaluation.depth.texture import is_textured
from e2e_slam_ros.refine.result import ROLLED_BACK, RefineOutcome

# A keyframe is worse when its abs_rel rose by more than this share.
_MARGIN = 0.05


@dataclass(frozen=True)
class Stage:
    """The scores of one depth map by set of pixels; median scaling is that of ``every``."""

    every: Scores
    textured: Scores
    untextured: Scores


@dataclass(frozen=True, eq=False)
class Depths:
    """The depth maps of one keyframe, (1, 1, H, W) metres, 0 or not finite = no answer.

    Attributes:
        before: as the source gives it, with its original weights.
        aligned: as the refinement begins with it: of the present weights, in found metres.
        after: refined.
    """

    before: torch.Tensor
    aligned: torch.Tensor
    after: torch.Tensor


@dataclass(frozen=True)
class KeyframeScore:
    """What came out for one keyframe; the three stages are compared on the same pixels.

    Attributes:
        frame: its number in the recording.
        before, aligned, after: see `Depths`.
        geometric: depth from motion stereo of the same views, on the pixels it answers for.
        pixels, wanted: true depths compared, and true depths in range.
        textured: how many of ``pixels`` are textured.
        steps: updates made.
        stopped, refused: the refinement's words.
        rolled_back: nothing was kept of the updates.
        seconds: of the refinement, everything that belongs to it.
    """

    frame: int
    before: Stage
    aligned: Stage
    after: Stage
    geometric: Stage | None
    pixels: int
    wanted: int
    textured: int
    steps: int
    stopped: str
    refused: str | None
    rolled_back: bool
    seconds: float

    def worse(self, median_scaled: bool = False, than: str = "before") -> bool:
        """Say whether abs_rel rose by more than 5 % over that of "before" or "aligned"."""
        before, after = (
            abs_rel(stage.every.median_scaled if median_scaled else stage.every.raw)
            for stage in (getattr(self, than), self.after)
        )
        return after > (1.0 + _MARGIN) * before


def abs_rel(metrics: DepthMetrics | None) -> float:
    """Return the error, NaN where no pixel counts."""
    return float("nan") if metrics is None else metrics.abs_rel


class Scorer:
    """Compares depth maps with the truth.

    Args:
        min_m, max_m: true depths strictly between count, metres.
    """

    def __init__(self, min_m: float, max_m: float) -> None:
        self._range = (min_m, max_m)

    def has_truth(self, truth: torch.Tensor | None) -> bool:
        """Say whether a true depth is in range."""
        return truth is not None and bool(self._wanted(truth).any())

    @torch.inference_mode()
    def score(
        self,
        frame: int,
        image: torch.Tensor,
        truth: torch.Tensor,
        depths: Depths,
        outcome: RefineOutcome,
        seconds: float,
        geometric: torch.Tensor | None = None,
    ) -> KeyframeScore | None:
        """Return the figures, or None where the stages have no pixel with truth in common.

        Args:
            frame: its number in the recording.
            image: (1, 3, H, W).
            truth: (1, 1, H, W) metres.
            depths: to compare.
            outcome: of the refinement.
            seconds: it took.
            geometric: (1, 1, H, W) metres, or None.
        """
        wanted = self._wanted(truth)
        common = wanted.clone()
        for depth in (depths.before, depths.aligned, depths.after):
            common &= torch.isfinite(depth) & (depth > 0)
        if not bool(common.any()):
            return None
        textured = is_textured(image)
        counted = torch.where(common, truth, 0.0)
        before, aligned, after = (
            self.stage(depth, counted, textured)
            for depth in (depths.before, depths.aligned, depths.after)
        )
        return KeyframeScore(
            frame=frame,
            before=before,
            aligned=aligned,
            after=after,
            geometric=None if geometric is None else self.stage(geometric, truth, textured),
            pixels=int(common.sum()),
            wanted=int(wanted.sum()),
            textured=int((common & textured).sum()),
            steps=outcome.steps_done,
            stopped=str(outcome.stopped),
            refused=None if outcome.refused is None else str(outcome.refused),
            rolled_back=outcome.stopped in ROLLED_BACK,
            seconds=seconds,
        )

    def stage(self, depth: torch.Tensor, truth: torch.Tensor, textured: torch.Tensor) -> Stage:
        """Return the scores of one depth map, (1, 1, H, W) all."""
        counted = self._wanted(truth) & torch.isfinite(depth) & (depth > 0)
        factor = torch.tensor(1.0, dtype=torch.float64, device=depth.device)
        if bool(counted.any()):
            factor = truth[counted].double().median() / depth[counted].double().median()
        parts = (truth, torch.where(textured, truth, 0.0), torch.where(textured, 0.0, truth))
        return Stage(*(self._scores(depth, factor, part) for part in parts))

    def _scores(self, depth: torch.Tensor, factor: torch.Tensor, truth: torch.Tensor) -> Scores:
        return Scores(
            depth_metrics(depth, truth, *self._range),
            depth_metrics(depth * factor, truth, *self._range),
        )

    def _wanted(self, truth: torch.Tensor) -> torch.Tensor:
        low, high = self._range
        return (truth > low) & (truth < high)
