"""Pictures of the depth protocol: frames side by side, and the sparsification curves."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from e2e_slam_ros.evaluation.depth.protocol import Sample
from e2e_slam_ros.evaluation.depth.sparsification import Sparsification

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DEPTH_COLORS, _ERROR_COLORS = "turbo", "magma"
_ERROR_HIGH = 0.5


def sample_grid(samples: Sequence[Sample], max_m: float) -> bytes:
    """Return a PNG: image, true depth, median-scaled prediction, relative error; a row a frame.

    All depths share one range of colours, from 0 to the farthest true depth (98th percentile);
    errors go from 0 to 0.5. Pixels without truth are white in truth and error.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 2.2 * len(samples) + 1.2), layout="constrained")
    axes = figure.subplots(len(samples), 4, squeeze=False)
    measured = [s.truth[(s.truth > 0) & (s.truth < max_m)].numpy() for s in samples]
    high = float(np.percentile(np.concatenate(measured), 98.0))
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    titles = ("image", "sensor", "prediction, median-scaled", "relative error")
    for column, title in enumerate(titles):
        axes[0, column].set_title(title)
    for row, sample in zip(axes, samples, strict=True):
        truth, scaled = sample.truth.numpy(), sample.predicted.numpy() * sample.scale
        known = (truth > 0) & (truth < max_m)
        answered = np.isfinite(scaled) & (scaled > 0)
        error = np.abs(scaled - truth) / np.maximum(truth, 1e-6)
        row[0].imshow(sample.image.permute(1, 2, 0).numpy())
        row[0].set_ylabel(f"frame {sample.index}")
        depth_range = {"cmap": _DEPTH_COLORS, "vmin": 0.0, "vmax": high}
        row[1].imshow(np.where(known, truth, np.nan), **depth_range)
        shown = row[2].imshow(np.where(answered, scaled, np.nan), **depth_range)
        row[2].set_xlabel(f"x {sample.scale:.2f}")
        wrong = np.where(known & answered, error, np.nan)
        errors = row[3].imshow(wrong, cmap=_ERROR_COLORS, vmin=0.0, vmax=_ERROR_HIGH)
        row[3].set_xlabel(f"abs_rel {sample.abs_rel:.3f}")
    depths, wrongs = axes[:, 1:3].ravel().tolist(), axes[:, 3].tolist()
    figure.colorbar(shown, ax=depths, label="metres", location="bottom", shrink=0.9)
    figure.colorbar(errors, ax=wrongs, extend="max", location="bottom", shrink=0.9)
    return _png(figure)


def sparsification_plot(curves: Sparsification) -> bytes:
    """Return a PNG of the error that remains over the share of pixels removed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.plot(curves.removed, curves.by_uncertainty, label="by predicted uncertainty")
    axes.plot(curves.removed, curves.by_error, label="by true error (oracle)")
    axes.axhline(curves.random, color="grey", linestyle="--", label="at random")
    axes.set_xlabel("share of pixels removed")
    axes.set_ylabel("abs_rel of the others, median-scaled")
    axes.set_title(f"AUSE {curves.ause:.4f}, at random {curves.random_area:.4f}")
    axes.set_ylim(bottom=0.0)
    axes.legend()
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
