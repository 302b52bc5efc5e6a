"""A refined keyframe, and its scores before and after the refinement."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.evaluation.depth.scores import (
    TextureScores,
    abs_rel,
    in_range,
    is_predicted,
    texture_scores,
)
from e2e_slam_ros.evaluation.depth.texture import is_textured
from e2e_slam_ros.refine.result import ROLLED_BACK, RefineOutcome
from e2e_slam_ros.slam.result import Revision

# A keyframe is worse when its abs_rel rose by more than this share.
_MARGIN = 0.05


@dataclass(eq=False)
class RefinedKeyframe:
    """A keyframe that was mapped, and the stages of its depth.

    Depth maps are (1, 1, H, W) metres, 0 or not finite = unknown.

    Attributes:
        keyframe: with no more of the measured depth than the scale source may see.
        truth: what to compare with; or None.
        before: depth of the source with its original weights.
        aligned: depth that the refinement begins with: of the present weights, in metres.
        after: refined depth.
        outcome: end of the refinement.
        seconds: time of the whole refinement.
        geometric: motion stereo of the same views; or None.

    >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
    >>> from e2e_slam_ros.geometry.camera import PinholeCamera
    >>> from e2e_slam_ros.refine.result import Refusal, refusal
    >>> camera, truth = PinholeCamera(8, 6, 8.0, 8.0, 3.5, 2.5), torch.full((1, 1, 6, 8), 2.0)
    >>> decision = KeyframeDecision(True, "first")
    >>> image, pose = torch.zeros(1, 3, 6, 8), torch.eye(4)
    >>> keyframe = Keyframe(0, 0, 0, image, camera, pose, None, decision)
    >>> outcome = refusal(truth, Refusal.NO_STEPS)
    >>> done = RefinedKeyframe(keyframe, truth, truth * 1.5, truth, truth, outcome, seconds=0.0)
    >>> score = score_keyframe(done, min_m=0.1, max_m=8.0)
    >>> score.before.every.raw.abs_rel, score.after.every.raw.abs_rel, score.refused
    (0.5, 0.0, 'no steps')
    """

    keyframe: Keyframe
    truth: torch.Tensor | None
    before: torch.Tensor
    aligned: torch.Tensor
    after: torch.Tensor
    outcome: RefineOutcome
    seconds: float
    geometric: torch.Tensor | None = None

    def revise(self, again: Revision) -> None:
        """Take over the depth of a second refinement."""
        assert again.outcome is not None  # protocols need a strategy
        self.aligned, self.after = again.unrefined.depth, again.estimate.depth
        self.outcome = again.outcome


@dataclass(frozen=True)
class KeyframeScore:
    """The scores of one keyframe; the three stages are compared on the same pixels.

    Attributes:
        frame: its number in the recording.
        before, aligned, after: see `RefinedKeyframe`.
        geometric: motion stereo of the same views, on the pixels where it has depth.
        pixels, wanted: true depths compared, and true depths in range.
        textured: number of ``pixels`` that are textured.
        steps: number of updates.
        stopped, refused: reasons of the refinement's end, or of its refusal.
        rolled_back: its updates were undone.
        seconds: time of the whole refinement.

    >>> from e2e_slam_ros.evaluation.depth.scores import DepthScores
    >>> none = DepthScores(None, None)
    >>> stage = TextureScores(none, none, none, scale=1.0)
    >>> end = (5, "steps done", None, False, 0.2)
    >>> KeyframeScore(7, stage, stage, stage, None, 0, 0, 0, *end).worse()
    False
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
        """Return True when abs_rel rose by more than 5 % over that of "before" or "aligned"."""
        before, after = (
            abs_rel(stage.every.median_scaled if median_scaled else stage.every.raw)
            for stage in (getattr(self, than), self.after)
        )
        return after > (1.0 + _MARGIN) * before


@torch.inference_mode()
def score_keyframe(refined: RefinedKeyframe, min_m: float, max_m: float) -> KeyframeScore | None:
    """Return the scores; None where the stages have no pixel with truth in common.

    True depths strictly between ``min_m`` and ``max_m`` count, metres.
    """
    truth, outcome = refined.truth, refined.outcome
    assert truth is not None
    stages = (refined.before, refined.aligned, refined.after)
    wanted = in_range(truth, min_m, max_m)
    common = wanted & torch.stack([is_predicted(depth) for depth in stages]).all(0)
    if not bool(common.any()):
        return None
    textured = is_textured(refined.keyframe.image)
    counted = torch.where(common, truth, 0.0)
    before, aligned, after = (
        texture_scores(depth, counted, textured, min_m, max_m) for depth in stages
    )
    geometric = None
    if refined.geometric is not None:
        geometric = texture_scores(refined.geometric, truth, textured, min_m, max_m)
    return KeyframeScore(
        frame=refined.keyframe.frame_index,
        before=before,
        aligned=aligned,
        after=after,
        geometric=geometric,
        pixels=int(common.sum()),
        wanted=int(wanted.sum()),
        textured=int((common & textured).sum()),
        steps=outcome.steps_done,
        stopped=str(outcome.stopped),
        refused=None if outcome.refused is None else str(outcome.refused),
        rolled_back=outcome.stopped in ROLLED_BACK,
        seconds=refined.seconds,
    )
