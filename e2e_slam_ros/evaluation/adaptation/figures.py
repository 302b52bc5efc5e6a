"""Pictures of the pair and online protocols: keyframes before and after, and their errors."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.evaluation.adaptation.score import KeyframeScore, abs_rel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DEPTH_COLORS, _ERROR_COLORS = "turbo", "magma"
_ERROR_HIGH = 0.5
_TITLES = ("image", "sensor", "before", "after", "error before", "error after")


@dataclass(frozen=True, eq=False)
class AdaptationSample:
    """One keyframe for the pictures, all on the CPU; depth in metres as it is, not scaled.

    Attributes:
        frame: its number in the recording.
        image: (3, H, W) in [0, 1].
        truth, before, after: (H, W) metres.
        remark: what became of it, in a few words.
    """

    frame: int
    image: torch.Tensor
    truth: torch.Tensor
    before: torch.Tensor
    after: torch.Tensor
    remark: str


def before_after_grid(samples: Sequence[AdaptationSample], min_m: float, max_m: float) -> bytes:
    """Return a PNG, a row a keyframe: image, sensor, depth before and after, relative errors.

    All depths share one range of colours, from 0 to the farthest true depth (98th percentile);
    errors go from 0 to 0.5. Pixels without truth are white in truth and errors. ``min_m`` and
    ``max_m`` are the true depths that count, metres.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16.0, 2.1 * len(samples) + 1.2), layout="constrained")
    axes = figure.subplots(len(samples), len(_TITLES), squeeze=False)
    known = [(s.truth > min_m) & (s.truth < max_m) for s in samples]
    measured = torch.cat([s.truth[k] for s, k in zip(samples, known, strict=True)])
    high = float(np.percentile(measured.numpy(), 98.0))
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    for axis, title in zip(axes[0], _TITLES, strict=True):
        axis.set_title(title)
    depth_range = {"cmap": _DEPTH_COLORS, "vmin": 0.0, "vmax": high}
    error_range = {"cmap": _ERROR_COLORS, "vmin": 0.0, "vmax": _ERROR_HIGH}
    for row, sample, counts in zip(axes, samples, known, strict=True):
        row[0].imshow(sample.image.permute(1, 2, 0).numpy())
        row[0].set_ylabel(f"frame {sample.frame}")
        row[0].set_xlabel(sample.remark)
        row[1].imshow(_masked(sample.truth, counts), **depth_range)
        for column, depth in ((2, sample.before), (3, sample.after)):
            answered = torch.isfinite(depth) & (depth > 0)
            shown = row[column].imshow(_masked(depth, answered), **depth_range)
            error = (depth - sample.truth).abs() / sample.truth.clamp_min(1e-6)
            both = counts & answered
            errors = row[column + 2].imshow(_masked(error, both), **error_range)
            if bool(both.any()):
                row[column + 2].set_xlabel(f"abs_rel {float(error[both].mean()):.3f}")
    figure.colorbar(
        shown, ax=axes[:, 1:4].ravel().tolist(), label="metres", location="bottom", shrink=0.9
    )
    wrongs = axes[:, 4:].ravel().tolist()
    figure.colorbar(errors, ax=wrongs, extend="max", location="bottom", shrink=0.9)
    return _png(figure)


def error_curves(scores: Sequence[KeyframeScore]) -> bytes:
    """Return a PNG of abs_rel over the frames, before and after; refused keyframes marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.5), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    frames = [score.frame for score in scores]
    for axis, scaled in zip(panels, (False, True), strict=True):
        for name, style in (("before", ".--"), ("aligned", ".:"), ("after", ".-")):
            stages = [getattr(score, name).every for score in scores]
            values = [abs_rel(s.median_scaled if scaled else s.raw) for s in stages]
            axis.plot(frames, values, style, label=name, linewidth=1.0)
        refused = [(s.frame, s.after.every) for s in scores if s.refused]
        values = [abs_rel(s.median_scaled if scaled else s.raw) for _, s in refused]
        if refused:
            axis.plot([frame for frame, _ in refused], values, "kx", label="not refined")
        axis.set_ylabel("abs_rel, median-scaled" if scaled else "abs_rel")
        axis.set_ylim(bottom=0.0)
        axis.legend(loc="upper right", fontsize="small")
    panels[-1].set_xlabel("frame")
    return _png(figure)


def _masked(values: torch.Tensor, valid: torch.Tensor) -> npt.NDArray[np.float32]:
    shown: npt.NDArray[np.float32] = torch.where(valid, values.float(), torch.nan).numpy()
    return shown


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
