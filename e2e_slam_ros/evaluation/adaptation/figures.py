"""Pictures of the pair and online protocols: keyframes before and after, and their errors."""

from __future__ import annotations

from collections.abc import Sequence

from e2e_slam_ros.evaluation.adaptation.score import KeyframeScore, RefinedKeyframe
from e2e_slam_ros.evaluation.depth.figures import ComparedFrame, comparison_grid
from e2e_slam_ros.evaluation.depth.scores import abs_rel, in_range
from e2e_slam_ros.evaluation.figure import png

_TITLES = ("image", "sensor", "before", "after", "error before", "error after")


def before_after_grid(
    samples: Sequence[tuple[RefinedKeyframe, KeyframeScore]], min_m: float, max_m: float
) -> bytes:
    """Return a PNG with a row a keyframe: image, sensor, depth before and after, their errors.

    True depths strictly between ``min_m`` and ``max_m`` count, metres.
    """
    frames = []
    for refined, score in samples:
        assert refined.truth is not None  # it was scored
        maps = (refined.truth, refined.before, refined.after)
        truth, *stages = (depth[0, 0].float().cpu() for depth in maps)
        image, remark = refined.keyframe.image[0].cpu(), score.refused or score.stopped
        known, depths = in_range(truth, min_m, max_m), tuple((stage, "", "") for stage in stages)
        label = f"frame {score.frame}"
        frames.append(ComparedFrame(label, remark, image, truth, known, depths))
    return comparison_grid(_TITLES, frames)


def error_curves(scores: Sequence[KeyframeScore]) -> bytes:
    """Return a PNG of abs_rel over the frames, before and after; refused keyframes are marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.5), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    for axis, scaling in zip(panels, ("raw", "median_scaled"), strict=True):
        for name, style in (("before", ".--"), ("aligned", ".:"), ("after", ".-")):
            axis.plot(*_curve(scores, name, scaling), style, label=name, linewidth=1.0)
        refused = [score for score in scores if score.refused]
        if refused:
            axis.plot(*_curve(refused, "after", scaling), "kx", label="not refined")
        axis.set_ylabel("abs_rel" if scaling == "raw" else "abs_rel, median-scaled")
        axis.set_ylim(bottom=0.0)
        axis.legend(loc="upper right", fontsize="small")
    panels[-1].set_xlabel("frame")
    return png(figure)


def _curve(
    scores: Sequence[KeyframeScore], stage: str, scaling: str
) -> tuple[list[int], list[float]]:
    errors = [abs_rel(getattr(getattr(score, stage).every, scaling)) for score in scores]
    return [score.frame for score in scores], errors
