"""Pictures of the protocols: depth beside the truth, and the sparsification curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.evaluation.depth.protocol import DepthSample
from e2e_slam_ros.evaluation.depth.scores import in_range, is_predicted
from e2e_slam_ros.evaluation.depth.sparsification import Sparsification
from e2e_slam_ros.evaluation.figure import Panel, panel_grid, png

_TITLES = ("image", "sensor", "prediction, median-scaled", "relative error")


@dataclass(frozen=True, eq=False)
class ComparedFrame:
    """A frame whose depth is drawn beside the truth; its tensors are on the CPU.

    Attributes:
        label, remark: beside the row, and below the image.
        image: (3, H, W) in [0, 1].
        truth: (H, W) metres.
        known: (H, W) bool, where the truth counts.
        depths: maps to compare, (H, W) metres each, with what stands below it and its error;
            an error without words gets its mean.

    >>> wall = torch.full((2, 2), 2.0)
    >>> image, guess = wall.expand(3, 2, 2), (wall * 1.5, "", "")
    >>> frame = ComparedFrame("frame 0", "", image, wall, wall > 0, (guess,))
    >>> [panel.caption for panel in frame.panels()]
    ['', '', '', 'abs_rel 0.500']
    """

    label: str
    remark: str
    image: torch.Tensor
    truth: torch.Tensor
    known: torch.Tensor
    depths: tuple[tuple[torch.Tensor, str, str], ...]

    def panels(self) -> list[Panel]:
        """Return image, truth, depths and relative errors, white where nothing is known."""
        shown = [
            Panel(self.image.permute(1, 2, 0).numpy(), "image", self.remark),
            Panel(_masked(self.truth, self.known), "depth"),
        ]
        errors = []
        for depth, words, error_words in self.depths:
            answered = is_predicted(depth)
            error = (depth - self.truth).abs() / self.truth.clamp_min(1e-6)
            both = self.known & answered
            if not error_words and bool(both.any()):
                error_words = f"abs_rel {float(error[both].mean()):.3f}"
            shown.append(Panel(_masked(depth, answered), "depth", words))
            errors.append(Panel(_masked(error, both), "error", error_words))
        return shown + errors


def comparison_grid(titles: Sequence[str], frames: Sequence[ComparedFrame]) -> bytes:
    """Return a PNG with a row a frame.

    Depths share one range of colours, from 0 to the farthest true depth (98th percentile).
    """
    measured = torch.cat([frame.truth[frame.known] for frame in frames])
    high = float(np.percentile(measured.numpy(), 98.0))
    rows = [(frame.label, frame.panels()) for frame in frames]
    return png(panel_grid(titles, rows, (0.0, high)))


def sample_grid(samples: Sequence[DepthSample], max_m: float) -> bytes:
    """Return a PNG with a row a frame: image, true depth, scaled prediction, relative error."""
    frames = []
    for keyframe, predicted, score in samples:
        truth, scaled = keyframe.sensor_depth, score.depth.every.median_scaled
        assert truth is not None and scaled is not None  # it has been scored
        truth, depth = truth[0, 0].cpu(), predicted.cpu() * score.scale
        words = (f"x {score.scale:.2f}", f"abs_rel {scaled.abs_rel:.3f}")
        label, image = f"frame {keyframe.frame_index}", keyframe.image[0].cpu()
        known = in_range(truth, 0.0, max_m)
        frames.append(ComparedFrame(label, "", image, truth, known, ((depth, *words),)))
    return comparison_grid(_TITLES, frames)


def sparsification_plot(curves: Sparsification) -> bytes:
    """Return a PNG of the error that remains over the share of pixels removed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.plot(curves.removed, curves.by_uncertainty, label="by predicted uncertainty")
    axes.plot(curves.removed, curves.by_error, label="by true error (oracle)")
    axes.axhline(curves.random, color="grey", linestyle="--", label="at random")
    axes.set(
        xlabel="share of pixels removed",
        ylabel="abs_rel of the others, median-scaled",
        title=f"AUSE {curves.ause:.4f}, at random {curves.random_area:.4f}",
    )
    axes.set_ylim(bottom=0.0)
    axes.legend()
    return png(figure)


def _masked(values: torch.Tensor, valid: torch.Tensor) -> npt.NDArray[np.float32]:
    shown: npt.NDArray[np.float32] = torch.where(valid, values.float(), torch.nan).numpy()
    return shown
