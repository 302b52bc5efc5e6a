"""Pictures of the pair and online protocols: keyframes before and after, and their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.evaluation.adaptation.score import KeyframeScore
from e2e_slam_ros.evaluation.depth.scores import abs_rel, in_range, is_predicted
from e2e_slam_ros.evaluation.figure import Panel, panel_grid, png

_TITLES = ("image", "sensor", "before", "after", "error before", "error after")


@dataclass(frozen=True, eq=False)
class AdaptationSample:
    """One keyframe for the pictures; its tensors are on the CPU.

    Attributes:
        frame: its number in the recording.
        image: (3, H, W) in [0, 1].
        truth, before, after: (H, W) metres, not scaled.
        remark: the end of its refinement, in a few words.
    """

    frame: int
    image: torch.Tensor
    truth: torch.Tensor
    before: torch.Tensor
    after: torch.Tensor
    remark: str


def before_after_grid(samples: Sequence[AdaptationSample], min_m: float, max_m: float) -> bytes:
    """Return a PNG with a row a keyframe: image, sensor, depth before and after, their errors.

    Depths share one range of colours, from 0 to the farthest true depth (98th percentile).
    Pixels without truth are white in truth and errors. True depths strictly between ``min_m``
    and ``max_m`` count, metres.
    """
    rows, measured = [], []
    for sample in samples:
        known = in_range(sample.truth, min_m, max_m)
        depths = [Panel(_masked(sample.truth, known), "depth")]
        errors = []
        for depth in (sample.before, sample.after):
            answered = is_predicted(depth)
            error = (depth - sample.truth).abs() / sample.truth.clamp_min(1e-6)
            both = known & answered
            caption = f"abs_rel {float(error[both].mean()):.3f}" if bool(both.any()) else ""
            depths.append(Panel(_masked(depth, answered), "depth"))
            errors.append(Panel(_masked(error, both), "error", caption))
        image = Panel(sample.image.permute(1, 2, 0).numpy(), "image", sample.remark)
        rows.append((f"frame {sample.frame}", (image, *depths, *errors)))
        measured.append(sample.truth[known])
    high = float(np.percentile(torch.cat(measured).numpy(), 98.0))
    return png(panel_grid(_TITLES, rows, (0.0, high)))


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


def _masked(values: torch.Tensor, valid: torch.Tensor) -> npt.NDArray[np.float32]:
    shown: npt.NDArray[np.float32] = torch.where(valid, values.float(), torch.nan).numpy()
    return shown
