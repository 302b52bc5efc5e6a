"""Pictures of the depth protocol: frames side by side, and the sparsification curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from e2e_slam_ros.evaluation.depth.protocol import DepthSample
from e2e_slam_ros.evaluation.depth.scores import in_range, is_predicted
from e2e_slam_ros.evaluation.depth.sparsification import Sparsification
from e2e_slam_ros.evaluation.figure import Panel, panel_grid, png

_TITLES = ("image", "sensor", "prediction, median-scaled", "relative error")


def sample_grid(samples: Sequence[DepthSample], max_m: float) -> bytes:
    """Return a PNG with a row a frame: image, true depth, scaled prediction, relative error.

    Depths share one range of colours, from 0 to the farthest true depth (98th percentile).
    Pixels without truth are white in truth and error.
    """
    rows, measured = [], []
    for sample in samples:
        truth, scaled = sample.truth.numpy(), (sample.predicted * sample.scale).numpy()
        known = in_range(sample.truth, 0.0, max_m).numpy()
        answered = is_predicted(sample.predicted).numpy()
        error = np.abs(scaled - truth) / np.maximum(truth, 1e-6)
        panels = (
            Panel(sample.image.permute(1, 2, 0).numpy(), "image"),
            Panel(np.where(known, truth, np.nan), "depth"),
            Panel(np.where(answered, scaled, np.nan), "depth", f"x {sample.scale:.2f}"),
            Panel(
                np.where(known & answered, error, np.nan), "error", f"abs_rel {sample.abs_rel:.3f}"
            ),
        )
        rows.append((f"frame {sample.index}", panels))
        measured.append(truth[known])
    high = float(np.percentile(np.concatenate(measured), 98.0))
    return png(panel_grid(_TITLES, rows, (0.0, high)))


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
    return png(figure)
