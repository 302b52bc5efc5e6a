"""The scores of one keyframe before and after its refinement."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.evaluation.depth.scores import (
    TextureScores,
    abs_rel,
    in_range,
    is_predicted,
    median_scale,
    texture_scores,
)
from e2e_slam_ros.evaluation.depth.texture import is_textured
from e2e_slam_ros.refine.result import ROLLED_BACK, RefineOutcome

# A keyframe is worse when its abs_rel rose by more than this share.
_MARGIN = 0.05


@dataclass(frozen=True, eq=False)
class Depths:
    """The depth maps of one keyframe, (1, 1, H, W) metres, 0 or not finite = unknown.

    Attributes:
        before: depth of the source with its original weights.
        aligned: depth that the refinement begins with: of the present weights, in metres.
        after: refined depth.
    """

    before: torch.Tensor
    aligned: torch.Tensor
    after: torch.Tensor


@dataclass(frozen=True)
class KeyframeScore:
    """The scores of one keyframe; the three stages are compared on the same pixels.

    Attributes:
        frame: its number in the recording.
        before, aligned, after: see `Depths`.
        geometric: motion stereo of the same views, on the pixels where it has depth.
        pixels, wanted: true depths compared, and true depths in range.
        textured: number of ``pixels`` that are textured.
        steps: number of updates.
        stopped, refused: reasons of the refinement's end, or of its refusal.
        rolled_back: its updates were undone.
        seconds: time of the whole refinement.
    """

    frame: int
    before: TextureScores
    aligned: TextureScores
    after: TextureScores
    geometric: TextureScores | None
    pixels: int
    wanted: int
    textured: int
    steps: int
    stopped: str
    refused: str | None
    rolled_back: bool
    seconds: float

    def worse(self, median_scaled: bool = False, than: str = "before") -> bool:
        """Return True when abs_rel rose by more than 5 % over that of ``than``.

        ``than`` is "before" or "aligned".
        """
        before, after = (
            abs_rel(stage.every.median_scaled if median_scaled else stage.every.raw)
            for stage in (getattr(self, than), self.after)
        )
        return after > (1.0 + _MARGIN) * before


class Scorer:
    """Compares depth maps with the truth.

    Args:
        min_m, max_m: true depths strictly between count, metres.
    """

    def __init__(self, min_m: float, max_m: float) -> None:
        self._range = (min_m, max_m)

    def has_truth(self, truth: torch.Tensor | None) -> bool:
        """Return True when a true depth is in range."""
        return truth is not None and bool(in_range(truth, *self._range).any())

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
        """Return the scores; None where the stages have no pixel with truth in common.

        Args:
            frame: its number in the recording.
            image: (1, 3, H, W).
            truth: (1, 1, H, W) metres.
            depths: the stages to compare.
            outcome: end of the refinement.
            seconds: time of the refinement.
            geometric: (1, 1, H, W) metres, 0 = unknown; or None.
        """
        wanted = in_range(truth, *self._range)
        common = wanted.clone()
        for depth in (depths.before, depths.aligned, depths.after):
            common &= is_predicted(depth)
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

    def stage(
        self, depth: torch.Tensor, truth: torch.Tensor, textured: torch.Tensor
    ) -> TextureScores:
        """Return the scores of one depth map; all arguments are (1, 1, H, W)."""
        counted = in_range(truth, *self._range) & is_predicted(depth)
        scale = median_scale(depth, truth, counted)
        return texture_scores(depth, truth, textured, scale, *self._range)
